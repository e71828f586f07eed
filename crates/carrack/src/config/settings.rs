//! The settings, each declared here and nowhere else.

use std::path::PathBuf;

use base::limits;

use super::{
    declare::settings,
    value::{LogFormat, LogLevel, SecretText, SeriesName},
};

const MIB: u64 = 1024 * 1024;

settings! {
    /// Folder that holds everything the server keeps. It is created if it is not there, and only
    /// one server can use it at a time.
    data: PathBuf {
        default: "./carrack-data".into(),
        shown: "./carrack-data",
        example: "\"./carrack-data\"",
        flag: ("data", "DIR"),
        restart: true,
    }
    /// Client addresses of an etcd, `http://HOST:PORT` of each member with commas between them.
    /// Several servers with the same etcd and prefix are the nodes of one cluster: they share
    /// instances, topics, groups and users, and each has its own part of every topic.
    etcd: Option<String> {
        default: None,
        shown: "none: this server is on its own",
        example: "\"http://10.0.0.1:2379,http://10.0.0.2:2379\"",
        flag: ("etcd", "URL[,URL]"),
        restart: true,
    }
    /// PEM file with the certificates of those who vouch for the members of etcd, whose addresses
    /// begin with `https://` then.
    etcd_ca_file: Option<PathBuf> {
        default: None,
        shown: "none: etcd is reached without TLS",
        example: "\"/etc/carrack/etcd-ca.pem\"",
        flag: ("etcd-ca-file", "FILE"),
        restart: true,
    }
    /// PEM file with the certificate chain that this server shows to etcd. Where etcd has users,
    /// its common name is the user.
    etcd_certificate_file: Option<PathBuf> {
        default: None,
        shown: "none: etcd is shown no certificate",
        example: "\"/etc/carrack/etcd-client.pem\"",
        flag: ("etcd-certificate-file", "FILE"),
        restart: true,
    }
    /// PEM file with the private key of that certificate.
    etcd_key_file: Option<PathBuf> {
        default: None,
        shown: "none: etcd is shown no certificate",
        example: "\"/etc/carrack/etcd-client-key.pem\"",
        flag: ("etcd-key-file", "FILE"),
        restart: true,
    }
    /// What all keys in etcd begin with, for several clusters in one etcd.
    etcd_prefix: String {
        default: "carrack/".into(),
        shown: "carrack/",
        example: "\"carrack/\"",
        restart: true,
    }
    /// Name of this server among the nodes of its cluster. It stays with the data folder.
    node_name: Option<String> {
        default: None,
        shown: "made up at the first start and kept in the data folder",
        example: "\"node-a\"",
        flag: ("node-name", "NAME"),
        restart: true,
    }
    /// Instance that this server is a node of, by its id: it has the messages of no other. Whoever
    /// started the instance's nodes says so. It stays with the data folder.
    node_instance: Option<String> {
        default: None,
        shown: "none: this server has all instances that have no nodes of their own",
        example: "\"rmq-cn-5yd34ft5y02\"",
        flag: ("node-instance", "ID"),
        restart: true,
    }
    /// Seconds after which the others take a node for gone that says nothing. One that stops in
    /// order is gone at once.
    node_lease_seconds: u64 {
        default: 6,
        shown: "6",
        example: "6",
        bounds: 2..=60,
        restart: true,
    }
    /// Addresses to listen on. Each takes every protocol; the port minus 2 is opened too, for the
    /// VIP channel of old clients. Port 0 takes a free one.
    listen: Vec<String> {
        default: vec!["127.0.0.1:8080".into(), "127.0.0.1:8081".into(), "127.0.0.1:9876".into()],
        shown: "127.0.0.1:8080, 127.0.0.1:8081 and 127.0.0.1:9876",
        example: "[\"127.0.0.1:8080\", \"127.0.0.1:8081\", \"127.0.0.1:9876\"]",
        flag: ("listen", "HOST:PORT"),
        restart: true,
    }
    /// Further addresses to listen on, where clients from other machines may also see `/metrics`.
    admin_listen: Vec<String> {
        default: Vec::new(),
        shown: "none; metrics are shown to this machine only",
        example: "[\"10.0.0.5:9090\"]",
        restart: true,
    }
    /// Whether every request must be signed by a user who may do what it asks. Users and policies
    /// are made with `carrack user` and `carrack acl`, or with RocketMQ's `mqadmin`.
    access_control: bool {
        default: false,
        shown: "false",
        example: "true",
        restart: true,
    }
    /// Access key of the first administrator, who is made at the start if there is no user of that
    /// name. Goes together with `admin_secret_key`.
    admin_access_key: Option<String> {
        default: None,
        shown: "with access control and no administrator, one is made up and printed once",
        example: "\"admin\"",
        restart: true,
    }
    /// Secret key of the first administrator; better given in the environment than in a file.
    admin_secret_key: Option<SecretText> {
        default: None,
        shown: "made up together with the access key",
        example: "\"a-long-secret\"",
        restart: true,
    }
    /// Further addresses to listen on, where requests need no credentials even with access
    /// control: everybody who can connect there may do everything.
    trusted_listen: Vec<String> {
        default: Vec::new(),
        shown: "none",
        example: "[\"127.0.0.1:8082\"]",
        restart: true,
    }
    /// Address that clients are told to connect to, for servers behind a translated address.
    /// Without a port, clients keep the port that they came in on.
    advertise: Option<String> {
        default: None,
        shown: "the address that the client came in on",
        example: "\"mq.example.com\"",
        flag: ("advertise", "HOST[:PORT]"),
        restart: true,
    }
    /// Series of the default instance, which says what families of clients it takes: all of them,
    /// or as the service has it no gRPC SDKs of 5.x (`4.x`, where message types are not checked
    /// either), or neither ONS TCP 2.x nor ONS HTTP (`5.x`). Other instances have one of their own.
    series: SeriesName {
        default: SeriesName::Any,
        shown: "any",
        example: "\"5.x\"",
        flag: ("series", "SERIES"),
        restart: true,
    }
    /// Whether new instances of the 4.x series may be created, which the service no longer sells to
    /// new customers.
    series_4_created: bool {
        default: true,
        shown: "true",
        example: "false",
        restart: true,
    }
    /// How long messages that are received over ONS HTTP are invisible, in milliseconds. Clients
    /// cannot say, and expect five minutes.
    http_invisible_ms: u64 {
        default: limits::ONS_HTTP_INVISIBLE_MS,
        shown: "300000, five minutes",
        example: "300_000",
        bounds: 1_000..=limits::INVISIBLE_MS_MAX,
        restart: true,
    }
    /// Region that clients are told and that messages sent over Remoting carry. ONS clients write
    /// traces only to servers of a region other than the default one.
    region: String {
        default: gateway::DEFAULT_REGION.into(),
        shown: "DefaultRegion",
        example: "\"eu-north\"",
        restart: true,
    }
    /// Whether gRPC clients are asked to report what they measure (send and consume times, cached
    /// messages), which is shown on `/metrics`, added up by topic and group.
    client_metrics: bool {
        default: true,
        shown: "true",
        example: "false",
        restart: true,
    }
    /// Whether the server writes traces for gRPC clients, which Remoting clients do themselves:
    /// when each message was sent, delivered and settled, how long that took, by whom, and how it
    /// went. They go to the topic RMQ_SYS_TRACE_TOPIC, for `carrack message trace` and `mqadmin
    /// queryMsgTraceById`. That costs about 200 bytes more on disk for each send, each delivery
    /// and each acknowledgement; under pressure traces are lost, messages wait for none.
    message_trace: bool {
        default: false,
        shown: "false",
        example: "true",
        restart: true,
    }
    /// Where OpenTelemetry spans of gRPC clients' messages go: the address of a collector that
    /// takes OTLP over gRPC, `http://` without TLS or `https://` with it (any certificate is
    /// taken).
    spans_endpoint: Option<String> {
        default: None,
        shown: "none, no spans are made",
        example: "\"http://127.0.0.1:4317\"",
        restart: true,
    }
    /// Of a hundred messages without a trace of their own, how many get spans. Those that bring a
    /// `traceparent` have them if their sender records that trace.
    spans_sampled_percent: u64 {
        default: 1,
        shown: "1",
        example: "1",
        bounds: 0..=100,
        restart: true,
    }
    /// PEM file with the certificate chain for TLS. Goes together with `tls_key_file`.
    tls_certificate_file: Option<PathBuf> {
        default: None,
        shown: "a self-signed one, made at the first start and kept in the data folder",
        example: "\"/etc/carrack/tls.crt\"",
        restart: true,
    }
    /// PEM file with the private key for TLS. Goes together with `tls_certificate_file`.
    tls_key_file: Option<PathBuf> {
        default: None,
        shown: "that of the self-signed certificate",
        example: "\"/etc/carrack/tls.key\"",
        restart: true,
    }
    /// Whether topics and groups are created when they are first used. Handy on one's own machine;
    /// elsewhere a misspelt name becomes a topic.
    create_automatically: Option<bool> {
        default: None,
        shown: "true if every address listened on is a loopback one, else false",
        example: "false",
        restart: true,
    }
    /// Queues of a topic that is created on first use.
    automatic_queues: u64 {
        default: 8,
        shown: "8",
        example: "8",
        bounds: 1..=limits::TOPIC_QUEUES_MAX as u64,
        restart: true,
    }
    /// Bytes of a message's body that are one unit of the TPS of instances with an edition, and of
    /// what they are said to have used.
    unit_bytes: u64 {
        default: limits::UNIT_BYTES_DEFAULT,
        shown: "4096",
        example: "4_096",
        bounds: 1..=limits::MESSAGE_BODY_BYTES_MAX as u64,
        restart: true,
    }
    /// How long messages are kept, in hours, whether they were consumed or not. Instances with an
    /// edition have a time of their own.
    retention_hours: u64 {
        default: 72,
        shown: "72",
        example: "72",
        bounds: 1..=24 * 366 * 10,
        restart: true,
    }
    /// Bytes of messages per shard beyond which the oldest go before their time.
    retention_bytes_max: Option<u64> {
        default: None,
        shown: "no limit",
        example: "107_374_182_400",
        bounds: 16 * MIB..=limits::LOG_POSITION_MAX,
        restart: true,
    }
    /// Longest delay of a timed message, in hours. Delayed messages outlast `retention_hours`.
    delay_hours_max: u64 {
        default: limits::DELAY_MS_MAX / 3_600_000,
        shown: "960, that is 40 days",
        example: "960",
        bounds: 1..=limits::DELAY_MS_MAX / 3_600_000,
        restart: true,
    }
    /// Milliseconds after which a producer is asked how the transaction of a half message ended.
    transaction_timeout_ms: u64 {
        default: 6_000,
        shown: "6_000",
        example: "6_000",
        bounds: 1..=limits::HALF_MESSAGE_MS_MAX,
        restart: true,
    }
    /// Milliseconds between two such questions.
    transaction_check_interval_ms: u64 {
        default: 30_000,
        shown: "30_000",
        example: "30_000",
        bounds: 100..=3_600_000,
        restart: true,
    }
    /// Questions after which a half message is put aside, into TRANS_CHECK_MAX_TIME_TOPIC.
    transaction_check_max: u64 {
        default: 15,
        shown: "15",
        example: "15",
        bounds: 1..=10_000,
        restart: true,
    }
    /// Size of a shard's first segment file in bytes. Each further one is twice as large, up to
    /// `segment_bytes_max`. Disk space is reserved by the segment.
    segment_bytes_min: u64 {
        default: 4 * MIB,
        shown: "4_194_304",
        example: "4_194_304",
        bounds: MIB..=4096 * MIB,
        restart: true,
    }
    /// Size of the largest segment file in bytes. Retention removes whole segments.
    segment_bytes_max: u64 {
        default: 256 * MIB,
        shown: "268_435_456",
        example: "268_435_456",
        bounds: limits::LOG_COMMIT_BYTES_MAX as u64..=4096 * MIB,
        restart: true,
    }
    /// Bytes of messages per shard that may wait for the disk before senders are slowed down.
    pending_bytes_max: u64 {
        default: limits::LOG_PENDING_BYTES_MAX as u64,
        shown: "67_108_864",
        example: "67_108_864",
        bounds: limits::LOG_COMMIT_BYTES_MAX as u64..=1024 * MIB,
        restart: true,
    }
    /// Bytes of the newest messages per shard that are kept in memory, so that consumers who keep
    /// up never wait for the disk.
    recent_bytes_max: u64 {
        default: 16 * MIB,
        shown: "16_777_216",
        example: "16_777_216",
        bounds: MIB..=64 * 1024 * MIB,
        restart: true,
    }
    /// Milliseconds between two checkpoints of the state. A start after a crash reads the log
    /// written since the last one.
    checkpoint_interval_ms: u64 {
        default: 5_000,
        shown: "5_000",
        example: "5_000",
        bounds: 100..=600_000,
        restart: true,
    }
    /// Seconds that a stopping server gives requests under way to finish.
    drain_seconds_max: u64 {
        default: 10,
        shown: "10",
        example: "10",
        bounds: 0..=600,
        restart: true,
    }
    /// Threads that serve requests.
    worker_threads: Option<u64> {
        default: None,
        shown: "one per processor",
        example: "4",
        bounds: 1..=1_024,
        restart: true,
    }
    /// Least severe level of log lines that are written.
    log_level: LogLevel {
        default: LogLevel::Info,
        shown: "info",
        example: "\"info\"",
        flag: ("log-level", "LEVEL"),
        restart: true,
    }
    /// How log lines are written: for people, or one JSON object a line.
    log_format: LogFormat {
        default: LogFormat::Text,
        shown: "text",
        example: "\"text\"",
        flag: ("log-format", "FORMAT"),
        restart: true,
    }
}
