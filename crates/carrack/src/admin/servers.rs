//! Which servers a command talks to: the one that was named, or, where that is an Apache name
//! server, the brokers that it knows.

use client::{ClientError, RemotingClient, RemotingOptions};
use gateway::CLUSTER_NAME;
use wire::remoting::ResponseCode;

use crate::{cli::ServerOptions, exit::Failure};

/// Most brokers that one command talks to.
const BROKERS_MAX: usize = 256;

/// How this server's own kind begins to say its version.
const OWN_VERSION: &str = "Carrack ";

/// The server that a command was told of, and the instance that it means.
pub(super) struct Servers {
    entry: RemotingClient,
    instance: Option<String>,
    options: RemotingOptions,
}

impl Servers {
    /// Connects to the named server, which must have the named instance.
    pub(super) async fn connect(options: &ServerOptions) -> Result<Self, Failure> {
        let remoting = RemotingOptions {
            credentials: options.keys.credentials(),
            instance: options.instance.clone(),
            ..RemotingOptions::default()
        };
        let entry = RemotingClient::connect(&options.server, remoting.clone()).await?;
        if let Some(instance) = &options.instance {
            require_instance(&entry, instance, &options.server).await?;
        }
        Ok(Self {
            entry,
            instance: options.instance.clone(),
            options: remoting,
        })
    }

    /// The named server: it plays the name server's part.
    pub(super) fn entry(&self) -> &RemotingClient {
        &self.entry
    }

    /// Asks the named server, or every broker behind it if it is a mere name server or a fleet.
    pub(super) async fn on_brokers<T>(
        &self,
        ask: impl AsyncFn(&RemotingClient) -> Result<T, ClientError>,
    ) -> Result<Vec<T>, ClientError> {
        let mut brokers = Vec::new();
        match ask(&self.entry).await {
            Err(error) if error.refusal() == Some(ResponseCode::RequestCodeNotSupported) => {
                let cluster = self.entry.cluster_info().await?;
                brokers.extend(cluster.brokers.into_values());
            }
            // A fleet has no messages. Its nodes that have those of the instance are in a route.
            Err(error) if is_elsewhere(&error) => {
                let route = self.entry.route(&self.name(CLUSTER_NAME)).await?;
                brokers = route.brokers;
            }
            answer => return Ok(vec![answer?]),
        }
        let mut answers = Vec::new();
        for broker in brokers.iter().take(BROKERS_MAX) {
            // Id 0 is the master.
            if let Some(address) = broker.addresses.get(&0) {
                let client = RemotingClient::connect(address, self.options.clone()).await?;
                answers.push(ask(&client).await?);
            }
        }
        Ok(answers)
    }

    /// The server to send messages of a topic to: the named one, or, behind a name server, the
    /// first broker of the topic's route.
    pub(super) async fn broker_of(&self, topic: &str) -> Result<RemotingClient, ClientError> {
        match self.entry.topic_config(topic).await {
            Err(error) if error.refusal() == Some(ResponseCode::RequestCodeNotSupported) => {}
            _ => return Ok(self.entry.clone()),
        }
        self.routed_broker_of(topic).await
    }

    /// The first broker of the topic's route.
    pub(super) async fn routed_broker_of(
        &self,
        topic: &str,
    ) -> Result<RemotingClient, ClientError> {
        let route = self.entry.route(topic).await?;
        let address = route
            .brokers
            .iter()
            .find_map(|broker| broker.addresses.get(&0));
        match address {
            Some(address) => RemotingClient::connect(address, self.options.clone()).await,
            None => Ok(self.entry.clone()),
        }
    }

    /// The name of a topic or group as requests carry it: with its instance in front.
    pub(super) fn name(&self, plain: &str) -> String {
        match &self.instance {
            Some(instance) => format!("{instance}%{plain}"),
            None => plain.to_owned(),
        }
    }

    /// A name of an answer without the instance.
    pub(super) fn plain<'a>(&self, name: &'a str) -> &'a str {
        let instance = self.instance.as_deref();
        instance
            .and_then(|instance| name.strip_prefix(instance)?.strip_prefix('%'))
            .unwrap_or(name)
    }
}

/// Whether other servers have the messages.
pub(super) fn is_elsewhere(error: &ClientError) -> bool {
    error.refusal() == Some(ResponseCode::NotLeaderForQueue)
}

/// Without this an instance that is not there would silently become part of the names of topics and
/// groups in the default instance. Where that is all that an instance is, on Apache's servers, it
/// stays so.
async fn require_instance(
    entry: &RemotingClient,
    instance: &str,
    server: &str,
) -> Result<(), Failure> {
    match entry.route(&format!("{instance}%{CLUSTER_NAME}")).await {
        Ok(_) => Ok(()),
        Err(error) if error.refusal() == Some(ResponseCode::TopicNotExist) => {
            // Who may not ask for the version is refused by its policies, if at all.
            let version = entry.server_version().await.ok().flatten();
            if version.is_some_and(|version| version.starts_with(OWN_VERSION)) {
                let error = anyhow::anyhow!("instance `{instance}` not found on server {server}");
                return Err(Failure::Refused(error));
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
