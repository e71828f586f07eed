//! The limits of an exchange, with handlers that the test controls.

use std::{cell::Cell, future, net::SocketAddr, sync::Arc};

use futures::FutureExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    net::TcpStream,
};
use wire::remoting::ResponseCode;

use super::*;
use crate::{
    ConnectionInfo, Front, FrontSettings,
    test_clock::{HandClock, StoppedClock},
};

thread_local! {
    static STARTED: Cell<usize> = const { Cell::new(0) };
    static MAY_WAIT: Cell<usize> = const { Cell::new(0) };
    static DROPPED: Cell<usize> = const { Cell::new(0) };
}

fn connection() -> Connection {
    connection_at(Arc::new(StoppedClock))
}

fn connection_at(clock: Arc<dyn base::Clock>) -> Connection {
    let settings = FrontSettings::default();
    let front = Arc::new(Front::new(Arc::default(), clock, settings));
    let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let info = ConnectionInfo {
        id: 1,
        peer: address,
        local: address,
        tls: false,
        admin: false,
        trusted: false,
    };
    Connection::new(front, info, mpsc::channel(1).0)
}

struct CountDrop;

impl Drop for CountDrop {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

/// A handler that never ends.
async fn never(_: &Connection, arrival: Arrival) -> Done {
    let _dropped = CountDrop;
    STARTED.set(STARTED.get() + 1);
    MAY_WAIT.set(MAY_WAIT.get() + usize::from(arrival.may_wait));
    future::pending().await
}

/// A handler that answers at once with as many bytes as its request's `opaque` says.
async fn at_once(_: &Connection, arrival: Arrival) -> Done {
    STARTED.set(STARTED.get() + 1);
    let Arrival {
        command,
        may_wait,
        bytes,
        at,
    } = arrival;
    let body = vec![0; command.opaque.unsigned_abs() as usize];
    Done {
        reply: Some(
            command
                .response(ResponseCode::Success)
                .with_body(body)
                .into(),
        ),
        request: "test",
        response: "success",
        is_throttled: false,
        is_poll: may_wait,
        bytes,
        at,
    }
}

fn frames(code: RequestCode, opaque: i32, body: usize, count: usize) -> BytesMut {
    let command = Command {
        opaque,
        ..Command::request(code, &())
    }
    .with_body(vec![0; body]);
    let mut bytes = BytesMut::new();
    for _ in 0..count {
        frame::encode(&command, &mut bytes).unwrap();
    }
    bytes
}

/// Lets the exchange do what it can with `sent`; the peer then reads nothing.
async fn settle<'a, F: Future<Output = Done>>(
    connection: &'a Connection,
    start: fn(&'a Connection, Arrival) -> F,
    sent: BytesMut,
) -> (Exchange<'a, DuplexStream, F>, DuplexStream) {
    let (ours, mut theirs) = duplex(64 * 1024);
    let (_, inbox) = mpsc::channel(1);
    let mut exchange = Exchange::new(connection, start, ours, BytesMut::new(), inbox);
    {
        let mut write = pin!(theirs.write_all(&sent));
        // Both sides take turns until neither has anything to do.
        for _ in 0..(2 * sent.len() / (64 * 1024) + 64) {
            let _ = write.as_mut().now_or_never();
            let ended = poll_fn(|cx| Poll::Ready(exchange.poll(cx))).await;
            assert!(ended.is_pending(), "{ended:?}");
            tokio::task::yield_now().await;
        }
    }
    (exchange, theirs)
}

#[tokio::test]
async fn no_more_requests_are_begun_than_may_be_under_way() {
    const MAX: usize = limits::REMOTING_REQUESTS_IN_FLIGHT_MAX;
    let connection = connection();
    let sent = frames(RequestCode::SendMessageV2, 1, 0, MAX + 100);
    let (exchange, _peer) = settle(&connection, never, sent).await;
    assert_eq!(STARTED.get(), MAX);
    assert!(
        exchange.input.len() <= 2 * READ_BYTES_MAX,
        "the rest stays with the peer"
    );
    drop(exchange);
    assert_eq!(DROPPED.get(), MAX);
}

#[tokio::test]
async fn no_more_bytes_are_taken_in_than_may_be_under_way() {
    const BODY: usize = 1024 * 1024;
    let connection = connection();
    let sent = frames(RequestCode::SendMessageV2, 1, BODY, 40);
    let (_exchange, _peer) = settle(&connection, never, sent).await;
    assert_eq!(STARTED.get(), limits::REMOTING_BYTES_IN_FLIGHT_MAX / BODY);
}

#[tokio::test]
async fn long_polls_do_not_hold_up_requests_and_are_limited_too() {
    const MAX: usize = limits::REMOTING_LONG_POLLS_MAX;
    let connection = connection();
    let mut sent = frames(RequestCode::PullMessage, 1, 0, MAX + 5);
    sent.extend_from_slice(&frames(RequestCode::SendMessageV2, 1, 0, 1));
    let (exchange, _peer) = settle(&connection, never, sent).await;
    assert_eq!(STARTED.get(), MAX + 6);
    assert_eq!(
        MAY_WAIT.get(),
        MAX,
        "those past the limit must answer at once"
    );
    assert_eq!((exchange.polls, exchange.requests), (MAX, 6));
}

#[tokio::test]
async fn answers_that_nobody_reads_stop_the_work() {
    const ANSWER: usize = 1024 * 1024;
    let connection = connection();
    let sent = frames(RequestCode::SendMessageV2, ANSWER as i32, 0, 1_000);
    let (exchange, _peer) = settle(&connection, at_once, sent).await;
    let queued = exchange.output.bytes();
    let limit = limits::REMOTING_RESPONSE_BYTES_QUEUED_MAX;
    assert!(
        (limit..limit + 2 * ANSWER).contains(&queued),
        "{queued} bytes queued"
    );
}

#[tokio::test]
async fn a_peer_makes_memory_grow_only_by_sending() {
    let connection = connection();
    // The head of a frame of nearly 16 MiB, and a little of its body.
    let mut sent = BytesMut::from(&[0, 0xff, 0xff, 0, 0, 0, 0, 10][..]);
    sent.extend_from_slice(&[b'x'; 5_000]);
    let (exchange, _peer) = settle(&connection, never, sent).await;
    assert!(
        exchange.input.capacity() < 64 * 1024,
        "{} bytes",
        exchange.input.capacity()
    );
}

#[tokio::test]
async fn answers_are_written_to_a_peer_that_only_stopped_sending() {
    let connection = connection();
    let (ours, mut theirs) = duplex(64 * 1024);
    let (_, inbox) = mpsc::channel(1);
    let mut exchange = Exchange::new(&connection, at_once, ours, BytesMut::new(), inbox);
    // More than the peer takes at once.
    let sent = frames(RequestCode::SendMessageV2, 100_000, 0, 3);
    theirs.write_all(&sent).await.unwrap();
    theirs.shutdown().await.unwrap();
    let mut answers = BytesMut::new();
    let read = async {
        for _ in 0..3 {
            loop {
                if let Some(answer) = frame::decode(&mut answers, usize::MAX).unwrap() {
                    assert_eq!(answer.body.len(), 100_000);
                    break;
                }
                assert!(
                    theirs.read_buf(&mut answers).await.unwrap() > 0,
                    "closed too early"
                );
            }
        }
    };
    let run = async {
        let end = exchange.run().await;
        drop(exchange);
        end
    };
    let (end, ()) = tokio::join!(run, read);
    assert!(matches!(end, End::Peer), "{end:?}");
}

/// Lets time pass, second by second, until the exchange ends; before each, the peer does `act`.
async fn time_to_end<F: Future<Output = Done>>(
    clock: &HandClock,
    exchange: &mut Exchange<'_, DuplexStream, F>,
    mut act: impl FnMut(),
) -> (u64, End) {
    for second in 0..1_000 {
        act();
        if let Poll::Ready(end) = poll_fn(|cx| Poll::Ready(exchange.poll(cx))).await {
            return (second, end);
        }
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    panic!("the exchange goes on after 1,000 seconds");
}

/// The tick is coarse: an end may come this much after its time.
const SLACK_SECONDS: u64 = TICK.as_secs() + 1;

#[tokio::test]
async fn a_frame_that_trickles_in_is_waited_for_only_so_long() {
    let clock = Arc::new(HandClock::default());
    let connection = connection_at(clock.clone());
    let mut head = BytesMut::from(&[0, 0, 0x10, 0, 0, 0, 0, 10][..]);
    head.extend_from_slice(b"x");
    let (mut exchange, mut peer) = settle(&connection, never, head).await;
    let (after, end) = time_to_end(&clock, &mut exchange, || {
        let _ = peer.write_all(b"x").now_or_never();
    })
    .await;
    assert!(matches!(end, End::HalfFrame { .. }), "{end:?}");
    let due = limits::REMOTING_FRAME_MS_MAX / 1_000;
    assert!(
        (due..=due + SLACK_SECONDS).contains(&after),
        "after {after} s"
    );
}

#[tokio::test]
async fn a_large_frame_on_a_slow_line_has_its_time() {
    let clock = Arc::new(HandClock::default());
    let connection = connection_at(clock.clone());
    let frame = frames(RequestCode::SendMessageV2, 1, 8 * 1024 * 1024, 1);
    let (mut exchange, mut peer) = settle(&connection, at_once, BytesMut::new()).await;
    let mut chunks = frame.chunks(100_000);
    STARTED.set(0);
    for second in 0.. {
        let Some(chunk) = chunks.next() else { break };
        let mut write = pin!(peer.write_all(chunk));
        while write.as_mut().now_or_never().is_none() {
            let polled = poll_fn(|cx| Poll::Ready(exchange.poll(cx))).await;
            assert!(polled.is_pending(), "{polled:?} after {second} s");
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(1));
    }
    let polled = poll_fn(|cx| Poll::Ready(exchange.poll(cx))).await;
    assert!(polled.is_pending(), "{polled:?}");
    assert_eq!(STARTED.get(), 1);
}

#[tokio::test]
async fn silence_is_allowed_for_two_minutes_and_while_a_poll_waits() {
    let clock = Arc::new(HandClock::default());
    let connection = connection_at(clock.clone());
    let (mut exchange, _peer) = settle(&connection, never, BytesMut::new()).await;
    let (after, end) = time_to_end(&clock, &mut exchange, || {}).await;
    assert!(matches!(end, End::Idle), "{end:?}");
    let due = limits::REMOTING_IDLE_MS_MAX / 1_000;
    assert!(
        (due..=due + SLACK_SECONDS).contains(&after),
        "after {after} s"
    );

    let sent = frames(RequestCode::PullMessage, 1, 0, 1);
    let (mut exchange, _peer) = settle(&connection, never, sent).await;
    for _ in 0..2 * due {
        clock.advance(Duration::from_secs(1));
        let polled = poll_fn(|cx| Poll::Ready(exchange.poll(cx))).await;
        assert!(polled.is_pending(), "{polled:?}");
    }
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_waited_for_only_so_long() {
    let clock = Arc::new(HandClock::default());
    let connection = connection_at(clock.clone());
    let sent = frames(RequestCode::SendMessageV2, 1_000_000, 0, 3);
    let (mut exchange, _peer) = settle(&connection, at_once, sent).await;
    let (after, end) = time_to_end(&clock, &mut exchange, || {}).await;
    assert!(matches!(end, End::WriteStall { .. }), "{end:?}");
    let due = limits::WRITE_STALL_MS_MAX / 1_000;
    assert!(
        (due..=due + SLACK_SECONDS).contains(&after),
        "after {after} s"
    );
}

#[tokio::test]
async fn frames_that_overlap_in_the_buffer_each_have_their_own_time() {
    let clock = Arc::new(HandClock::default());
    let connection = connection_at(clock.clone());
    let (mut exchange, mut peer) = settle(&connection, at_once, BytesMut::new()).await;
    let stream = frames(RequestCode::SendMessageV2, 1, 1, 200);
    let frame = stream.len() / 200;
    // Always half a frame ahead, so that one is incomplete at any time.
    let (first, rest) = stream.split_at(frame / 2);
    peer.write_all(first).await.unwrap();
    for chunk in rest.chunks(frame) {
        peer.write_all(chunk).await.unwrap();
        clock.advance(Duration::from_secs(1));
        let polled = poll_fn(|cx| Poll::Ready(exchange.poll(cx))).await;
        assert!(polled.is_pending(), "{polled:?}");
        tokio::task::yield_now().await;
    }
}

/// A peer that closed with answers unread: what it sent can be read, and writing fails.
struct Closed {
    sent: BytesMut,
    is_told: bool,
}

impl AsyncRead for Closed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The second half is there when the answer to the first could not be written.
        let is_half = self.sent.len() > HALF;
        if !is_half && !self.is_told {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = self.sent.len().min(HALF).min(room.remaining());
        room.put_slice(&self.sent.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Closed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_told = true;
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Bytes of the one request of each half.
const HALF: usize = 1_000;

#[tokio::test]
async fn what_a_peer_sent_before_it_closed_is_done_though_no_answer_can_be_written() {
    let connection = connection();
    let empty = frames(RequestCode::UpdateConsumerOffset, 1, 0, 1).len();
    let sent = frames(RequestCode::UpdateConsumerOffset, 1, HALF - empty, 2);
    assert_eq!(sent.len(), 2 * HALF);
    let (_, inbox) = mpsc::channel(1);
    let closed = Closed {
        sent,
        is_told: false,
    };
    let mut exchange = Exchange::new(&connection, at_once, closed, BytesMut::new(), inbox);
    let end = exchange.run().await;
    assert!(matches!(end, End::Peer), "{end:?}");
    assert_eq!(STARTED.get(), 2);
}

/// The allocator has room of up to 1 KiB at hand; what is larger it cuts out of what is free, at
/// many times the cost. A task is the future and what the list of them adds to it.
#[test]
fn a_request_under_way_fits_what_the_allocator_has_at_hand() {
    let connection = connection();
    let arrival = Arrival {
        command: Command::default(),
        may_wait: false,
        bytes: 0,
        at: Duration::ZERO,
    };
    let under_way = dispatch::run(&connection, arrival);
    let bytes = size_of_val(&under_way);
    assert!(bytes <= 944, "{bytes} bytes");
}

/// Thousands of connections are open and quiet at most times.
#[test]
fn a_connection_keeps_little() {
    fn bytes<F>(_: fn(Arc<Front>, ConnectionInfo, TcpStream, BytesMut) -> F) -> usize {
        size_of::<F>()
    }
    let bytes = bytes(crate::remoting::serve::<TcpStream>);
    assert!(bytes <= 1_536, "{bytes} bytes");
}

#[tokio::test]
async fn a_quiet_connection_keeps_no_buffer() {
    let connection = connection();
    let sent = frames(RequestCode::SendMessageV2, 1, 1_024, 1);
    let (exchange, mut peer) = settle(&connection, at_once, sent).await;
    assert_eq!((exchange.input.capacity(), exchange.is_busy), (0, false));
    assert!(exchange.under_way.is_none());
    let mut answer = BytesMut::new();
    assert!(peer.read_buf(&mut answer).await.unwrap() > 0);
}

#[tokio::test]
async fn a_busy_connection_keeps_its_buffer_until_it_is_idle() {
    let clock = Arc::new(HandClock::default());
    let connection = connection_at(clock.clone());
    let sent = frames(RequestCode::SendMessageV2, 1, 1_024, 100);
    let (mut exchange, _peer) = settle(&connection, at_once, sent).await;
    assert!(exchange.is_busy && exchange.input.capacity() > 0);
    // One tick after it was last active is not long enough to be idle.
    for _ in 0..2 {
        clock.advance(TICK);
        let ended = poll_fn(|cx| Poll::Ready(exchange.poll(cx))).await;
        assert!(ended.is_pending(), "{ended:?}");
    }
    assert_eq!((exchange.input.capacity(), exchange.is_busy), (0, false));
    assert!(exchange.under_way.is_none());
}

#[tokio::test]
async fn an_ack_is_answered_without_becoming_a_request_under_way() {
    let connection = connection();
    let sent = frames(RequestCode::AckMessage, 1, 0, 100);
    let (exchange, mut peer) = settle(&connection, never, sent).await;
    assert_eq!(
        (STARTED.get(), exchange.requests, exchange.bytes),
        (0, 0, 0)
    );
    assert!(exchange.under_way.is_none());
    let mut answers = BytesMut::with_capacity(64 * 1024);
    peer.read_buf(&mut answers).now_or_never().unwrap().unwrap();
    let mut count = 0;
    while let Some(answer) = frame::decode(&mut answers, usize::MAX).unwrap() {
        // They name no message.
        let response = answer.response_code();
        assert_eq!(response, Some(ResponseCode::InvalidParameter));
        count += 1;
    }
    assert_eq!(count, 100);
}

/// A handler that throttles.
async fn throttle(connection: &Connection, arrival: Arrival) -> Done {
    Done {
        is_throttled: true,
        ..at_once(connection, arrival).await
    }
}

#[tokio::test]
async fn answers_of_throttled_requests_are_held_back_and_come_together() {
    let clock = Arc::new(HandClock::default());
    let connection = connection_at(clock.clone());
    let sent = frames(RequestCode::SendMessageV2, 1, 4_096, 100);
    let (mut exchange, mut peer) = settle(&connection, throttle, sent).await;
    assert_eq!((STARTED.get(), exchange.requests), (100, 100));
    // Their bodies are not kept.
    assert_eq!((exchange.bytes, exchange.held.len()), (0, 100));
    let mut answers = BytesMut::with_capacity(64 * 1024);
    let nothing = peer.read_buf(&mut answers).now_or_never();
    assert!(nothing.is_none(), "{answers:?}");
    clock.advance(throttled::HELD);
    let ended = poll_fn(|cx| Poll::Ready(exchange.poll(cx))).await;
    assert!(ended.is_pending(), "{ended:?}");
    assert_eq!((exchange.requests, exchange.held.len()), (0, 0));
    peer.read_buf(&mut answers).now_or_never().unwrap().unwrap();
    let mut count = 0;
    while let Some(answer) = frame::decode(&mut answers, usize::MAX).unwrap() {
        assert!(answer.is_response());
        count += 1;
    }
    assert_eq!(count, 100);
}

#[tokio::test]
async fn throttled_requests_are_under_way_until_they_are_answered() {
    const MAX: usize = limits::REMOTING_REQUESTS_IN_FLIGHT_MAX;
    let connection = connection();
    let sent = frames(RequestCode::SendMessageV2, 1, 0, MAX + 100);
    let (exchange, _peer) = settle(&connection, throttle, sent).await;
    assert_eq!((STARTED.get(), exchange.held.len()), (MAX, MAX));
}

#[tokio::test]
async fn a_server_that_stops_holds_nothing_back() {
    let connection = connection();
    let sent = frames(RequestCode::SendMessageV2, 1, 0, 3);
    let (mut exchange, _peer) = settle(&connection, throttle, sent).await;
    assert_eq!(exchange.held.len(), 3);
    connection.front.drain.advance(DrainPhase::Draining);
    // First it waits for what has come to its socket.
    let ended = poll_fn(|cx| Poll::Ready(exchange.poll(cx))).await;
    assert!(ended.is_pending(), "{ended:?}");
    tokio::task::yield_now().await;
    let ended = poll_fn(|cx| Poll::Ready(exchange.poll(cx))).await;
    assert!(matches!(ended, Poll::Ready(End::Drained)), "{ended:?}");
}

#[tokio::test]
async fn a_client_that_sends_much_lets_others_have_their_turn() {
    const TURN: usize = limits::REMOTING_REQUESTS_PER_TURN_MAX;
    let connection = connection();
    let (ours, _peer) = duplex(64 * 1024);
    let (_, inbox) = mpsc::channel(1);
    let received = frames(RequestCode::SendMessageV2, 1, 0, 3 * TURN);
    let mut exchange = Exchange::new(&connection, never, ours, received, inbox);
    for turn in 1..=3 {
        let ended = poll_fn(|cx| Poll::Ready(exchange.poll(cx))).await;
        assert!(ended.is_pending(), "{ended:?}");
        assert_eq!(STARTED.get(), turn * TURN);
    }
}
