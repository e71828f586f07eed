//! The requests of one HTTP/2 connection, which run in the task of their connection.
//!
//! hyper hands each request to an executor. Were that the runtime, a request would be a task of its
//! own: allocated, queued and woken by itself, its answer written by waking the connection's task
//! in turn. A client with a thousand requests under way would have a thousand tasks in the queues
//! of the runtime before the one task of somebody else. Here a connection has one task whatever it
//! asks, so the answers of a commit go out in one write, and connections take turns.
//!
//! The price: what requests of one connection compute, one processor computes. Remoting has it too.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use base::limits;
use futures::{StreamExt as _, stream::FuturesUnordered};
use hyper::rt::Executor;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::prefixed::written_through;

/// A request from its head to the end of its answer.
type Exchange = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes the requests that a connection begins; hyper's executor of the connection.
#[derive(Clone, Default)]
pub(crate) struct Begun(Arc<Mutex<Vec<Exchange>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Begun {
    fn execute(&self, exchange: F) {
        self.0.lock().push(Box::pin(exchange));
    }
}

/// The requests of one connection. Those that are not answered are dropped with it.
#[derive(Default)]
pub(crate) struct Http2Requests {
    begun: Begun,
    under_way: FuturesUnordered<Exchange>,
    /// Bytes that came in this turn.
    read: Arc<AtomicUsize>,
}

impl Http2Requests {
    /// What hyper is to give the requests to.
    pub(crate) fn executor(&self) -> Begun {
        self.begun.clone()
    }

    /// The stream of the connection, read no further in one turn than
    /// [`limits::HTTP2_BYTES_PER_TURN_MAX`].
    pub(crate) fn read_in_turns<S>(&self, stream: S) -> ReadInTurns<S> {
        ReadInTurns {
            stream,
            read: Arc::clone(&self.read),
        }
    }

    /// Drives a connection that has [`Self::executor`] and [`Self::read_in_turns`], and its
    /// requests, until the connection ends.
    pub(crate) async fn drive<C: Future>(&mut self, mut connection: Pin<&mut C>) -> C::Output {
        poll_fn(|cx| self.poll(connection.as_mut(), cx)).await
    }

    fn poll<C: Future>(
        &mut self,
        mut connection: Pin<&mut C>,
        cx: &mut Context<'_>,
    ) -> Poll<C::Output> {
        let mut done = 0;
        self.read.store(0, Ordering::Relaxed);
        loop {
            // Before the connection, which writes what is answered here.
            while done < limits::HTTP2_REQUESTS_PER_TURN_MAX
                && self.under_way.poll_next_unpin(cx) == Poll::Ready(Some(()))
            {
                done += 1;
            }
            // Requests that clients have taken back are here until they have had their turns:
            // others must not come faster than they go.
            let is_full = self.under_way.len() > limits::HTTP2_STREAMS_MAX as usize;
            if done >= limits::HTTP2_REQUESTS_PER_TURN_MAX && is_full {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            let begun = mem::take(&mut *self.begun.0.lock());
            let is_idle = begun.is_empty();
            done += begun.len();
            self.under_way.extend(begun);
            if done >= limits::HTTP2_REQUESTS_PER_TURN_MAX {
                // There may be more to do, after others.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if is_idle {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Http2Requests {
    fn drop(&mut self) {
        // Requests have an executor each: those that wait here would keep themselves alive.
        self.begun.0.lock().clear();
    }
}

/// A stream that says, once it has been read as far as it may be in one turn, that there is
/// nothing, and that it is to be asked again.
#[derive(Debug)]
pub(crate) struct ReadInTurns<S> {
    stream: S,
    /// Bytes that came in this turn. Turns begin elsewhere: hyper asks once more for every request
    /// that it has found, and would begin one with each.
    read: Arc<AtomicUsize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadInTurns<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.load(Ordering::Relaxed) >= limits::HTTP2_BYTES_PER_TURN_MAX {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        self.read.fetch_add(read, Ordering::Relaxed);
        polled
    }
}

written_through!(ReadInTurns);

#[cfg(test)]
mod tests;
