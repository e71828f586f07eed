//! One connection that carries many requests at once, told apart by their opaque number.
//!
//! Senders write their frames into a shared buffer; one task writes whatever has gathered there in
//! one go, another reads answers and hands each to whoever waits for it. Requests that nobody
//! answered in time are given up by the reading task, so a request costs no timer of its own.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use base::limits;
use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, Semaphore, mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use wire::remoting::{Command, RequestCode, ResponseCode, SerializeType, frame};

use crate::{ClientError, Credentials, tls};

/// How often requests without an answer are looked for; so much later than its limit may one fail.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// Room kept for what the server sends next.
const READ_BYTES: usize = 64 * 1024;

/// A written buffer that grew past this is not kept.
const WRITE_BYTES_KEPT_MAX: usize = 1024 * 1024;

/// How to connect and how long to wait.
#[derive(Clone, Debug)]
pub struct RemotingOptions {
    /// Form of request headers; the server answers in the same.
    pub serialize_type: SerializeType,
    /// Whether to encrypt; any certificate is taken.
    pub tls: bool,
    /// Who sends the requests; `None` signs nothing.
    pub credentials: Option<Credentials>,
    /// The instance that lists of topics and groups are asked of; `None` is the default one. All
    /// other requests name theirs before the topic or group.
    pub instance: Option<String>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for an answer. Long polls add what they ask the server to wait.
    pub request_timeout: Duration,
    /// Most requests under way at once; further ones wait for their turn.
    pub in_flight_max: usize,
    /// Where requests of the server go (such as notices of changed consumer lists). They are
    /// dropped if there is no room, or nobody to take them.
    pub pushed: Option<mpsc::Sender<Command>>,
}

impl Default for RemotingOptions {
    fn default() -> Self {
        Self {
            serialize_type: SerializeType::RocketMq,
            tls: false,
            credentials: None,
            instance: None,
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(5),
            in_flight_max: 1_024,
            pushed: None,
        }
    }
}

/// A connection to one server. Clones share it; it closes when the last one is dropped.
#[derive(Clone, Debug)]
pub struct RemotingClient {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close("closed by this side");
    }
}

#[derive(Debug)]
struct Shared {
    address: String,
    options: RemotingOptions,
    turns: Semaphore,
    state: Mutex<State>,
    /// Wakes the writing task: there is something to write, or the end has come.
    written: Notify,
    /// Wakes the reading task at the end.
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    next_opaque: i32,
    waiting: HashMap<i32, Waiting>,
    out: BytesMut,
    closed: Option<String>,
}

#[derive(Debug)]
struct Waiting {
    request: &'static str,
    after: Duration,
    deadline: Instant,
    answer: oneshot::Sender<Result<Command, ClientError>>,
}

impl RemotingClient {
    /// Connects to `address`, a host and port.
    ///
    /// # Errors
    /// When nobody listens there, or does not answer within the limit.
    pub async fn connect(address: &str, options: RemotingOptions) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect {
            address: address.to_owned(),
            source,
        };
        let limit = options.connect_timeout;
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let shared = Arc::new(Shared {
                address: address.to_owned(),
                turns: Semaphore::new(options.in_flight_max),
                state: Mutex::default(),
                written: Notify::new(),
                ended: Notify::new(),
                options,
            });
            if shared.options.tls {
                let stream = tls::connect(stream, address, &[]).await?;
                let (reader, writer) = tokio::io::split(stream);
                start(&shared, reader, writer);
            } else {
                let (reader, writer) = stream.into_split();
                start(&shared, reader, writer);
            }
            Ok(Self {
                handle: Arc::new(Handle(shared)),
            })
        };
        match timeout(limit, connect).await {
            Ok(connected) => connected.map_err(failed),
            Err(_) => Err(ClientError::ConnectTimeout {
                address: address.to_owned(),
                after: limit,
            }),
        }
    }

    /// The server's address as it was given.
    pub fn address(&self) -> &str {
        &self.handle.0.address
    }

    /// The instance that lists are asked of.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.handle.0.options.instance.as_deref()
    }

    /// Longest wait for an answer to a plain request.
    pub(super) fn request_timeout(&self) -> Duration {
        self.handle.0.options.request_timeout
    }

    /// Sends a request and waits for its answer, whatever that says. `opaque` and serialization are
    /// set here.
    ///
    /// # Errors
    /// When the connection ends or no answer comes in time.
    pub async fn request(&self, command: Command) -> Result<Command, ClientError> {
        self.request_within(command, self.request_timeout()).await
    }

    /// [`RemotingClient::request`] with a limit of its own.
    ///
    /// # Errors
    /// When the connection ends or no answer comes in time.
    pub async fn request_within(
        &self,
        command: Command,
        limit: Duration,
    ) -> Result<Command, ClientError> {
        let shared = &self.handle.0;
        let _turn = shared
            .turns
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let (sender, receiver) = oneshot::channel();
        shared.enqueue(command, Some((limit, sender)))?;
        receiver
            .await
            .unwrap_or_else(|_| Err(shared.closed_error("its reader stopped")))
    }

    /// Sends a request that wants no answer.
    ///
    /// # Errors
    /// When the connection has ended. That the request was written does not mean that it arrived.
    pub async fn oneway(&self, command: Command) -> Result<(), ClientError> {
        let shared = &self.handle.0;
        let _turn = shared
            .turns
            .acquire()
            .await
            .expect("the semaphore is never closed");
        shared.enqueue(command.as_oneway(), None)
    }

    /// [`RemotingClient::request`], with every answer but success as an error.
    ///
    /// # Errors
    /// When the server refuses, the connection ends or no answer comes in time.
    pub async fn call(&self, command: Command) -> Result<Command, ClientError> {
        let request = request_name(&command);
        let answer = self.request(command).await?;
        self.expect_success(request, answer)
    }

    /// The answer if it says success, else the error it stands for.
    pub(super) fn expect_success(
        &self,
        request: &'static str,
        answer: Command,
    ) -> Result<Command, ClientError> {
        if answer.response_code() == Some(ResponseCode::Success) {
            return Ok(answer);
        }
        Err(self.refused(request, &answer))
    }

    /// The error that an answer stands for.
    pub(super) fn refused(&self, request: &'static str, answer: &Command) -> ClientError {
        ClientError::Refused {
            address: self.address().to_owned(),
            request,
            code: answer.code,
            remark: answer
                .remark
                .clone()
                .unwrap_or_else(|| "no reason given".to_owned()),
        }
    }

    /// The error of an answer that cannot be understood.
    pub(super) fn unexpected(
        &self,
        request: &'static str,
        reason: impl std::fmt::Display,
    ) -> ClientError {
        ClientError::Answer {
            address: self.address().to_owned(),
            request,
            reason: reason.to_string(),
        }
    }
}

/// Name of what a command asks, for errors.
pub(super) fn request_name(command: &Command) -> &'static str {
    command.request_code().map_or("request", RequestCode::name)
}

impl Shared {
    fn enqueue(
        &self,
        mut command: Command,
        answer: Option<(Duration, oneshot::Sender<Result<Command, ClientError>>)>,
    ) -> Result<(), ClientError> {
        // The binary form has 16 bits for the code.
        command.serialize_type = match i16::try_from(command.code) {
            Ok(_) => self.options.serialize_type,
            Err(_) => SerializeType::Json,
        };
        let request = request_name(&command);
        let mut state = self.state.lock();
        if let Some(reason) = &state.closed {
            return Err(self.closed_error(reason));
        }
        let opaque = state.next_opaque;
        state.next_opaque = opaque.wrapping_add(1);
        command.opaque = opaque;
        if let Some(credentials) = &self.options.credentials {
            credentials.sign(&mut command);
        }
        frame::encode(&command, &mut state.out).map_err(|source| ClientError::Request {
            address: self.address.clone(),
            source,
        })?;
        if let Some((after, answer)) = answer {
            let deadline = Instant::now() + after;
            state.waiting.insert(
                opaque,
                Waiting {
                    request,
                    after,
                    deadline,
                    answer,
                },
            );
        }
        drop(state);
        self.written.notify_one();
        Ok(())
    }

    fn closed_error(&self, reason: &str) -> ClientError {
        ClientError::Closed {
            address: self.address.clone(),
            reason: reason.to_owned(),
        }
    }

    /// Ends the connection: everybody who waits is told why. The first reason stays.
    fn close(&self, reason: &str) {
        let waiting = {
            let mut state = self.state.lock();
            if state.closed.is_none() {
                state.closed = Some(reason.to_owned());
            }
            std::mem::take(&mut state.waiting)
        };
        for (_, waiting) in waiting {
            // Whoever asked may have stopped waiting.
            let _ = waiting.answer.send(Err(self.closed_error(reason)));
        }
        self.written.notify_one();
        self.ended.notify_one();
    }

    /// Gives up requests whose time is over.
    fn sweep(&self) {
        let now = Instant::now();
        let late: Vec<Waiting> = {
            let mut state = self.state.lock();
            state
                .waiting
                .extract_if(|_, waiting| waiting.deadline <= now)
                .map(|(_, w)| w)
                .collect()
        };
        for waiting in late {
            let error = ClientError::Timeout {
                address: self.address.clone(),
                request: waiting.request,
                after: waiting.after,
            };
            // Whoever asked may have stopped waiting.
            let _ = waiting.answer.send(Err(error));
        }
    }

    fn take(&self, command: Command) {
        if !command.is_response() {
            if let Some(pushed) = &self.options.pushed {
                // Dropped when there is no room: a pushed command never holds up answers.
                let _ = pushed.try_send(command);
            }
            return;
        }
        let waiting = self.state.lock().waiting.remove(&command.opaque);
        if let Some(waiting) = waiting {
            // Whoever asked may have stopped waiting.
            let _ = waiting.answer.send(Ok(command));
        }
    }
}

fn start<R, W>(shared: &Arc<Shared>, reader: R, writer: W)
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let this = Arc::clone(shared);
    tokio::spawn(async move {
        let reason = match read(&this, reader).await {
            Ok(()) => "closed by the server".to_owned(),
            Err(error) => error.to_string(),
        };
        this.close(&reason);
    });
    let this = Arc::clone(shared);
    tokio::spawn(async move {
        if let Err(error) = write(&this, writer).await {
            this.close(&error.to_string());
        }
    });
}

async fn read(shared: &Shared, mut reader: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    let mut sweeps = interval(SWEEP_INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        buffer.reserve(READ_BYTES);
        tokio::select! {
            read = reader.read_buf(&mut buffer) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            _ = sweeps.tick() => {
                shared.sweep();
                continue;
            }
            () = shared.ended.notified() => return Ok(()),
        }
        while let Some(command) = frame::decode(&mut buffer, limits::REMOTING_FRAME_BYTES_MAX)
            .map_err(io::Error::other)?
        {
            shared.take(command);
        }
    }
}

async fn write(shared: &Shared, mut writer: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut chunk = BytesMut::new();
    loop {
        let closed = {
            let mut state = shared.state.lock();
            std::mem::swap(&mut chunk, &mut state.out);
            state.closed.is_some()
        };
        if !chunk.is_empty() {
            writer.write_all(&chunk).await?;
            if chunk.capacity() > WRITE_BYTES_KEPT_MAX {
                chunk = BytesMut::new();
            }
            chunk.clear();
        } else if closed {
            return writer.shutdown().await;
        } else {
            shared.written.notified().await;
            // Others that are about to send are let go first, so that one write takes all of them.
            tokio::task::yield_now().await;
        }
    }
}
