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
    sync::Arc,
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
}

impl Http2Requests {
    /// What hyper is to give the requests to.
    pub(crate) fn executor(&self) -> Begun {
        self.begun.clone()
    }

    /// Drives a connection that has [`Self::executor`], and its requests, until the connection
    /// ends.
    pub(crate) async fn drive<C: Future>(&mut self, mut connection: Pin<&mut C>) -> C::Output {
        poll_fn(|cx| self.poll(connection.as_mut(), cx)).await
    }

    fn poll<C: Future>(
        &mut self,
        mut connection: Pin<&mut C>,
        cx: &mut Context<'_>,
    ) -> Poll<C::Output> {
        let mut done = 0;
        loop {
            // Before the connection, which writes what is answered here.
            while done < limits::HTTP2_REQUESTS_PER_TURN_MAX
                && self.under_way.poll_next_unpin(cx) == Poll::Ready(Some(()))
            {
                done += 1;
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

/// A stream that is read no further in one turn than [`limits::HTTP2_BYTES_PER_TURN_MAX`]: then it
/// says that there is nothing, and that it is to be asked again.
#[derive(Debug)]
pub(crate) struct ReadInTurns<S> {
    stream: S,
    /// Bytes that came in this turn.
    read: usize,
}

impl<S> ReadInTurns<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadInTurns<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read >= limits::HTTP2_BYTES_PER_TURN_MAX {
            self.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.read = match polled {
            Poll::Ready(_) => self.read + buffer.filled().len() - before,
            Poll::Pending => 0,
        };
        polled
    }
}

written_through!(ReadInTurns);

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering},
        task::Waker,
    };

    use futures::task::noop_waker;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl futures::task::ArcWake for Woken {
        fn wake_by_ref(woken: &Arc<Self>) {
            woken.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_asks_much_lets_others_go_first() {
        let mut requests = Http2Requests::default();
        let executor = requests.executor();
        let answered = Arc::new(AtomicUsize::new(0));
        let asked = 3 * limits::HTTP2_REQUESTS_PER_TURN_MAX;
        for _ in 0..asked {
            let answered = Arc::clone(&answered);
            executor.execute(async move {
                answered.fetch_add(1, Ordering::Relaxed);
            });
        }
        let mut connection = pin!(pending::<()>());
        let woken = Arc::new(Woken::default());
        let waker = futures::task::waker(Arc::clone(&woken));
        let mut turns = 0;
        while answered.load(Ordering::Relaxed) < asked {
            let (before, wakes) = (
                answered.load(Ordering::Relaxed),
                woken.0.load(Ordering::Relaxed),
            );
            let mut cx = Context::from_waker(&waker);
            assert!(requests.poll(connection.as_mut(), &mut cx).is_pending());
            let in_turn = answered.load(Ordering::Relaxed) - before;
            assert!(in_turn <= limits::HTTP2_REQUESTS_PER_TURN_MAX, "{in_turn}");
            assert!(woken.0.load(Ordering::Relaxed) > wakes, "comes again");
            turns += 1;
        }
        assert!(turns >= 3, "{turns}");
    }

    #[test]
    fn a_connection_that_ends_takes_its_requests_with_it() {
        let kept = Arc::new(());
        let mut requests = Http2Requests::default();
        let executor = requests.executor();
        let begin = || {
            // As hyper's requests do, it has the executor.
            let (kept, executor) = (Arc::clone(&kept), executor.clone());
            executor.clone().execute(async move {
                let _has = (kept, executor);
                pending::<()>().await;
            });
        };
        begin();
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        assert!(requests.poll(pin!(pending::<()>()), &mut cx).is_pending());
        begin();
        assert!(requests.poll(pin!(ready(())), &mut cx).is_ready());
        drop(requests);
        assert_eq!(Arc::strong_count(&kept), 1);
    }

    #[tokio::test]
    async fn what_is_read_in_turns_is_all_there() {
        let sent: Vec<u8> = (0..3 * limits::HTTP2_BYTES_PER_TURN_MAX)
            .map(|i| i as u8)
            .collect();
        let mut stream = ReadInTurns::new(&sent[..]);
        let mut buffer = vec![0; sent.len()];
        let mut cx = Context::from_waker(Waker::noop());
        let mut read = ReadBuf::new(&mut buffer[..limits::HTTP2_BYTES_PER_TURN_MAX]);
        assert!(
            Pin::new(&mut stream)
                .poll_read(&mut cx, &mut read)
                .is_ready()
        );
        let read = read.filled().len();
        let mut next = ReadBuf::new(&mut buffer[read..]);
        assert!(
            Pin::new(&mut stream)
                .poll_read(&mut cx, &mut next)
                .is_pending()
        );
        stream.read_exact(&mut buffer[read..]).await.unwrap();
        assert_eq!(buffer, sent);
    }
}
