//! A server to test against, and a Remoting peer that speaks in raw frames.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::host::{TestHost, open};
use base::{Clock, InstanceId, SeededRandom, Sleep, Timestamp};
use broker::{Instance, InstanceSettings, Instances, InstancesParts, Router, Serves};
use bytes::BytesMut;
use gateway::{
    Advertise, DiskSpace, Drained, Front, FrontSettings, ListenAddress, Running, Series,
    Surroundings, TlsSetup,
};
use store::{fs::FolderDisk, log::local::Committer, meta::EmbeddedMetadata};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
};
use wire::{
    otlp::trace::v1::Span,
    remoting::{Command, Header, RequestCode, SerializeType, body::Body, frame},
};

/// Nothing that a test waits for takes this long; what does has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The outcome of `work`, or a failed test.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("{what} took longer than {PATIENCE:?}"),
    }
}

/// The machine's time, which tests can push forward.
pub(crate) struct TestClock {
    start: Instant,
    skew: watch::Sender<Duration>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of tests that run on real sockets"
)]
impl TestClock {
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            skew: watch::Sender::new(Duration::ZERO),
        })
    }

    /// Makes it `duration` later for everybody who waits.
    pub(crate) fn advance(&self, duration: Duration) {
        self.skew.send_modify(|skew| *skew += duration);
    }

    fn at(&self) -> Duration {
        self.start.elapsed() + *self.skew.borrow()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of tests that run on real sockets"
)]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = since.unwrap() + *self.skew.borrow();
        Timestamp::from_ms(now.as_millis().try_into().unwrap())
    }

    fn elapsed(&self) -> Duration {
        self.at()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut skew = self.skew.subscribe();
        let start = self.start;
        let until = self.at() + duration;
        Box::pin(async move {
            loop {
                let now = start.elapsed() + *skew.borrow_and_update();
                let Some(left) = until.checked_sub(now).filter(|left| !left.is_zero()) else {
                    return;
                };
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    changed = skew.changed() => if changed.is_err() {
                        tokio::time::sleep(left).await;
                    },
                }
            }
        })
    }
}

/// How a test server differs from the usual one.
pub(crate) struct Setup {
    pub(crate) create_automatically: bool,
    pub(crate) access_control: bool,
    pub(crate) advertise: Option<Advertise>,
    pub(crate) client_metrics: bool,
    pub(crate) message_trace: bool,
    /// Who is given all spans.
    pub(crate) spans: Option<mpsc::Sender<Vec<Span>>>,
    pub(crate) series: Series,
    /// Instances besides the default one, which get no shard.
    pub(crate) instances: Vec<&'static str>,
    /// Whether there are releases and updates, though no nodes.
    pub(crate) control: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            create_automatically: true,
            access_control: false,
            advertise: None,
            client_metrics: true,
            message_trace: false,
            spans: None,
            series: Series::Any,
            instances: Vec::new(),
            control: false,
        }
    }
}

/// A server on a free port, over a folder that goes with it.
pub(crate) struct Server {
    pub(crate) front: Arc<Front>,
    pub(crate) instance: Arc<Instance>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) address: SocketAddr,
    /// Where requests need no credentials.
    pub(crate) trusted_address: SocketAddr,
    pub(crate) vip_address: Option<SocketAddr>,
    running: Option<Running>,
    committer: Arc<Committer>,
    _folder: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let test_clock = TestClock::start();
        let clock: Arc<dyn Clock> = test_clock.clone();
        let runtime = Some(tokio::runtime::Handle::current());
        let committer = Committer::start("committer", clock.clone(), runtime);
        let committer = Arc::new(committer.unwrap());
        let router = Arc::new(Router::default());
        let settings = |series| InstanceSettings {
            create_automatically: setup.create_automatically,
            automatic_queues: 8,
            access_control: setup.access_control,
            series,
            ..InstanceSettings::default()
        };
        let metadata_disk = FolderDisk::open(&folder.path().join("metadata")).unwrap();
        let metadata = EmbeddedMetadata::open(metadata_disk, clock.clone()).unwrap();
        let parts = InstancesParts {
            metadata: metadata.clone(),
            router: router.clone(),
            host: TestHost::new(
                folder.path(),
                metadata,
                clock.clone(),
                committer.clone(),
                settings(setup.series),
            ),
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(11)),
            default_series: setup.series,
            series_4_created: true,
            node: None,
            serves: Serves::default(),
        };
        let instances = Instances::open(parts).await.unwrap();
        let default = InstanceId::default_instance();
        let first = router.instance(&default).unwrap();
        for id in setup.instances.iter().copied() {
            let path = folder.path().join(id);
            std::fs::create_dir_all(&path).unwrap();
            let instance = open(&path, id, settings(setup.series), &committer, &clock).await;
            router.add(instance);
        }
        let settings = FrontSettings {
            advertise: setup.advertise,
            default_instance: InstanceId::default_instance(),
            client_metrics: setup.client_metrics,
            message_trace: setup.message_trace,
            ..FrontSettings::default()
        };
        let surroundings = Surroundings {
            retention_hours: 72,
            processors: 3,
            disk_space: Box::new(|| {
                Some(DiskSpace {
                    total: 1_000 << 30,
                    free: 400 << 30,
                    available: 400 << 30,
                })
            }),
        };
        let mut front = Front::new(router, clock, settings)
            .with_instances(instances)
            .with_surroundings(surroundings);
        if let Some(out) = setup.spans {
            front = front.with_spans(100, out);
        }
        if setup.control {
            let control = crate::control::open(folder.path(), test_clock.clone()).await;
            front = front.with_control(control);
        }
        let front = Arc::new(front);
        let listen = ListenAddress {
            host: "127.0.0.1".to_owned(),
            port: 0,
            admin: false,
            trusted: false,
        };
        let tls = TlsSetup::Kept {
            folder: folder.path().join("tls"),
            names: Vec::new(),
        };
        let trusted = ListenAddress {
            trusted: true,
            ..listen.clone()
        };
        let running = gateway::serve(front.clone(), vec![listen, trusted], tls)
            .await
            .unwrap();
        Self {
            front,
            instance: first,
            clock: test_clock,
            address: running.addresses()[0],
            trusted_address: running.addresses()[1],
            vip_address: running.vip_addresses().first().copied(),
            running: Some(running),
            committer,
            _folder: folder,
        }
    }

    /// Creates an instance of that series.
    pub(crate) async fn create_instance(&self, series: Series) -> Arc<Instance> {
        let spec = broker::InstanceSpec {
            series,
            ..broker::InstanceSpec::default()
        };
        let instances = self.front.instances.as_ref().unwrap();
        let record = instances.create(spec).await.unwrap();
        self.front.router.instance(&record.id).unwrap()
    }

    /// Stops it as a server is stopped.
    pub(crate) async fn drain(&mut self, limit: Duration) -> Drained {
        let running = self.running.take().expect("a server is drained once");
        soon("drain", running.drain(limit)).await
    }

    /// What comes back over HTTP/1.1 for that request, until the server closes the connection.
    pub(crate) async fn over_http(&self, request: &str) -> String {
        let mut socket = self.connect().await;
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("answer", socket.read_to_string(&mut answer))
            .await
            .unwrap();
        answer
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        soon("connect", TcpStream::connect(self.address))
            .await
            .unwrap()
    }

    pub(crate) async fn peer(&self) -> Peer {
        Peer::over(self.connect().await)
    }

    /// Does what is due: messages are released, producers asked.
    pub(crate) async fn release(&self) {
        let shard = self.instance.shards().remove(0);
        shard.release_due().await.unwrap();
        // What was released is visible once it is durable.
        let log = shard.log();
        log.durable(log.tail()).await.unwrap();
    }

    /// Waits until as many connections are open.
    pub(crate) async fn until_connections(&self, count: usize) {
        soon("connections to come or go", async {
            while self.front.connections() != count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.committer.stop();
    }
}

/// A Remoting client that writes and reads frames, and knows nothing more.
pub(crate) struct Peer<S = TcpStream> {
    pub(crate) socket: S,
    input: BytesMut,
    pub(crate) serialize_type: SerializeType,
    opaque: i32,
    pushed: VecDeque<Command>,
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn over(socket: S) -> Self {
        let serialize_type = SerializeType::RocketMq;
        Self {
            socket,
            input: BytesMut::new(),
            serialize_type,
            opaque: 100,
            pushed: VecDeque::new(),
        }
    }

    /// A request with an `opaque` of its own.
    pub(crate) fn command<'a>(&mut self, code: RequestCode, header: &impl Header<'a>) -> Command {
        self.opaque += 1;
        let serialize_type = self.serialize_type;
        Command {
            opaque: self.opaque,
            serialize_type,
            ..Command::request(code, header)
        }
    }

    pub(crate) async fn send(&mut self, command: &Command) {
        let mut bytes = BytesMut::new();
        frame::encode(command, &mut bytes).unwrap();
        soon("write", self.socket.write_all(&bytes)).await.unwrap();
    }

    /// The next answer, `None` if the server closed. Requests from the server are kept.
    pub(crate) async fn receive(&mut self) -> Option<Command> {
        loop {
            let command = self.receive_any().await?;
            if command.is_response() {
                return Some(command);
            }
            self.pushed.push_back(command);
        }
    }

    /// The next request from the server.
    pub(crate) async fn pushed(&mut self) -> Command {
        if let Some(command) = self.pushed.pop_front() {
            return command;
        }
        let command = self
            .receive_any()
            .await
            .expect("the server pushes a request");
        assert!(!command.is_response(), "{command:?}");
        command
    }

    async fn receive_any(&mut self) -> Option<Command> {
        soon("answer", async {
            loop {
                if let Some(command) = frame::decode(&mut self.input, usize::MAX).unwrap() {
                    return Some(command);
                }
                match self.socket.read_buf(&mut self.input).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
    }

    /// Sends and returns the answer to that very request.
    pub(crate) async fn ask(&mut self, command: &Command) -> Command {
        self.send(command).await;
        let answer = self.receive().await.expect("the server answers");
        assert_eq!(answer.opaque, command.opaque);
        assert_eq!(answer.serialize_type, command.serialize_type);
        answer
    }

    /// [`Peer::ask`] with a header only.
    pub(crate) async fn call<'a>(
        &mut self,
        code: RequestCode,
        header: &impl Header<'a>,
    ) -> Command {
        let command = self.command(code, header);
        self.ask(&command).await
    }

    /// [`Peer::ask`] with a JSON body only.
    pub(crate) async fn post(&mut self, code: RequestCode, body: &impl Body) -> Command {
        let command = self.command(code, &()).with_body(body.encode());
        self.ask(&command).await
    }
}
