//! Turns of connections, and requests that go with them.

use std::{
    future::{pending, ready},
    pin::pin,
    task::Waker,
};

use futures::task::noop_waker;
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

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

/// Counts those that there ever were, those that live, and the most that did at a time.
#[derive(Default)]
struct Lives {
    all: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Life(Arc<Lives>);

impl Life {
    fn of(lives: &Arc<Lives>) -> Self {
        let now = lives.now.fetch_add(1, Ordering::Relaxed) + 1;
        lives.most.fetch_max(now, Ordering::Relaxed);
        lives.all.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(lives))
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Frames of HTTP/2 that a client writes.
struct Frames(Vec<u8>);

impl Frames {
    /// The preface, and no settings.
    fn first() -> Self {
        Self(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec())
    }

    /// Of the stream of that index.
    fn put(&mut self, kind: u8, flags: u8, index: usize, payload: &[u8]) {
        let length = (payload.len() as u32).to_be_bytes();
        self.0.extend(&length[1..]);
        self.0.extend([kind, flags]);
        self.0.extend((2 * index as u32 + 1).to_be_bytes());
        self.0.extend(payload);
    }

    /// HEADERS with no body behind them: GET of http, path `/`.
    fn get(&mut self, index: usize) {
        self.put(1, 5, index, &[0x82, 0x86, 0x84]);
    }

    /// HEADERS and DATA of a request with a body: POST of http, path `/`.
    fn post(&mut self, index: usize, body: &[u8]) {
        self.put(1, 4, index, &[0x83, 0x86, 0x84]);
        self.put(0, 1, index, body);
    }

    /// RST_STREAM: CANCEL.
    fn reset(&mut self, index: usize) {
        self.put(3, 0, index, &[0, 0, 0, 8]);
    }
}

/// Serves what a client writes, of which no request is answered, until as many have begun. `look`
/// is called after every turn.
async fn serve(
    stream: DuplexStream,
    lives: &Arc<Lives>,
    requests_max: usize,
    mut look: impl FnMut(),
) {
    let service = service_fn(|_: Request<Incoming>| {
        let life = Life::of(lives);
        async move {
            let _life = life;
            pending::<Result<Response<String>, io::Error>>().await
        }
    });
    let mut requests = Http2Requests::default();
    let stream = TokioIo::new(requests.read_in_turns(stream));
    let mut serving = pin!(
        http2::Builder::new(requests.executor())
            .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
            .serve_connection(stream, service)
    );
    poll_fn(|cx| {
        let polled = requests.poll(serving.as_mut(), cx);
        look();
        match lives.all.load(Ordering::Relaxed) < requests_max {
            true => polled.map(|ended| panic!("{ended:?}")),
            false => Poll::Ready(()),
        }
    })
    .await;
}

/// Writes all that, and reads until the server goes.
async fn ask(client: DuplexStream, frames: Frames) {
    let (mut reader, mut writer) = tokio::io::split(client);
    let mut nowhere = tokio::io::sink();
    // The server may go before it has read what is behind the last request.
    let _ = tokio::join!(
        tokio::io::copy(&mut reader, &mut nowhere),
        writer.write_all(&frames.0)
    );
}

/// hyper reads on as often as it has found a request.
#[tokio::test]
async fn a_turn_ends_however_many_requests_were_read_in_it() {
    const ASKED: usize = 400;
    let (client, server) = tokio::io::duplex(1024 * 1024);
    let mut frames = Frames::first();
    (0..ASKED).for_each(|index| frames.post(index, &[b'x'; 1_024]));
    let lives = Arc::new(Lives::default());
    let (mut before, mut most) = (0, 0);
    let look = || {
        let now = lives.now.load(Ordering::Relaxed);
        most = most.max(now.saturating_sub(before));
        before = now;
    };
    tokio::join!(serve(server, &lives, ASKED, look), ask(client, frames));
    // The last read of a turn is of some KiB.
    let bound = 2 * limits::HTTP2_BYTES_PER_TURN_MAX / 1_024;
    assert!(
        most <= bound,
        "{most} begun in a turn, expected at most {bound}"
    );
}

/// Streams that a client resets no longer count for HTTP/2, but their requests are there until
/// they have had their turns.
#[tokio::test]
async fn requests_that_are_taken_back_make_way_for_new_ones() {
    const ASKED: usize = 20 * limits::HTTP2_STREAMS_MAX as usize;
    // Reset a turn later at least, so they have begun.
    const BEHIND: usize = 1_900;
    let (client, server) = tokio::io::duplex(1024 * 1024);
    let mut frames = Frames::first();
    (0..BEHIND).for_each(|index| frames.get(index));
    // Frames of a kind that there is not are passed over.
    for _ in 0..limits::HTTP2_BYTES_PER_TURN_MAX / 1_024 {
        frames.put(0xff, 0, 0, &[0; 1_024]);
    }
    for index in BEHIND..ASKED {
        frames.get(index);
        frames.reset(index - BEHIND);
    }
    let lives = Arc::new(Lives::default());
    tokio::join!(serve(server, &lives, ASKED, || {}), ask(client, frames));
    let most = lives.most.load(Ordering::Relaxed);
    // Those that were begun in one turn besides.
    let bound = limits::HTTP2_STREAMS_MAX as usize + limits::HTTP2_BYTES_PER_TURN_MAX / 12;
    assert!(most >= BEHIND, "{most} under way");
    assert!(most <= bound, "{most} under way, expected at most {bound}");
}

#[tokio::test]
async fn what_is_read_in_turns_is_all_there() {
    let sent: Vec<u8> = (0..3 * limits::HTTP2_BYTES_PER_TURN_MAX)
        .map(|i| i as u8)
        .collect();
    let mut requests = Http2Requests::default();
    let mut stream = requests.read_in_turns(&sent[..]);
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
    let mut connection = pin!(pending::<()>());
    tokio::select! {
        read = stream.read_exact(&mut buffer[read..]) => { read.unwrap(); }
        () = requests.drive(connection.as_mut()) => {}
    }
    assert_eq!(buffer, sent);
}
