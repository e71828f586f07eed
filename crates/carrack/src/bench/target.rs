//! What is loaded: a topic, the brokers that have it, and how much is in their queues.

use std::time::Duration;

use client::{
    ClientError, GrpcClient, GrpcOptions, RemotingClient, RemotingOptions, remoting::NewTopic,
};
use tokio::time::Instant;
use wire::{
    grpc_v2::MessageQueue,
    remoting::{ResponseCode, body::GroupConfig},
};

use super::{options::BenchOptions, wait_until};

/// How long a name server may take to hear of a broker that has just started, or of a new topic.
const ROUTE_WAIT: Duration = Duration::from_secs(15);

/// How often a topic is created of which its name server does not hear: what Apache's brokers tell
/// of a new topic while they start may be lost.
const CREATIONS_MAX: u32 = 3;

/// Pause between two looks at it.
const ROUTE_PAUSE: Duration = Duration::from_millis(200);

/// Topics that are created with one request, so that it is answered in time on a busy disk too: a
/// server may write each by itself.
const TOPICS_PER_REQUEST: usize = 100;

/// A broker that has the topic.
#[derive(Clone, Debug)]
pub(super) struct Broker {
    /// Its name.
    pub(super) name: String,
    /// Where it is.
    pub(super) address: String,
    /// Its queues of the topic.
    pub(super) queues: u32,
}

/// The brokers as Remoting clients see them.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// At least one.
    pub(super) brokers: Vec<Broker>,
}

impl Target {
    /// Finds the topic, creating topic and group first where they are missing and the server lets
    /// us.
    pub(super) async fn prepare(
        options: &BenchOptions,
        connection: &RemotingOptions,
    ) -> Result<Self, ClientError> {
        let entry = RemotingClient::connect(&options.server, connection.clone()).await?;
        // All topics are alike: the last one created speaks for the others.
        let mut target = Self::find(&entry, options).await;
        for _ in 0..CREATIONS_MAX {
            if !target.as_ref().is_err_and(is_missing) {
                break;
            }
            create(&entry, options, connection).await?;
            target = Self::find_soon(&entry, options).await;
        }
        target
    }

    /// Looks for the topic until the name server has heard of it, or for some time.
    async fn find_soon(
        entry: &RemotingClient,
        options: &BenchOptions,
    ) -> Result<Self, ClientError> {
        let deadline = Instant::now() + ROUTE_WAIT;
        loop {
            let found = Self::find(entry, options).await;
            if !found.as_ref().is_err_and(is_missing) || Instant::now() >= deadline {
                return found;
            }
            wait_until(Instant::now() + ROUTE_PAUSE).await;
        }
    }

    async fn find(entry: &RemotingClient, options: &BenchOptions) -> Result<Self, ClientError> {
        let topic = options.topic_names().pop().unwrap_or_default();
        let route = entry.route(&topic).await?;
        let mut brokers = Vec::new();
        for queues in &route.queues {
            let broker = route
                .brokers
                .iter()
                .find(|broker| broker.broker_name == queues.broker_name);
            // Id 0 is the master.
            if let Some(address) = broker.and_then(|broker| broker.addresses.get(&0))
                && let Ok(count @ 1..) = u32::try_from(queues.write_queue_count)
            {
                brokers.push(Broker {
                    name: queues.broker_name.clone(),
                    address: address.clone(),
                    queues: count,
                });
            }
        }
        if brokers.is_empty() {
            return Err(ClientError::Answer {
                address: options.server.clone(),
                request: "route",
                reason: format!("no queue of topic `{topic}` to write to"),
            });
        }
        Ok(Self { brokers })
    }

    /// Creates the group where it is missing.
    pub(super) async fn ensure_group(
        &self,
        group: &str,
        connection: &RemotingOptions,
    ) -> Result<(), ClientError> {
        for broker in &self.brokers {
            let client = RemotingClient::connect(&broker.address, connection.clone()).await?;
            match client.group_config(group).await {
                Err(error) if error.refusal() == Some(ResponseCode::GroupNotExist) => {
                    let group = GroupConfig {
                        group_name: group.to_owned(),
                        ..GroupConfig::default()
                    };
                    client.create_group(&group).await?;
                }
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// What release the first broker says it is.
    pub(super) async fn server_version(&self, connection: &RemotingOptions) -> Option<String> {
        let address = &self.brokers.first()?.address;
        let client = RemotingClient::connect(address, connection.clone())
            .await
            .ok()?;
        client.server_version().await.ok()?
    }

    /// The sum of the offsets at which the next messages of all queues of the topics will be.
    pub(super) async fn end_offsets(
        &self,
        topics: &[String],
        connection: &RemotingOptions,
    ) -> Result<u64, ClientError> {
        let mut sum = 0;
        for broker in &self.brokers {
            let client = RemotingClient::connect(&broker.address, connection.clone()).await?;
            for topic in topics {
                for queue in 0..broker.queues {
                    sum += u64::try_from(client.max_offset(topic, queue).await?).unwrap_or(0);
                }
            }
        }
        Ok(sum)
    }
}

/// Whether nobody knows the topic yet.
fn is_missing(error: &ClientError) -> bool {
    error.refusal() == Some(ResponseCode::TopicNotExist)
}

async fn create(
    entry: &RemotingClient,
    options: &BenchOptions,
    connection: &RemotingOptions,
) -> Result<(), ClientError> {
    let on = async |broker: &RemotingClient| {
        let names = options.topic_names();
        let topic = |name| NewTopic {
            name,
            queues: options.queues,
            message_type: Some(options.message_type.name()),
            lite_topic_expiration_minutes: None,
        };
        if let [name] = &names[..] {
            return broker.create_topic(topic(name)).await;
        }
        for some in names.chunks(TOPICS_PER_REQUEST) {
            let some: Vec<NewTopic<'_>> = some.iter().map(|name| topic(name)).collect();
            broker.create_topics(&some).await?;
        }
        Ok(())
    };
    match on(entry).await {
        Err(error) if error.refusal() == Some(ResponseCode::RequestCodeNotSupported) => {}
        done => return done,
    }
    // A name server of Apache's: the brokers behind it are to be asked, once it has heard of them.
    let deadline = Instant::now() + ROUTE_WAIT;
    let mut brokers = entry.cluster_info().await?.brokers;
    while brokers.is_empty() && Instant::now() < deadline {
        wait_until(Instant::now() + ROUTE_PAUSE).await;
        brokers = entry.cluster_info().await?.brokers;
    }
    for broker in brokers.values() {
        if let Some(address) = broker.addresses.get(&0) {
            on(&RemotingClient::connect(address, connection.clone()).await?).await?;
        }
    }
    Ok(())
}

/// How to connect for Remoting requests of the load.
pub(super) fn remoting_options(options: &BenchOptions) -> RemotingOptions {
    RemotingOptions {
        serialize_type: options.headers.into(),
        tls: options.tls,
        credentials: options.keys.credentials(),
        in_flight_max: options.in_flight.max(1_024),
        ..RemotingOptions::default()
    }
}

/// How to connect for gRPC requests of the load.
pub(super) fn grpc_options(options: &BenchOptions, connection: usize) -> GrpcOptions {
    GrpcOptions {
        tls: options.tls,
        credentials: options.keys.credentials(),
        client_id: format!("carrack-bench@{}@{connection}", std::process::id()),
        ..GrpcOptions::default()
    }
}

/// The queues of the topic as gRPC clients see them, and the same server's Remoting side if it has
/// one on that address: gRPC cannot create topics, nor tell how much is in a queue.
pub(super) async fn prepare_grpc(
    options: &BenchOptions,
) -> Result<(Vec<MessageQueue>, Option<Target>), ClientError> {
    let connection = RemotingOptions {
        request_timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        ..remoting_options(options)
    };
    let by_remoting = BenchOptions {
        server: options
            .admin_server
            .clone()
            .unwrap_or_else(|| options.server.clone()),
        ..options.clone()
    };
    let target = match Target::prepare(&by_remoting, &connection).await {
        Ok(target) => Some(target),
        // A server that was named for this must do it.
        Err(error) if options.admin_server.is_some() => return Err(error),
        Err(_) => None,
    };
    let client = GrpcClient::connect(&options.server, grpc_options(options, 0)).await?;
    let route = client.query_route(&options.topic).await?;
    if route.message_queues.is_empty() {
        return Err(ClientError::Answer {
            address: options.server.clone(),
            request: "query route",
            reason: format!("no queue of topic `{}`", options.topic),
        });
    }
    Ok((route.message_queues, target))
}

/// Where a queue's broker is, or the server itself if the route does not say.
pub(super) fn address_of(queue: &MessageQueue, options: &BenchOptions) -> String {
    let endpoints = queue
        .broker
        .as_ref()
        .and_then(|broker| broker.endpoints.as_ref());
    match endpoints.and_then(|endpoints| endpoints.addresses.first()) {
        Some(address) if address.host.contains(':') => {
            format!("[{}]:{}", address.host, address.port)
        }
        Some(address) => format!("{}:{}", address.host, address.port),
        None => options.server.clone(),
    }
}
