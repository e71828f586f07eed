//! The exchange on one connection: frames in, requests under way, answers out, all in one task.
//!
//! Sends are pipelined: many requests are under way at once and answered as they are done. The log
//! completes everybody who waits for one commit together, so that one wake-up of this task gathers
//! all their answers into one write. Nothing grows without bound: past its limits the connection is
//! not read any more, and a peer that does not read its answers has its requests wait.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use base::limits;
use broker::ClientCommand;
use bytes::BytesMut;
use futures::{Stream as _, stream::FuturesUnordered};
use tokio::{
    io::{AsyncReadExt, ReadBuf},
    sync::mpsc,
};
use wire::remoting::{Command, FrameError, RequestCode, frame};

use super::{
    connection::Connection,
    dispatch,
    latencies::Latencies,
    output::Output,
    push::{self, Asked, Pushed},
    reply::Reply,
};
use crate::{door::Stream, front::DrainPhase, throttled};

/// How often limits of time are looked at. Coarse on purpose: an idle connection wakes this often.
const TICK: Duration = Duration::from_secs(5);

/// First size of the read buffer, and what a quiet connection reads at once; it grows while reads
/// fill it.
const READ_BYTES_MIN: usize = 4 * 1024;

/// Largest size to which it grows for small frames.
const READ_BYTES_MAX: usize = 128 * 1024;

/// A request as it came off the wire.
pub(super) struct Arrival {
    /// What is asked.
    pub(super) command: Command,
    /// Whether it may wait for messages.
    pub(super) may_wait: bool,
    /// Bytes of its frame.
    pub(super) bytes: usize,
    /// When it came, by [`base::Clock::elapsed`].
    pub(super) at: Duration,
}

/// A request that is done.
pub(super) struct Done {
    /// The answer; `None` if none is wanted.
    pub(super) reply: Option<Reply>,
    /// What was asked, for metrics.
    pub(super) request: &'static str,
    /// How it went, for metrics.
    pub(super) response: &'static str,
    /// Whether it was past a quota, so that its answer is held back.
    pub(super) is_throttled: bool,
    /// As in [`Arrival`].
    pub(super) is_poll: bool,
    /// As in [`Arrival`].
    pub(super) bytes: usize,
    /// As in [`Arrival`].
    pub(super) at: Duration,
}

/// Why an exchange ended.
#[derive(Debug)]
pub(super) enum End {
    /// The peer closed, and what it had asked without waiting for an answer is done.
    Peer,
    /// The process is stopping, and everything is answered.
    Drained,
    /// Nothing happened for too long.
    Idle,
    /// Reading or writing failed.
    Failed(#[expect(dead_code, reason = "shown by Debug in the log")] io::Error),
    /// The peer sent what is no frame.
    Frame(FrameError),
    /// A frame was begun and not completed in time.
    HalfFrame {
        /// Bytes that came of it.
        bytes: usize,
    },
    /// The peer reads none of its answers.
    WriteStall {
        /// Bytes that wait for it.
        queued: usize,
    },
}

/// Whether more is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Open,
    /// The peer closed its side.
    Ended,
    /// The process is stopping: what has come by now is still read, so many bytes of it at most.
    Last(usize),
    /// The process is stopping, and all that had come is read.
    Draining,
}

/// The state of the exchange.
pub(super) struct Exchange<'a, S, F> {
    connection: &'a Connection,
    start: fn(&'a Connection, Arrival) -> F,
    socket: S,
    input: BytesMut,
    /// Whether a read brought as much as a quiet connection takes at once: a buffer is kept from
    /// then on, until nothing comes for some time.
    is_busy: bool,
    read_bytes: usize,
    output: Output,
    /// None while nothing is: an empty list has room for one request already.
    under_way: Option<FuturesUnordered<F>>,
    /// Answers to throttled requests, and when they are due; those requests are under way still.
    held: VecDeque<(Duration, Done)>,
    /// Fires when the first of them is due.
    held_timer: Option<base::Sleep>,
    /// Requests that were begun in this turn.
    begun: usize,
    inbox: mpsc::Receiver<Box<ClientCommand>>,
    reading: Reading,
    /// Whether the peer takes no answers any more. What it has sent is still done: clients that
    /// stop send their last offsets and close without a look at the answers.
    is_deaf: bool,
    requests: usize,
    polls: usize,
    bytes: usize,
    next_opaque: i32,
    asked: Asked,
    drain: Pin<Box<dyn Future<Output = ()> + Send>>,
    tick: base::Sleep,
    active_at: Duration,
    frame_began: Option<Duration>,
    write_stalled: Option<Duration>,
    latencies: Latencies,
}

/// Completes when the process is stopping, and what has come to sockets by then is known.
fn stopping(connection: &Connection) -> impl Future<Output = ()> + Send + 'static {
    let reached = connection.front.drain.reached(DrainPhase::Draining);
    async {
        reached.await;
        tokio::task::yield_now().await;
    }
}

impl<'a, S: Stream, F: Future<Output = Done>> Exchange<'a, S, F> {
    pub(super) fn new(
        connection: &'a Connection,
        start: fn(&'a Connection, Arrival) -> F,
        socket: S,
        received: BytesMut,
        inbox: mpsc::Receiver<Box<ClientCommand>>,
    ) -> Self {
        let clock = &connection.front.clock;
        Self {
            connection,
            start,
            socket,
            input: received,
            is_busy: false,
            read_bytes: READ_BYTES_MIN,
            output: Output::default(),
            under_way: None,
            held: VecDeque::new(),
            held_timer: None,
            begun: 0,
            inbox,
            reading: Reading::Open,
            is_deaf: false,
            requests: 0,
            polls: 0,
            bytes: 0,
            next_opaque: 0,
            asked: Asked::default(),
            drain: Box::pin(stopping(connection)),
            tick: clock.sleep(TICK),
            active_at: clock.elapsed(),
            frame_began: None,
            write_stalled: None,
            latencies: Latencies::default(),
        }
    }

    /// Goes on until the connection ends.
    pub(super) async fn run(&mut self) -> End {
        poll_fn(|cx| self.poll(cx)).await
    }

    pub(super) fn into_socket(self) -> S {
        self.socket
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if matches!(self.reading, Reading::Open | Reading::Ended)
            && self.drain.as_mut().poll(cx).is_ready()
        {
            self.reading = match self.reading {
                Reading::Open => Reading::Last(limits::REMOTING_BYTES_IN_FLIGHT_MAX),
                _ => Reading::Draining,
            };
        }
        self.begun = 0;
        loop {
            let now = self.connection.front.clock.elapsed();
            let mut progress = false;
            match self.receive(cx, now) {
                Ok(received) => progress |= received,
                Err(end) => return Poll::Ready(end),
            }
            match self.finish(cx, now) {
                Ok(finished) => progress |= finished,
                Err(end) => return Poll::Ready(end),
            }
            match self.let_go(cx, now) {
                Ok(answered) => progress |= answered,
                Err(end) => return Poll::Ready(end),
            }
            progress |= self.push_commands(cx);
            match self.write(cx, now) {
                Ok(written) => progress |= written,
                Err(end) => return Poll::Ready(end),
            }
            if progress {
                self.active_at = now;
                if self.begun < limits::REMOTING_REQUESTS_PER_TURN_MAX {
                    continue;
                }
                // There is more to do, after others.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.reading {
                // Long polls of a peer that is gone are dropped; what it asked without waiting is
                // not.
                Reading::Ended if self.requests == 0 && self.output.is_empty() => {
                    return Poll::Ready(End::Peer);
                }
                Reading::Draining if self.has_none_under_way() && self.output.is_empty() => {
                    return Poll::Ready(End::Drained);
                }
                _ => {}
            }
            if self.tick.as_mut().poll(cx).is_pending() {
                self.rest();
                return Poll::Pending;
            }
            self.tick = self.connection.front.clock.sleep(TICK);
            if let Some(end) = self.overdue(now) {
                return Poll::Ready(end);
            }
        }
    }

    fn may_read(&self) -> bool {
        matches!(self.reading, Reading::Open | Reading::Last(_))
            && self.requests < limits::REMOTING_REQUESTS_IN_FLIGHT_MAX
            && self.bytes < limits::REMOTING_BYTES_IN_FLIGHT_MAX
            && self.output.bytes() < limits::REMOTING_RESPONSE_BYTES_QUEUED_MAX
    }

    /// Reads once and starts every request that is complete.
    fn receive(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<bool, End> {
        let mut progress = self.begin(now)?;
        if !self.may_read() {
            return Ok(progress);
        }
        match self.read(cx) {
            Poll::Pending => {
                if matches!(self.reading, Reading::Last(_)) {
                    self.reading = Reading::Draining;
                }
                return Ok(progress);
            }
            Poll::Ready(Err(error)) => return self.peer_ended(Some(error)),
            Poll::Ready(Ok(0)) => return self.peer_ended(None),
            Poll::Ready(Ok(count)) => {
                progress = true;
                if let Reading::Last(left) = self.reading {
                    let left = left.checked_sub(count);
                    self.reading = left.map_or(Reading::Draining, Reading::Last);
                }
            }
        }
        self.begin(now)?;
        Ok(progress)
    }

    /// Reads once: what a quiet connection gets comes by way of the stack, so that it needs no
    /// buffer while it waits.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.is_busy || !self.input.is_empty() {
            self.make_room();
            let room = self.input.capacity();
            let count = ready!(pin!(self.socket.read_buf(&mut self.input)).poll(cx))?;
            if self.input.len() == room {
                self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
            }
            return Poll::Ready(Ok(count));
        }
        let mut room = [MaybeUninit::uninit(); READ_BYTES_MIN];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
        let bytes = read.filled();
        self.is_busy = bytes.len() == READ_BYTES_MIN;
        self.input = BytesMut::from(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Gives back what a quiet connection does not need while nothing happens: thousands may be
    /// open.
    fn rest(&mut self) {
        if self.is_busy {
            return;
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.has_none_under_way() {
            self.under_way = None;
        }
    }

    fn has_none_under_way(&self) -> bool {
        self.under_way
            .as_ref()
            .is_none_or(FuturesUnordered::is_empty)
    }

    /// The peer sends nothing more. What it asked for without waiting is still done: clients send
    /// their last offsets that way and leave.
    fn peer_ended(&mut self, error: Option<io::Error>) -> Result<bool, End> {
        if let Some(error) = error {
            if self.requests == 0 {
                return Err(End::Failed(error));
            }
            self.output.clear();
        }
        self.reading = match self.reading {
            Reading::Last(_) => Reading::Draining,
            _ => Reading::Ended,
        };
        Ok(true)
    }

    /// Room for what is still missing of the frame begun, but never much more than has come: a peer
    /// must send bytes to make memory grow.
    fn make_room(&mut self) {
        let spare = self.input.capacity() - self.input.len();
        let frame = self.input.first_chunk::<4>().map_or(0, |length| {
            (u32::from_be_bytes(*length) as usize).saturating_add(4)
        });
        let missing = frame.saturating_sub(self.input.len());
        let wanted = missing.min(self.input.len() * 2).max(self.read_bytes);
        if spare < wanted.min(READ_BYTES_MIN) || spare < missing.min(wanted) {
            self.input.reserve(wanted);
        }
    }

    /// Starts the requests that are complete, as far as the limits allow.
    fn begin(&mut self, now: Duration) -> Result<bool, End> {
        let mut progress = false;
        while self.may_read() && self.begun < limits::REMOTING_REQUESTS_PER_TURN_MAX {
            let before = self.input.len();
            let max = limits::REMOTING_FRAME_BYTES_MAX;
            let Some(command) = frame::decode(&mut self.input, max).map_err(End::Frame)? else {
                break;
            };
            progress = true;
            self.frame_began = None;
            self.begin_one(command, before - self.input.len(), now)?;
        }
        if self.input.is_empty() {
            self.frame_began = None;
        } else if self.may_read() {
            self.frame_began.get_or_insert(now);
        } else {
            // Not read on our account: its time begins when reading goes on.
            self.frame_began = None;
        }
        Ok(progress)
    }

    fn begin_one(&mut self, command: Command, bytes: usize, now: Duration) -> Result<(), End> {
        if command.is_response() {
            self.asked.answered(command);
            return Ok(());
        }
        let is_poll = matches!(
            command.request_code(),
            Some(
                RequestCode::PullMessage
                    | RequestCode::LitePullMessage
                    | RequestCode::PopMessage
                    | RequestCode::Notification
            )
        );
        let may_wait = is_poll && self.polls < limits::REMOTING_LONG_POLLS_MAX;
        if may_wait {
            self.polls += 1;
        } else {
            self.requests += 1;
        }
        self.bytes += bytes;
        self.begun += 1;
        let arrival = Arrival {
            command,
            may_wait,
            bytes,
            at: now,
        };
        if let Some(done) = dispatch::at_once(self.connection, &arrival) {
            return self.end_one(done, now);
        }
        let under_way = self.under_way.get_or_insert_default();
        under_way.push((self.start)(self.connection, arrival));
        Ok(())
    }

    /// Gathers the answers that are done, as long as there is room for them.
    fn finish(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<bool, End> {
        let mut progress = false;
        while self.output.bytes() < limits::REMOTING_RESPONSE_BYTES_QUEUED_MAX {
            let Some(under_way) = &mut self.under_way else {
                break;
            };
            let Poll::Ready(Some(done)) = Pin::new(under_way).poll_next(cx) else {
                break;
            };
            progress = true;
            self.end_one(done, now)?;
        }
        Ok(progress)
    }

    /// Answers a request that is done, now or once that is due.
    fn end_one(&mut self, done: Done, now: Duration) -> Result<(), End> {
        self.bytes -= done.bytes;
        if done.is_throttled {
            self.held.push_back((now + throttled::HELD, done));
            return Ok(());
        }
        self.answer(done, now)
    }

    /// Gathers the answers that were held back for long enough, or all where nothing more comes.
    fn let_go(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<bool, End> {
        let mut progress = false;
        while let Some((due, _)) = self.held.front() {
            if self.reading == Reading::Open && *due > now {
                let left = *due - now;
                let clock = &self.connection.front.clock;
                let timer = self.held_timer.get_or_insert_with(|| clock.sleep(left));
                if timer.as_mut().poll(cx).is_pending() {
                    break;
                }
                // Of an answer that is gone, or of this one: then the clock says so next time.
                self.held_timer = None;
                progress = true;
                break;
            }
            self.held_timer = None;
            if let Some((_, done)) = self.held.pop_front() {
                self.answer(done, now)?;
                progress = true;
            }
        }
        Ok(progress)
    }

    /// Ends a request with its answer.
    fn answer(&mut self, done: Done, now: Duration) -> Result<(), End> {
        if done.is_poll {
            self.polls -= 1;
        } else {
            self.requests -= 1;
        }
        let metrics = &self.connection.front.metrics;
        self.latencies.count(metrics, &done, now);
        match done.reply.filter(|_| !self.is_deaf) {
            Some(reply) => self.output.put(reply).map_err(End::Frame),
            None => Ok(()),
        }
    }

    /// Turns commands for clients of this connection into requests that want no answer.
    fn push_commands(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while !self.is_deaf && self.output.bytes() < limits::REMOTING_RESPONSE_BYTES_QUEUED_MAX {
            let Poll::Ready(Some(command)) = self.inbox.poll_recv(cx) else {
                break;
            };
            let Some(Pushed { request, answer }) = push::encode(self.connection, *command) else {
                continue;
            };
            let opaque = self.next_opaque;
            self.next_opaque = self.next_opaque.wrapping_add(1);
            let request = Command { opaque, ..request };
            if let Some(answer) = answer {
                self.asked.wait(opaque, answer);
            }
            if let Err(error) = self.output.put(request.into()) {
                tracing::warn!(%error, "command for a client not written");
            }
            progress = true;
        }
        progress
    }

    fn write(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<bool, End> {
        if self.output.is_empty() {
            self.write_stalled = None;
            return Ok(false);
        }
        match self.output.poll_write(&mut self.socket, cx) {
            Poll::Ready(Ok(written)) => {
                self.write_stalled = None;
                Ok(written > 0)
            }
            // What it sent before it closed is yet to be read; the end of that ends the exchange.
            Poll::Ready(Err(_)) => {
                self.output.clear();
                self.is_deaf = true;
                Ok(true)
            }
            Poll::Pending => {
                self.write_stalled.get_or_insert(now);
                Ok(false)
            }
        }
    }

    /// Looks at the limits of time.
    fn overdue(&mut self, now: Duration) -> Option<End> {
        let since = |at: Duration| now.saturating_sub(at).as_millis();
        if let Some(began) = self.frame_began {
            let bytes = self.input.len();
            let allowed = limits::REMOTING_FRAME_MS_MAX
                + limits::REMOTING_FRAME_MS_PER_64_KIB * (bytes / (64 * 1024)) as u64;
            if since(began) > u128::from(allowed) {
                return Some(End::HalfFrame { bytes });
            }
        }
        if let Some(stalled) = self.write_stalled
            && since(stalled) > u128::from(limits::WRITE_STALL_MS_MAX)
        {
            return Some(End::WriteStall {
                queued: self.output.bytes(),
            });
        }
        let idle = since(self.active_at);
        if self.has_none_under_way() && idle > u128::from(limits::REMOTING_IDLE_MS_MAX) {
            return Some(End::Idle);
        }
        if self.input.is_empty() && idle > TICK.as_millis() {
            self.is_busy = false;
            self.read_bytes = READ_BYTES_MIN;
            if self.output.is_empty() {
                self.output.clear();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
