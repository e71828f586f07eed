//! What a scenario needs of a client library beyond sending and receiving, and what a library lacks.

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
    /// Several messages in one request.
    Batch,
    /// Bodies of any size that travel as they are.
    Uncompressed,
    /// Requests and replies.
    RequestReply,
    /// Traces that the library writes to a topic.
    Trace,
    /// Names inside a namespace of the client.
    Namespace,
    /// The namespace is taken off the topics that an application sees.
    NamespaceHidden,
}

/// A feature that a library lacks, and why.
pub(crate) type Lack = (Feature, &'static str);
