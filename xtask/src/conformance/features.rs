//! What a scenario needs of a client library beyond sending and receiving, and what a library
//! lacks.

/// Something that not every library can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// Sends by sharding key, and an ordered listener.
    Ordered,
    /// Half messages and a checker.
    Transactions,
    /// The 18 delay levels.
    DelayLevels,
    /// Delivery at an exact time.
    DeliveryTime,
    /// Taking back a timed message.
    Recall,
    /// Consumers that get every message each.
    Broadcasting,
    /// Setting the position of a consumer that polls, to its ends.
    Seek,
    /// Setting that position to a point in time.
    SeekToTime,
    /// A tag expression.
    TagFilter,
    /// An SQL92 filter.
    SqlFilter,
    /// A limit of deliveries, then the dead-letter topic.
    DeadLetter,
    /// A filter of a consumer that polls.
    FilteredPull,
    /// One by SQL92.
    SqlPull,
    /// Several messages in one request.
    Batch,
    /// Bodies of any size that travel as they are.
    Uncompressed,
    /// Requests and replies.
    RequestReply,
    /// Traces that the library writes to a topic.
    Trace,
    /// Metrics that the library reports to its server over OTLP.
    ClientMetrics,
    /// What it has not reported yet is reported when it stops.
    LastReport,
    /// Signed requests.
    Credentials,
    /// Names inside a namespace of the client.
    Namespace,
    /// The namespace is taken off the topics that an application sees.
    NamespaceHidden,
    /// What was acknowledged stays so when the library finds its server again.
    AcksKept,
    /// Changing the invisible duration of a message that was received.
    InvisibleDuration,
    /// Messages with a priority.
    Priority,
    /// Messages to LiteTopics, and a consumer that chooses LiteTopics.
    LiteTopics,
    /// That consumer is told when another one of its group takes a LiteTopic over.
    LiteTold,
    /// Points in time to the millisecond.
    Milliseconds,
    /// A consumer that takes the largest message there may be.
    LargestReceived,
    /// A listener in order that gets a message that failed again, before those behind it.
    OrderedRetry,
    /// A listener in order that is told how often it got a message.
    OrderedAttempts,
}

/// A feature that a library lacks, and why.
pub(crate) type Lack = (Feature, &'static str);

/// Remoting 4.9.8.
pub(crate) const REMOTING_4: &[Lack] = &[
    (
        Feature::DeliveryTime,
        "4.9.8 knows delay levels, no points in time",
    ),
    (Feature::Recall, "recall came with 5.x"),
];

/// Remoting 3.6.2.
pub(crate) const REMOTING_3: &[Lack] = &[
    (
        Feature::SqlFilter,
        "3.6.2 filters by tags, or by classes in a filter server",
    ),
    (
        Feature::DeliveryTime,
        "3.6.2 knows delay levels, no points in time",
    ),
    (Feature::Recall, "recall came with 5.x"),
    (Feature::Batch, "batches came with 4.x"),
    (Feature::RequestReply, "request-reply came with 4.6"),
    (Feature::Trace, "traces came with 4.4"),
    (Feature::Namespace, "namespaces of a client came with 4.5"),
];

/// The Remoting client for Go.
pub(crate) const REMOTING_GO: &[Lack] = &[
    (
        Feature::DeliveryTime,
        "2.1.2 knows delay levels, no points in time",
    ),
    (
        Feature::Recall,
        "it shows no recall handle and has no recall",
    ),
    (
        Feature::Seek,
        "its consumer that polls cannot be set to another place",
    ),
    (
        Feature::SqlPull,
        "its consumer that polls says TAG of every filter",
    ),
    (
        Feature::NamespaceHidden,
        "its application sees topics with their namespace",
    ),
    (
        Feature::AcksKept,
        "it forgets offsets that it has not sent when it loses its queues for a moment",
    ),
];

const ONS_NO_LEVELS: Lack = (
    Feature::DelayLevels,
    "the ONS API holds messages back until a point in time only",
);
const ONS_NO_RECALL: Lack = (Feature::Recall, "the ONS API has no recall");
const ONS_NO_BATCH: Lack = (
    Feature::Batch,
    "the ONS API consumes in batches but sends one by one",
);
const ONS_NO_REQUESTS: Lack = (Feature::RequestReply, "the ONS API has no requests");

/// ONS over TCP, first generation.
pub(crate) const ONS_1: &[Lack] = &[
    ONS_NO_LEVELS,
    ONS_NO_RECALL,
    ONS_NO_BATCH,
    ONS_NO_REQUESTS,
    (
        Feature::FilteredPull,
        "the pull consumer of ONS takes no filter",
    ),
];

/// ONS over TCP, second generation.
pub(crate) const ONS_2: &[Lack] = &[
    ONS_NO_LEVELS,
    ONS_NO_RECALL,
    ONS_NO_BATCH,
    ONS_NO_REQUESTS,
    (
        Feature::Uncompressed,
        "2.0.5 compresses every body over 4 KiB",
    ),
    (
        Feature::Trace,
        "2.0.5 gives its traces to the server as spans, and reads none back",
    ),
];

const NO_LEVELS: Lack = (
    Feature::DelayLevels,
    "gRPC v2 holds messages back until a point in time only",
);
const NO_BROADCASTING: Lack = (Feature::Broadcasting, "gRPC v2 has no broadcasting");
const NO_REQUESTS: Lack = (Feature::RequestReply, "gRPC v2 has no requests");
const NO_TRACE: Lack = (
    Feature::Trace,
    "gRPC clients write no traces, their server does",
);

const NO_BATCH: Lack = (Feature::Batch, "it sends one message a request");

/// The gRPC client for Java.
pub(crate) const GRPC: &[Lack] = &[NO_LEVELS, NO_BROADCASTING, NO_REQUESTS, NO_TRACE, NO_BATCH];

/// The gRPC client for Go.
pub(crate) const GRPC_GO: &[Lack] = &[
    NO_LEVELS,
    NO_BROADCASTING,
    NO_REQUESTS,
    NO_TRACE,
    NO_BATCH,
    (
        Feature::OrderedRetry,
        "5.1.4 for Go goes on behind a message that its listener in order fails",
    ),
    (
        Feature::ClientMetrics,
        "5.1.4 for Go reports metrics in the protocol of OpenCensus",
    ),
];

/// The gRPC client for Node.js.
pub(crate) const GRPC_NODEJS: &[Lack] = &[
    NO_LEVELS,
    NO_BROADCASTING,
    NO_REQUESTS,
    NO_TRACE,
    NO_BATCH,
    (
        Feature::LargestReceived,
        "1.0.8 for Node.js receives answers of up to 4 MiB only",
    ),
    (Feature::ClientMetrics, "1.0.8 for Node.js measures nothing"),
    (
        Feature::LiteTold,
        "1.0.8 for Node.js passes over the end of a subscription to a LiteTopic",
    ),
];

/// The gRPC client for Python.
pub(crate) const GRPC_PYTHON: &[Lack] = &[
    NO_LEVELS,
    NO_BROADCASTING,
    NO_REQUESTS,
    NO_TRACE,
    NO_BATCH,
    (Feature::Milliseconds, "5.1.2 for Python knows full seconds"),
    (
        Feature::OrderedAttempts,
        "5.1.2 for Python counts no attempts in order",
    ),
    (
        Feature::LastReport,
        "5.1.2 for Python does not report when it stops",
    ),
    (
        Feature::LiteTold,
        "5.1.2 for Python passes over the end of a subscription to a LiteTopic",
    ),
];

/// The gRPC client for Rust, which has several messages a request but is an early release.
pub(crate) const GRPC_RUST: &[Lack] = &[
    NO_LEVELS,
    NO_BROADCASTING,
    NO_REQUESTS,
    NO_TRACE,
    (Feature::Recall, "5.0.0 for Rust has no recall"),
    (
        Feature::Namespace,
        "the namespace of 5.0.0 for Rust cannot be set by an application",
    ),
    (
        Feature::InvisibleDuration,
        "5.0.0 for Rust cannot change an invisible duration",
    ),
    (Feature::Priority, "5.0.0 for Rust has no priorities"),
    (Feature::LiteTopics, "5.0.0 for Rust has no LiteTopics"),
    (Feature::Milliseconds, "5.0.0 for Rust knows full seconds"),
    (
        Feature::LargestReceived,
        "5.0.0 for Rust receives answers of up to 4 MiB only",
    ),
    (Feature::ClientMetrics, "5.0.0 for Rust measures nothing"),
];

/// The HTTP plane of ONS.
pub(crate) const ONS_HTTP: &[Lack] = &[
    (
        Feature::DelayLevels,
        "ONS HTTP holds messages back until a point in time only",
    ),
    (Feature::Broadcasting, "ONS HTTP has no broadcasting"),
    (Feature::SqlFilter, "ONS HTTP filters by tags"),
    (
        Feature::DeadLetter,
        "the path of its requests cannot hold the name of a dead-letter topic",
    ),
    (Feature::Recall, "ONS HTTP has no recall"),
    NO_BATCH,
    (Feature::RequestReply, "ONS HTTP has no requests"),
    (Feature::Trace, "ONS HTTP clients write no traces"),
    (
        Feature::InvisibleDuration,
        "ONS HTTP cannot change an invisible duration",
    ),
    (Feature::Priority, "ONS HTTP has no priorities"),
    (Feature::LiteTopics, "ONS HTTP has no LiteTopics"),
];
