//! What all front ends of one process share: the way into the core, time, settings, and whether the
//! process is about to stop.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base::{Clock, InstanceId, ShardId};
use broker::{Instance, InstanceNotFound, Instances, Nodes, Router};
use control::{Control, Operation, Permit, UpdateInProgress};
use tokio::sync::{mpsc, watch};
use tracing::level_filters::LevelFilter;
use wire::otlp::trace::v1::Span;

use crate::{
    client_metrics::ClientMetrics, grpc::clients::Clients, message_trace::MessageTraces,
    metrics::FrontMetrics, ons_openapi::TraceQueries, openapi_request::Nonces,
    surroundings::Surroundings,
};

/// Name of the cluster that Remoting clients and administration tools see, as Apache's default.
pub const CLUSTER_NAME: &str = "DefaultCluster";

/// The region of servers that name none, as Apache's default.
pub const DEFAULT_REGION: &str = "DefaultRegion";

/// The address that routes give instead of the one the client came in on: for servers behind a
/// load balancer or an address translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertise {
    /// Host name or IP address that clients can reach.
    pub host: String,
    /// Port; `None` is the port the client came in on.
    pub port: Option<u16>,
}

/// An address as clients are told it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AdvertisedAddress {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for AdvertisedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_address(f, &self.host, self.port)
    }
}

/// Writes `HOST:PORT`, with brackets around an IPv6 address.
pub(crate) fn write_address(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') {
        return write!(f, "[{host}]:{port}");
    }
    write!(f, "{host}:{port}")
}

/// What an operator sets for the front ends.
#[derive(Clone, Debug)]
pub struct FrontSettings {
    /// Address for routes; `None` is the address that the client came in on.
    pub advertise: Option<Advertise>,
    /// The instance of requests that name none.
    pub default_instance: InstanceId,
    /// How long messages that are taken over ONS HTTP are invisible, which its clients cannot say;
    /// [`base::limits::ONS_HTTP_INVISIBLE_MS`] is what they expect.
    pub http_invisible: Duration,
    /// The region that clients are told. ONS clients write traces only where it is not
    /// [`DEFAULT_REGION`].
    pub region: String,
    /// Whether gRPC clients are asked for what they measure.
    pub client_metrics: bool,
    /// Whether traces of messages are written for gRPC clients.
    pub message_trace: bool,
}

impl Default for FrontSettings {
    fn default() -> Self {
        Self {
            advertise: None,
            default_instance: InstanceId::default_instance(),
            http_invisible: Duration::from_millis(base::limits::ONS_HTTP_INVISIBLE_MS),
            region: DEFAULT_REGION.to_owned(),
            client_metrics: true,
            message_trace: false,
        }
    }
}

/// One accepted connection, as every protocol sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Unique in this process; clients are registered under it.
    pub id: u64,
    /// Where the client is.
    pub peer: SocketAddr,
    /// Where the client came in. The port is that of the listener, also on its VIP channel.
    pub local: SocketAddr,
    /// Whether the bytes came through TLS.
    pub tls: bool,
    /// Whether it came in on an administration listener.
    pub admin: bool,
    /// Whether it came in on a listener whose clients need no credentials.
    pub trusted: bool,
}

/// How far the process is on its way to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainPhase {
    /// It is not stopping.
    Open,
    /// No connection is accepted and nothing is handed out any more: waiting polls end with an
    /// orderly empty answer, requests in flight are finished.
    Draining,
    /// The time for that is over: connections close as they are.
    Closed,
}

/// The drain state, to be asked and awaited by every connection.
#[derive(Debug)]
pub struct Drain {
    phase: watch::Sender<DrainPhase>,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(DrainPhase::Open),
        }
    }
}

impl Drain {
    /// The phase now.
    pub fn phase(&self) -> DrainPhase {
        *self.phase.borrow()
    }

    /// Whether nothing new is to be begun.
    pub fn is_draining(&self) -> bool {
        self.phase() >= DrainPhase::Draining
    }

    /// Goes on to `phase`; never back.
    pub fn advance(&self, phase: DrainPhase) {
        self.phase.send_if_modified(|now| {
            let further = phase > *now;
            *now = phase.max(*now);
            further
        });
    }

    /// Completes once the process is at least in `phase`. Owns what it needs, so that it can be
    /// kept.
    pub fn reached(&self, phase: DrainPhase) -> impl Future<Output = ()> + Send + 'static {
        let mut receiver = self.phase.subscribe();
        async move {
            // The sender lives as long as the front; if it is gone, everything is over.
            let _ = receiver.wait_for(|now| *now >= phase).await;
        }
    }
}

/// What all front ends share.
pub struct Front {
    /// The only way into the core.
    pub router: Arc<Router>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Settings.
    pub settings: FrontSettings,
    /// Whether the process is stopping.
    pub drain: Drain,
    /// What the front ends count.
    pub metrics: FrontMetrics,
    /// What gRPC clients have measured.
    pub(crate) client_metrics: ClientMetrics,
    /// What happens to their messages.
    pub(crate) message_traces: MessageTraces,
    /// What gRPC clients have said of themselves, over all their connections.
    pub(crate) grpc_clients: Clients,
    /// Which instances there are, and their life; `None` where there is only what the router has.
    pub instances: Option<Arc<Instances>>,
    /// The nodes of the cluster; `None` where there is only this one.
    pub nodes: Option<Arc<Nodes>>,
    /// Releases and updates; `None` where nodes are not run from here.
    pub control: Option<Arc<Control>>,
    /// Whether requests of the OpenAPIs must be signed even without access control.
    pub(crate) openapi_is_always_signed: bool,
    /// What operators are told that this process is.
    pub(crate) version: String,
    /// Which requests of the OpenAPI have been made.
    pub(crate) openapi_nonces: Nonces,
    /// Queries for traces that the OpenAPI was asked.
    pub(crate) openapi_trace_queries: TraceQueries,
    log_level: OnceLock<ChangeLogLevel>,
    pub(crate) surroundings: Option<Surroundings>,
    started_at: Duration,
    next_connection: AtomicU64,
    next_serial: AtomicU64,
    connections: AtomicUsize,
}

/// What changes how much is logged.
type ChangeLogLevel = Box<dyn Fn(LevelFilter) + Send + Sync>;

impl Front {
    /// A front of no connections.
    pub fn new(router: Arc<Router>, clock: Arc<dyn Clock>, settings: FrontSettings) -> Self {
        let started_at = clock.elapsed();
        let client_metrics = ClientMetrics::new(clock.now());
        let message_traces = MessageTraces::new(settings.message_trace);
        Self {
            router,
            clock,
            settings,
            drain: Drain::default(),
            metrics: FrontMetrics::default(),
            client_metrics,
            message_traces,
            grpc_clients: Clients::default(),
            instances: None,
            nodes: None,
            control: None,
            openapi_is_always_signed: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            openapi_nonces: Nonces::default(),
            openapi_trace_queries: TraceQueries::default(),
            log_level: OnceLock::new(),
            surroundings: None,
            started_at,
            next_connection: AtomicU64::new(1),
            next_serial: AtomicU64::new(1),
            connections: AtomicUsize::new(0),
        }
    }

    /// Lets administrators change how much is logged, by `change`. Only the first one counts.
    pub fn on_log_level(&self, change: impl Fn(LevelFilter) + Send + Sync + 'static) {
        let _ = self.log_level.set(Box::new(change));
    }

    /// Changes how much is logged; `false` where that cannot be.
    pub(crate) fn change_log_level(&self, level: LevelFilter) -> bool {
        let change = self.log_level.get();
        change.inspect(|change| change(level)).is_some()
    }

    /// Lets administrators create and delete instances.
    #[must_use]
    pub fn with_instances(mut self, instances: Arc<Instances>) -> Self {
        self.instances = Some(instances);
        self
    }

    /// Lists the queues of other nodes in routes.
    #[must_use]
    pub fn with_nodes(mut self, nodes: Option<Arc<Nodes>>) -> Self {
        self.nodes = nodes;
        self
    }

    /// Has operators told which version this process is.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Lets administrators publish releases and see to updates, and has what an update blocks
    /// refused.
    #[must_use]
    pub fn with_control(mut self, control: Arc<Control>) -> Self {
        self.control = Some(control);
        self
    }

    /// Has requests of the OpenAPIs signed even without access control: whoever comes along would
    /// command a fleet's nodes otherwise.
    #[must_use]
    pub fn with_signed_openapi(mut self) -> Self {
        self.openapi_is_always_signed = true;
        self
    }

    /// Whether nodes of the instance are restarted with a newer version now.
    pub(crate) fn is_updating(&self, instance: &InstanceId) -> bool {
        let updates = self.control.as_ref().map(|control| control.updates());
        let record = updates.and_then(|updates| updates.describe(instance).ok());
        record.is_some_and(|record| record.running().is_some())
    }

    /// Leave to carry out `operation` on an instance, to be kept until it is done: not while it is
    /// updated. `None` where nothing is updated from here.
    pub(crate) async fn permit(
        &self,
        instance: &InstanceId,
        operation: Operation,
    ) -> Result<Option<Permit>, UpdateInProgress> {
        match &self.control {
            Some(control) => control.permit(instance, operation).await.map(Some),
            None => Ok(None),
        }
    }

    /// The number of this node's shard in every instance.
    pub(crate) fn own_shard(&self) -> ShardId {
        let number = self.nodes.as_ref().and_then(|nodes| nodes.number());
        number.unwrap_or(ShardId::new(0))
    }

    /// The instance that has the users of the account.
    pub(crate) fn account(&self) -> Result<Arc<Instance>, InstanceNotFound> {
        self.router.instance(&InstanceId::default_instance())
    }

    /// Tells tools what is around it; without, they are told nothing of the machine.
    #[must_use]
    pub fn with_surroundings(mut self, surroundings: Surroundings) -> Self {
        self.surroundings = Some(surroundings);
        self
    }

    /// Makes OpenTelemetry spans of what happens to messages of gRPC clients: of so many of a
    /// hundred, and of all that bring a trace which their sender records. `out` is given them
    /// while it has room; without room they are lost and counted.
    #[must_use]
    pub fn with_spans(mut self, sampled_percent: u64, out: mpsc::Sender<Vec<Span>>) -> Self {
        self.message_traces.give_spans(sampled_percent, out);
        self
    }

    /// A number for a new connection, never given twice.
    pub fn next_connection_id(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    /// A number for an id that is made here, never given twice.
    pub(crate) fn next_serial(&self) -> u64 {
        self.next_serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Time since the front was made.
    pub(crate) fn uptime(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.started_at)
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Counts a connection as open until the guard is dropped.
    pub(crate) fn count_connection(self: &Arc<Self>) -> ConnectionGuard {
        self.connections.fetch_add(1, Ordering::Relaxed);
        ConnectionGuard(Arc::clone(self))
    }

    /// The address that a client of `connection` is told to come to.
    pub fn advertised(&self, connection: &ConnectionInfo) -> AdvertisedAddress {
        match &self.settings.advertise {
            Some(Advertise { host, port }) => AdvertisedAddress {
                host: host.clone(),
                port: port.unwrap_or(connection.local.port()),
            },
            None => AdvertisedAddress {
                host: connection.local.ip().to_canonical().to_string(),
                port: connection.local.port(),
            },
        }
    }

    /// The address that clients of `connection` know the shard by. One that is told as a host name
    /// cannot stand in a message: there it is the address that the client came in on.
    pub(crate) fn store_host(&self, connection: &ConnectionInfo) -> SocketAddr {
        let local = connection.local;
        let own = SocketAddr::new(local.ip().to_canonical(), local.port());
        if self.settings.advertise.is_none() {
            return own;
        }
        let told = self.advertised(connection);
        match told.host.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, told.port),
            Err(_) => own,
        }
    }
}

/// Keeps a connection counted.
pub(crate) struct ConnectionGuard(Arc<Front>);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The name by which clients know a shard: its *broker*.
pub fn broker_name(instance: &InstanceId, shard: ShardId) -> String {
    format!("{instance}-{shard}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_version_6_is_written_with_brackets() {
        let of = |host: &str| {
            AdvertisedAddress {
                host: host.to_owned(),
                port: 8081,
            }
            .to_string()
        };
        assert_eq!(of("::1"), "[::1]:8081");
        assert_eq!(of("broker.example"), "broker.example:8081");
    }

    #[test]
    fn draining_never_goes_back() {
        let drain = Drain::default();
        assert!(!drain.is_draining());
        drain.advance(DrainPhase::Closed);
        drain.advance(DrainPhase::Draining);
        assert_eq!(drain.phase(), DrainPhase::Closed);
    }
}
