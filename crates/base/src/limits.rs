//! Every limit of the product in one place, each with its reason.

/// Longest topic name. RocketMQ's broker allows 127 (one length byte in the stored message).
pub const TOPIC_NAME_BYTES_MAX: usize = 127;

/// Longest group name. RocketMQ's `Validators.CHARACTER_MAX_LENGTH` (clients 4.x, 5.x) is 255; with
/// `%RETRY%` in front it must still be a topic, for which the second message layout has two bytes.
/// We keep to 120 so that `%RETRY%` + name fits the one-byte layout that every client reads.
pub const GROUP_NAME_BYTES_MAX: usize = 120;

/// Longest instance id. The managed service's ids (`rmq-cn-...`, `MQ_INST_<uid>_<code>`) stay below.
pub const INSTANCE_ID_BYTES_MAX: usize = 64;

/// Largest log position: the low 48 bits of the physical offset, 256 TiB per shard.
pub const LOG_POSITION_MAX: u64 = (1 << 48) - 1;

/// Largest message body. Apache's default `maxMessageSize` and every SDK's limit: 4 MiB.
pub const MESSAGE_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Largest encoded properties: their length is a signed 16-bit number in the stored message.
pub const MESSAGE_PROPERTIES_BYTES_MAX: usize = i16::MAX as usize;

/// Longest topic in a stored message. Wider than a topic name: retry and dead-letter topics put a
/// prefix before a group name, and front ends show instance prefixes.
pub const STORED_TOPIC_BYTES_MAX: usize = 512;

/// Largest Remoting frame: Apache's `com.rocketmq.remoting.frameMaxLength`, 16 MiB. Keeps the first
/// byte of a frame at 0 or 1, so that it never looks like TLS, HTTP/2 or HTTP/1.1.
pub const REMOTING_FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Header fields of one Remoting command. Requests of released clients have up to about 25 with
/// signature and namespace.
pub const REMOTING_HEADER_FIELDS_MAX: usize = 128;

/// Largest log record with its envelope: a message of the largest body, properties and head, and
/// room for batches that are stored as one.
pub const RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most messages in one batch send. The largest body holds about 90,000 empty messages; a batch of
/// this many keeps one request from holding the shard for long.
pub const SEND_BATCH_MESSAGES_MAX: usize = 4_096;

/// Bytes of appends that may wait for the disk in one shard before senders wait in turn.
pub const LOG_PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most bytes that one commit of a log writes, and so the most that one append of several records may
/// have. Bounds what a crash can tear, and so what recovery must look through behind a torn write.
pub const LOG_COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Files of sealed segments that one log keeps open for reading.
pub const LOG_OPEN_FILES_MAX: usize = 16;

/// Longest time a send waits for room in the log before it is refused, in milliseconds. Below the
/// 3 s that SDKs give a send by default, so that the client hears the reason.
pub const SEND_WAIT_MS_MAX: u64 = 2_500;

/// Most messages in one pull or receive. Apache's `maxMsgsNumPerRequest`-like caps are 32 by default
/// and clients ask for up to 1,024.
pub const PULL_MESSAGES_MAX: usize = 1_024;

/// Most body bytes in one pull or receive answer; one larger message still travels alone. gRPC SDKs
/// accept 4 MiB messages and 16 MiB frames bound Remoting.
pub const PULL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest long poll, in milliseconds. gRPC SDKs ask for 20 to 30 s, Remoting pulls for 15 to 20 s.
pub const LONG_POLL_MS_MAX: u64 = 60_000;

/// Index entries looked at for one pull before the answer says "go on from here": a filter that
/// matches nothing must not hold the shard.
pub const PULL_SCAN_ENTRIES_MAX: usize = 8_192;

/// Messages in flight for one group on one queue before receive hands out no more. Bounds memory and
/// the checkpoint; Apache's `popInflightMessageThreshold` of its newer releases is 10,000.
pub const IN_FLIGHT_PER_QUEUE_MAX: usize = 10_000;

/// Shortest invisible duration, in milliseconds: Apache's proxy `minInvisibleTimeMillsForRecv`.
pub const INVISIBLE_MS_MIN: u64 = 10_000;

/// Shortest invisible duration that a change may set, in milliseconds. Nacks use short ones.
pub const INVISIBLE_CHANGE_MS_MIN: u64 = 1;

/// Longest invisible duration: Apache's proxy `maxInvisibleTimeMills`, 12 hours.
pub const INVISIBLE_MS_MAX: u64 = 12 * 60 * 60 * 1_000;

/// Queues of one topic in one shard. Keeps route answers and per-queue state bounded.
pub const TOPIC_QUEUES_MAX: u32 = 1_024;

/// Topics of one instance in this release; every one is held in memory.
pub const TOPICS_PER_INSTANCE_MAX: usize = 100_000;

/// Groups of one instance in this release; every one is held in memory.
pub const GROUPS_PER_INSTANCE_MAX: usize = 100_000;

/// Most delivery attempts a group may ask for. The service's documented maximum is 1,000.
pub const DELIVERY_ATTEMPTS_MAX: u32 = 1_000;

/// Delivery attempts where a group names none: 1 first delivery and 16 retries, RocketMQ's default.
pub const DELIVERY_ATTEMPTS_DEFAULT: u32 = 17;

/// Most results of one message query by key. Apache's `maxMsgsNumBatch` is 64.
pub const QUERY_MESSAGES_MAX: usize = 64;

/// Clients known to one instance at a time. Each costs under 1 KiB; a connection that registers
/// ever new ids is refused past this.
pub const CLIENTS_PER_INSTANCE_MAX: usize = 100_000;

/// A client that has not been heard of for this long is gone, in milliseconds. Apache's
/// `channelExpiredTimeout` is 120 s.
pub const CLIENT_EXPIRY_MS: u64 = 120_000;

/// A queue lock not renewed for this long is free, in milliseconds: Apache's
/// `rocketmq.broker.rebalance.lockMaxLiveTime`, 60 s.
pub const QUEUE_LOCK_EXPIRY_MS: u64 = 60_000;
