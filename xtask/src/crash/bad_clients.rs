//! `cargo xtask badclients`: garbage, half and oversized frames and slow connections on every port,
//! while an ordinary client is served all the time and the server's memory stays bounded.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base::{Random as _, SeededRandom, limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::message::body_of_len;
use super::outlet::{self, Outlet, Protocol};
use super::server::Server;
use super::{Options, reader, runtime};
use crate::conformance::deadline::{Deadline, Stopwatch};

const TOPIC: &str = "bad-clients";

const LISTENERS: usize = 2;

/// Connections of one kind on one port that are held open together.
const HELD: u32 = 20;

/// How often a held connection sends one more byte.
const TRICKLE: Duration = Duration::from_millis(500);

/// Most that one request of the ordinary client may take meanwhile; alone it takes a few ms.
const REQUEST_MAX: Duration = Duration::from_secs(3);

/// Most that the server's memory may grow by. Whoever believed the frame lengths that are promised
/// here would need ten times as much.
const GROWTH_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// For the server to let go of the connections after their clients have gone.
const RELEASE: Duration = Duration::from_secs(20);

/// Open files that may remain: of segments, and of clients that work.
const FILES_SLACK: usize = 10;

/// What the server gets to know of a connection's bad will, at most this long after its time is
/// over.
const SLACK: Duration = Duration::from_secs(5);

/// What a bad client does.
#[derive(Clone, Copy, Debug)]
enum Attack {
    RandomBytes,
    FrameTooLarge,
    FrameTooSmall,
    HeaderLongerThanFrame,
    HeaderOfGarbage,
    HugePromise,
    HalfFrame,
    Silence,
    TwoBytes,
    HalfTlsHello,
    HalfHttp2Preface,
    Http2Garbage,
    HttpEndlessHeader,
    HttpSlowHeader,
}

impl Attack {
    const ALL: &[Self] = &[
        Self::RandomBytes,
        Self::FrameTooLarge,
        Self::FrameTooSmall,
        Self::HeaderLongerThanFrame,
        Self::HeaderOfGarbage,
        Self::HugePromise,
        Self::HalfFrame,
        Self::Silence,
        Self::TwoBytes,
        Self::HalfTlsHello,
        Self::HalfHttp2Preface,
        Self::Http2Garbage,
        Self::HttpEndlessHeader,
        Self::HttpSlowHeader,
    ];

    /// What is sent at once.
    fn bytes(self, random: &SeededRandom) -> Vec<u8> {
        let garbage = |len: u64| {
            (0..len)
                .map(|_| random.next().to_le_bytes()[0])
                .collect::<Vec<u8>>()
        };
        let frame = |length: u32, header: u32, rest: Vec<u8>| {
            [
                length.to_be_bytes().to_vec(),
                header.to_be_bytes().to_vec(),
                rest,
            ]
            .concat()
        };
        let largest = u32::try_from(limits::REMOTING_FRAME_BYTES_MAX).unwrap_or(u32::MAX);
        match self {
            Self::RandomBytes => garbage(1 + random.below(4_096)),
            Self::FrameTooLarge => frame(largest + 1, 20, garbage(64)),
            Self::FrameTooSmall => frame(0, 0, Vec::new()),
            Self::HeaderLongerThanFrame => frame(100, 5_000, garbage(96)),
            Self::HeaderOfGarbage => frame(104, 100, garbage(100)),
            Self::HugePromise => frame(largest - 1, 200, garbage(100)),
            Self::HalfFrame => frame(1_000, 200, b"{\"code\":310,".to_vec()),
            Self::Silence => Vec::new(),
            Self::TwoBytes => vec![0, 0],
            Self::HalfTlsHello => vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01],
            Self::HalfHttp2Preface => b"PRI * HT".to_vec(),
            // A frame of 16 MiB and of no known type, before any settings.
            Self::Http2Garbage => {
                let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
                [preface, vec![0xff; 9], garbage(200)].concat()
            }
            Self::HttpEndlessHeader => {
                let mut request = b"GET / HTTP/1.1\r\nx: ".to_vec();
                request.resize(limits::HTTP_HEADER_BYTES_MAX * 4, b'a');
                request
            }
            Self::HttpSlowHeader => b"GET / HTTP/1.1\r\nhost:".to_vec(),
        }
    }

    /// Time after which the server must have closed the connection; None if it may stay open for as
    /// long as this test takes.
    fn closed_within(self) -> Option<Duration> {
        let promised = match self {
            Self::FrameTooLarge
            | Self::FrameTooSmall
            | Self::HeaderLongerThanFrame
            | Self::Http2Garbage
            | Self::HttpEndlessHeader => 0,
            Self::Silence | Self::TwoBytes => limits::FIRST_BYTES_WAIT_MS_MAX,
            Self::HalfTlsHello => limits::TLS_HANDSHAKE_MS_MAX,
            // Random bytes may look like the beginning of anything.
            Self::RandomBytes
            | Self::HeaderOfGarbage
            | Self::HugePromise
            | Self::HalfFrame
            | Self::HalfHttp2Preface
            | Self::HttpSlowHeader => return None,
        };
        Some(Duration::from_millis(promised) + SLACK)
    }
}

/// Attacks a server for a while.
pub(crate) fn run(options: &Options, seconds: u32) -> Result<()> {
    let random = Arc::new(SeededRandom::new(options.seed()));
    let runtime = runtime()?;
    let folder = tempfile::tempdir().context("create the data folder")?;
    let data = folder.path().join("data");
    let mut server = Server::new(
        "bad-clients",
        &options.server_binary,
        &data,
        LISTENERS,
        &random,
    )?;
    server.start()?;
    let address = server.address();
    runtime.block_on(outlet::create_topic(&address, TOPIC, 1))?;
    // One quiet second of ordinary work, to compare with.
    let quiet = runtime.block_on(work(
        address.clone(),
        Deadline::after(Duration::from_secs(1)),
    ))?;
    let (memory, files) = (server.resident_bytes()?, server.open_files()?);

    let deadline = Deadline::after(Duration::from_secs(u64::from(seconds)));
    let ports: Vec<u16> = server.ports().collect();
    let busy = runtime.block_on(async {
        let mut attacks = JoinSet::new();
        for port in ports {
            for attack in Attack::ALL {
                attacks.spawn(keep_up(*attack, port, deadline, Arc::clone(&random)));
            }
        }
        let busy = work(address, deadline).await?;
        let mut connections = 0;
        while let Some(ended) = attacks.join_next().await {
            connections += ended.context("an attack broke")??;
        }
        println!("{connections} bad connections");
        Ok::<_, anyhow::Error>(busy)
    })?;
    server.let_run(Duration::ZERO)?;
    println!(
        "quiet: {} requests, slowest {} ms",
        quiet.requests,
        quiet.slowest.as_millis()
    );
    println!(
        "attacked: {} requests, slowest {} ms",
        busy.requests,
        busy.slowest.as_millis()
    );
    let growth = server.resident_bytes_peak()?.saturating_sub(memory);
    println!(
        "memory: {} MiB, and at most {} MiB more",
        memory >> 20,
        growth >> 20
    );
    ensure!(
        growth <= GROWTH_BYTES_MAX,
        "the server took {growth} bytes more, expected a bound"
    );

    let release = Deadline::after(RELEASE);
    while server.open_files()? > files + FILES_SLACK {
        let open = server.open_files()?;
        ensure!(
            release.remaining() > Duration::ZERO,
            "{open} files are open after the bad clients have gone, {files} before they came"
        );
        server.let_run(Duration::from_millis(100))?;
    }
    server.stop()?;
    server.expect_no_panic()
}

/// What an ordinary client saw.
struct Work {
    requests: u64,
    slowest: Duration,
}

/// Sends over both protocols and reads, one request after the other; none may fail or take long.
async fn work(address: String, deadline: Deadline) -> Result<Work> {
    let mut outlets = Vec::new();
    for protocol in Protocol::ALL {
        outlets.push(Outlet::connect(protocol, &address).await?);
    }
    let consumer = outlet::remoting(&address).await?;
    let mut offset = consumer.max_offset(TOPIC, 0).await?;
    let mut work = Work {
        requests: 0,
        slowest: Duration::ZERO,
    };
    while deadline.remaining() > Duration::ZERO {
        let watch = Stopwatch::start();
        for outlet in &outlets {
            let key = format!("work-{offset}");
            outlet
                .send(TOPIC, &key, body_of_len(&key, 1_024))
                .await
                .context("ordinary send")?;
        }
        let (messages, next) =
            reader::pull_once(&consumer, TOPIC, 0, offset, Duration::ZERO).await?;
        ensure!(
            messages.len() == outlets.len(),
            "ordinary pull: {} messages",
            messages.len()
        );
        // A new client gets in as well.
        drop(
            outlet::remoting(&address)
                .await
                .context("connect an ordinary client")?,
        );
        offset = next;
        work.requests += 4;
        work.slowest = work.slowest.max(watch.elapsed());
        ensure!(
            work.slowest <= REQUEST_MAX,
            "requests took {} ms",
            work.slowest.as_millis()
        );
    }
    Ok(work)
}

/// One kind of attack on one port, again and again; how many connections it made.
async fn keep_up(
    attack: Attack,
    port: u16,
    deadline: Deadline,
    random: Arc<SeededRandom>,
) -> Result<u64> {
    let mut connections = 0;
    if let Some(limit) = attack.closed_within() {
        while deadline.remaining() > Duration::ZERO {
            connections += 1;
            let stream = open(attack, port, &random).await?;
            let closed = timeout(limit, until_closed(stream)).await;
            ensure!(
                closed.is_ok(),
                "{attack:?} on port {port} is open after {limit:?}"
            );
        }
        return Ok(connections);
    }
    let mut held = Vec::new();
    for _ in 0..HELD {
        held.push(open(attack, port, &random).await?);
        connections += 1;
    }
    let mut trickle = interval(TRICKLE);
    while deadline.remaining() > Duration::ZERO {
        trickle.tick().await;
        for stream in &mut held {
            // The server may have closed it, which is its right.
            let _ = stream.write_all(b"a").await;
        }
    }
    Ok(connections)
}

async fn open(attack: Attack, port: u16, random: &SeededRandom) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .with_context(|| format!("connect to port {port} for {attack:?}"))?;
    // The server may close it before it has read everything.
    let _ = stream.write_all(&attack.bytes(random)).await;
    Ok(stream)
}

/// Reads until the server closes the connection, whatever it says before.
async fn until_closed(mut stream: TcpStream) {
    let mut buffer = [0; 4_096];
    while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {}
}
