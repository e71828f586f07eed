//! The gRPC protocol of 5.x clients: a connection, and thin calls on the generated stubs.

mod channel;
mod collector;
mod telemetry;

use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::timeout;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
};
use wire::grpc_v2::{
    self as v2, AckMessageRequest, AckMessageResponse, Message, QueryRouteRequest,
    QueryRouteResponse, ReceiveMessageRequest, SendMessageRequest, SendMessageResponse,
    SyncLiteSubscriptionRequest, messaging_service_client::MessagingServiceClient,
    receive_message_response::Content,
};

use self::channel::Channel;
pub use self::collector::SpanCollector;
pub use self::telemetry::TelemetrySession;
use crate::{ClientError, Credentials};

/// Largest answer that is taken: a full receive of the largest messages.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What requests sign: the value of `x-mq-date-time`. Servers check that it was signed, not when,
/// so that one text serves for all requests of a connection.
const SIGNED_TEXT: &str = "19700101T000000Z";

/// How to connect and how long to wait.
#[derive(Clone, Debug)]
pub struct GrpcOptions {
    /// Whether to encrypt; any certificate is taken.
    pub tls: bool,
    /// Who sends the requests; `None` signs nothing.
    pub credentials: Option<Credentials>,
    /// How this client is called.
    pub client_id: String,
    /// Namespace of topics and groups, empty for none.
    pub namespace: String,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for an answer. Long polls add what they ask the server to wait.
    pub request_timeout: Duration,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            tls: false,
            credentials: None,
            client_id: "carrack".to_owned(),
            namespace: String::new(),
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(5),
        }
    }
}

/// A connection to one server. Clones share it; it closes when the last one is dropped.
#[derive(Clone, Debug)]
pub struct GrpcClient {
    stub: MessagingServiceClient<Channel>,
    address: String,
    metadata: MetadataMap,
    request_timeout: Duration,
}

impl GrpcClient {
    /// Connects to `address`, a host and port.
    ///
    /// # Errors
    /// When nobody listens there, or does not answer within the limit.
    pub async fn connect(address: &str, options: GrpcOptions) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect {
            address: address.to_owned(),
            source,
        };
        let limit = options.connect_timeout;
        let connected = timeout(limit, channel::connect(address, options.tls)).await;
        let (channel, origin) = connected
            .map_err(|_| ClientError::ConnectTimeout {
                address: address.to_owned(),
                after: limit,
            })?
            .map_err(failed)?;
        let mut metadata = MetadataMap::new();
        let mut put = |name: &'static str, value: &str| {
            let value = MetadataValue::<Ascii>::try_from(value)
                .map_err(|error| failed(std::io::Error::other(error)))?;
            metadata.insert(name, value);
            Ok(())
        };
        put("x-mq-client-id", &options.client_id)?;
        put("x-mq-language", "RUST")?;
        put("x-mq-client-version", env!("CARGO_PKG_VERSION"))?;
        put("x-mq-protocol", "v2")?;
        if !options.namespace.is_empty() {
            put("x-mq-namespace", &options.namespace)?;
        }
        if let Some(credentials) = &options.credentials {
            put("x-mq-date-time", SIGNED_TEXT)?;
            put("authorization", &credentials.authorization(SIGNED_TEXT))?;
        }
        let stub = MessagingServiceClient::with_origin(channel, origin)
            .max_decoding_message_size(ANSWER_BYTES_MAX);
        Ok(Self {
            stub,
            address: address.to_owned(),
            metadata,
            request_timeout: options.request_timeout,
        })
    }

    /// Another client on the same connection, as behind a proxy.
    ///
    /// # Errors
    /// When the id cannot be the value of a header.
    pub fn for_client(&self, client_id: &str) -> Result<Self, ClientError> {
        let id = MetadataValue::<Ascii>::try_from(client_id);
        let id = id.map_err(|error| ClientError::Connect {
            address: self.address.clone(),
            source: std::io::Error::other(error),
        })?;
        let mut client = self.clone();
        client.metadata.insert("x-mq-client-id", id);
        Ok(client)
    }

    /// Says which LiteTopics this client wants.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn sync_lite_subscription(
        &self,
        request: SyncLiteSubscriptionRequest,
    ) -> Result<(), ClientError> {
        const NAME: &str = "sync lite subscription";
        let mut stub = self.stub.clone();
        let request = self.request(request);
        let answer = self
            .within(NAME, Duration::ZERO, stub.sync_lite_subscription(request))
            .await?;
        self.expect_ok(NAME, answer.status.as_ref())
    }

    /// The server's address as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where the queues of a topic are.
    ///
    /// # Errors
    /// When there is no such topic, or the server does not answer.
    pub async fn query_route(&self, topic: &str) -> Result<QueryRouteResponse, ClientError> {
        const NAME: &str = "query route";
        let mut stub = self.stub.clone();
        let request = self.request(QueryRouteRequest {
            topic: Some(resource(topic)),
            endpoints: None,
        });
        let answer = self
            .within(NAME, Duration::ZERO, stub.query_route(request))
            .await?;
        self.expect_ok(NAME, answer.status.as_ref())?;
        Ok(answer)
    }

    /// Stores messages. Success means that all were stored; the entries say where.
    ///
    /// # Errors
    /// When the server refuses one of them, or nobody knows whether it took them.
    pub async fn send(
        &self,
        request: SendMessageRequest,
    ) -> Result<SendMessageResponse, ClientError> {
        const NAME: &str = "send message";
        let mut stub = self.stub.clone();
        let request = self.request(request);
        let answer = self
            .within(NAME, Duration::ZERO, stub.send_message(request))
            .await?;
        self.expect_ok(NAME, answer.status.as_ref())?;
        for entry in &answer.entries {
            self.expect_ok(NAME, entry.status.as_ref())?;
        }
        Ok(answer)
    }

    /// Asks for messages; none if none came in time.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn receive(
        &self,
        request: ReceiveMessageRequest,
    ) -> Result<Vec<Message>, ClientError> {
        const NAME: &str = "receive message";
        let wait = request
            .long_polling_timeout
            .and_then(|wait| Duration::try_from(wait).ok());
        let wait = wait.unwrap_or_default();
        let mut stub = self.stub.clone();
        let mut request = self.request(request);
        // Compat: Apache's proxy (5.5.0) fails a receive whose header names no time limit.
        request.set_timeout(self.request_timeout + wait);
        self.within(NAME, wait, async {
            let mut answers = stub.receive_message(request).await?.into_inner();
            let mut messages = Vec::new();
            let mut refusal = None;
            while let Some(answer) = answers.try_next().await? {
                match answer.content {
                    Some(Content::Message(message)) => messages.push(message),
                    Some(Content::Status(status)) if status.code != i32::from(v2::Code::Ok) => {
                        refusal = Some(status);
                    }
                    Some(Content::Status(_) | Content::DeliveryTimestamp(_)) | None => {}
                }
            }
            Ok(tonic::Response::new((messages, refusal)))
        })
        .await
        .and_then(|(messages, refusal)| match refusal {
            Some(status) if status.code != i32::from(v2::Code::MessageNotFound) => {
                Err(self.refused(NAME, &status))
            }
            _ => Ok(messages),
        })
    }

    /// Settles messages. The entries of the answer say how each of them went.
    ///
    /// # Errors
    /// When the server refuses all of them or does not answer.
    pub async fn ack(&self, request: AckMessageRequest) -> Result<AckMessageResponse, ClientError> {
        const NAME: &str = "ack message";
        let mut stub = self.stub.clone();
        let request = self.request(request);
        let answer = self
            .within(NAME, Duration::ZERO, stub.ack_message(request))
            .await?;
        match answer.status.as_ref() {
            Some(status) if status.code == i32::from(v2::Code::MultipleResults) => {}
            status => self.expect_ok(NAME, status)?,
        }
        Ok(answer)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request
    }

    /// Waits for an answer as long as plain requests may take, and `more`.
    async fn within<T>(
        &self,
        request: &'static str,
        more: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, ClientError> {
        let limit = self.request_timeout + more;
        match timeout(limit, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.failed(request, &status)),
            Err(_) => Err(ClientError::Timeout {
                address: self.address.clone(),
                request,
                after: limit,
            }),
        }
    }

    fn expect_ok(
        &self,
        request: &'static str,
        status: Option<&v2::Status>,
    ) -> Result<(), ClientError> {
        match status {
            Some(status) if status.code == i32::from(v2::Code::Ok) => Ok(()),
            Some(status) => Err(self.refused(request, status)),
            None => Err(ClientError::Answer {
                address: self.address.clone(),
                request,
                reason: "an answer without a status".to_owned(),
            }),
        }
    }

    fn refused(&self, request: &'static str, status: &v2::Status) -> ClientError {
        let code = v2::Code::try_from(status.code).map_or_else(
            |_| status.code.to_string(),
            |code| code.as_str_name().to_owned(),
        );
        ClientError::RefusedGrpc {
            address: self.address.clone(),
            request,
            code,
            remark: status.message.clone(),
        }
    }

    fn failed(&self, request: &'static str, status: &Status) -> ClientError {
        let address = self.address.clone();
        match status.code() {
            Code::Unavailable | Code::Unknown | Code::Cancelled => ClientError::Closed {
                address,
                reason: status.message().to_owned(),
            },
            Code::DeadlineExceeded => ClientError::Timeout {
                address,
                request,
                after: self.request_timeout,
            },
            code => ClientError::RefusedGrpc {
                address,
                request,
                code: format!("{code:?}"),
                remark: status.message().to_owned(),
            },
        }
    }
}

/// A topic or group without a namespace of its own.
pub fn resource(name: &str) -> v2::Resource {
    v2::Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    }
}
