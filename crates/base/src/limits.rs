//! Every limit of the product in one place, each with its reason.

mod control;
mod inspection;
mod log;
mod nodes;
mod openapi;

pub use control::*;
pub use inspection::*;
pub use log::*;
pub use nodes::*;
pub use openapi::*;

/// Longest topic name. RocketMQ's broker allows 127 (one length byte in the stored message).
pub const TOPIC_NAME_BYTES_MAX: usize = 127;

/// Longest group name. RocketMQ's `Validators.CHARACTER_MAX_LENGTH` (clients 4.x, 5.x) is 255; with
/// `%RETRY%` in front it must still be a topic, for which the second message layout has two bytes.
/// We keep to 120 so that `%RETRY%` + name fits the one-byte layout that every client reads.
pub const GROUP_NAME_BYTES_MAX: usize = 120;

/// Longest name of a topic and id of a group on instances of the 4.x series, as the service has it.
pub const SERIES_4_NAME_BYTES_MAX: usize = 64;

/// Groups of one instance of the 4.x series, as the service has it.
pub const SERIES_4_GROUPS_MAX: usize = 1_000;

/// Largest body of a timed or half message on instances of the 4.x series, as the service has it.
pub const SERIES_4_SMALL_BODY_BYTES_MAX: usize = 64 * 1024;

/// Largest properties of a message on instances of the 4.x series, as the service has it.
pub const SERIES_4_PROPERTIES_BYTES_MAX: usize = 16 * 1024;

/// How far back a group may be reset on instances of the 4.x series, in milliseconds: the service
/// keeps messages for three days.
pub const SERIES_4_RESET_MS_MAX: u64 = 3 * 24 * 60 * 60 * 1_000;

/// Longest LiteTopic name: Apache's proxy `maxLiteTopicSize` and the managed service, 64.
pub const LITE_TOPIC_NAME_BYTES_MAX: usize = 64;

/// LiteTopics of one parent topic in one shard: ten times what the benchmark has. Each is two keys
/// of the KV, and its consumers may have it in memory.
pub const LITE_TOPICS_MAX: u64 = 10_000_000;

/// LiteTopics that one client subscribes to where its group says nothing else: Apache's default of
/// `lite.sub.client.quota`.
pub const LITE_SUBSCRIPTIONS_PER_CLIENT_DEFAULT: usize = 2_000;

/// Subscriptions to LiteTopics in one shard, each about 60 bytes in memory.
pub const LITE_SUBSCRIPTIONS_MAX: usize = 4_000_000;

/// Clients that subscribe to LiteTopics in one shard, each about 300 bytes without its LiteTopics.
pub const LITE_SUBSCRIBERS_MAX: usize = 262_144;

/// LiteTopics named in one change of a subscription: a client says all that it has each time.
pub const LITE_TOPICS_PER_REQUEST_MAX: usize = 100_000;

/// LiteTopics that one answer to a tool names: Apache's `MAX_RETURN_COUNT` of its
/// `LiteManagerProcessor`.
pub const LITE_TOPICS_PER_ANSWER_MAX: usize = 10_000;

/// LiteTopics that one receive looks at before it answers, be it with nothing: each may cost two
/// reads of the KV.
pub const LITE_TOPICS_PER_RECEIVE_MAX: usize = 1_024;

/// Calls of a shard that look at LiteTopics at a time, or say which they want; the others wait in
/// the order of their coming. Enough for those that wait for the disk; few enough that everybody
/// else finds a processor soon when ten thousand clients come back at once.
pub const LITE_LOOKS_AT_A_TIME: usize = 8;

/// Longest instance id. The managed service's ids (`rmq-cn-...`, `MQ_INST_<uid>_<code>`) stay
/// below.
pub const INSTANCE_ID_BYTES_MAX: usize = 64;

/// Instances of one server. Each has a log, a key space of the state and a commit of its own; the
/// metadata store is sized for a thousand.
pub const INSTANCES_PER_SERVER_MAX: usize = 1_000;

/// Instances that are opened at a time when a server starts: each waits for a few syncs, and holds
/// what it replays in memory.
pub const INSTANCES_OPENING_AT_ONCE: usize = 16;

/// Longest display name of an instance, in characters: the service's limit.
pub const INSTANCE_DISPLAY_NAME_CHARACTERS_MAX: usize = 64;

/// Longest remark on an instance, in characters: the service's limit.
pub const INSTANCE_REMARK_CHARACTERS_MAX: usize = 128;

/// Tags of one instance: the service's limit.
pub const INSTANCE_TAGS_MAX: usize = 20;

/// Longest key or value of a tag, in characters: the service's limit.
pub const TAG_CHARACTERS_MAX: usize = 128;

/// Bytes of a message's body that are one unit of quotas and usage, as the service counts.
pub const UNIT_BYTES_DEFAULT: u64 = 4 * 1024;

/// Longest time that messages of an instance may be kept for, in hours: 30 days. The service names
/// none.
pub const RETENTION_HOURS_MAX: u32 = 720;

/// Days for which it is kept what instances used: a month and some. With as many instances as a
/// server may have that is 35,000 entries of 2 KB.
pub const USAGE_DAYS_MAX: i64 = 35;

/// Hours in one answer about what instances used. Each has about 150 bytes in JSON.
pub const USAGE_RECORDS_MAX: usize = 50_000;

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

/// Largest JSON body of a Remoting command. A heartbeat with 1,000 subscriptions has about 300 KB;
/// JSON takes several times its size in memory once it is read.
pub const REMOTING_JSON_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Largest log record with its envelope: a message of the largest body, properties and head, and
/// room for batches that are stored as one.
pub const RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most messages in one batch send. The largest body holds about 90,000 empty messages; a batch of
/// this many keeps one request from holding the shard for long.
pub const SEND_BATCH_MESSAGES_MAX: usize = 4_096;

/// Bytes of appends that may wait for the disk in one shard before senders wait in turn.
pub const LOG_PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most bytes that one commit of a log writes, and so the most that one append of several records
/// may have. Bounds what a crash can tear, and so what recovery must look through behind a torn
/// write.
pub const LOG_COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Files of sealed segments that one log keeps open for reading.
pub const LOG_OPEN_FILES_MAX: usize = 16;

/// Largest metadata entry, key and value: etcd's default request limit is 1.5 MiB.
pub const METADATA_ENTRY_BYTES_MAX: usize = 1024 * 1024;

/// Metadata changes that a watcher may be behind before it is told to read again.
pub const METADATA_WATCH_CHANGES_MAX: usize = 1_024;

/// Metadata changes kept for watches that start a little in the past, by number and by bytes.
pub const METADATA_HISTORY_CHANGES_MAX: usize = 1_024;
/// See [`METADATA_HISTORY_CHANGES_MAX`].
pub const METADATA_HISTORY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Disk that is held for the state KV alone, so that checkpoints, acks and offsets outlast the
/// space for sends. Room for one checkpoint of many queues and what opening the KV anew takes.
pub const STATE_RESERVE_BYTES: u64 = 8 * 1024 * 1024;

/// Longest time a send waits for room in the log before it is refused, in milliseconds. Below the
/// 3 s that SDKs give a send by default, so that the client hears the reason.
pub const SEND_WAIT_MS_MAX: u64 = 2_500;

/// Most messages in one pull or receive. Apache's `maxMsgsNumPerRequest`-like caps are 32 by
/// default and clients ask for up to 1,024.
pub const PULL_MESSAGES_MAX: usize = 1_024;

/// Most body bytes in one pull or receive answer; one larger message still travels alone. gRPC SDKs
/// accept 4 MiB messages and 16 MiB frames bound Remoting.
pub const PULL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest long poll, in milliseconds. gRPC SDKs ask for 20 to 30 s, Remoting pulls for 15 to 20 s.
pub const LONG_POLL_MS_MAX: u64 = 60_000;

/// Index entries looked at for one pull before the answer says "go on from here": a filter that
/// matches nothing must not hold the shard.
pub const PULL_SCAN_ENTRIES_MAX: usize = 8_192;

/// Pairs of group and queue of which a shard remembers how far they have pulled; what is above it
/// is forgotten until the next pull. About 4 MiB.
pub const PULL_POSITIONS_MAX: usize = 65_536;

/// Queues that are asked for their oldest message when a tool wants to know that of a broker: some
/// milliseconds of work. Of a broker with more queues it is not told.
pub const EARLIEST_QUEUES_MAX: usize = 4_096;

/// Messages in flight for one group on one queue before receive hands out no more. Bounds memory
/// and the checkpoint; Apache's `popInflightMessageThreshold` of its newer releases is 10,000.
pub const IN_FLIGHT_PER_QUEUE_MAX: usize = 10_000;

/// Messages parked for one group on one queue, because an earlier one of their message group is not
/// done, before receive passes over no more. Some 100 bytes of memory each.
pub const PARKED_PER_QUEUE_MAX: usize = 131_072;

/// Messages parked for all groups on all queues of one shard: 200 MB of memory.
pub const PARKED_PER_SHARD_MAX: usize = 2_097_152;

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

/// Most messages of one page of those that were stored in some time: the largest page that the
/// OpenAPI has.
pub const BROWSE_MESSAGES_MAX: usize = 100;

/// Entries of one answer about the progress of groups: one per group, topic and queue. About 100
/// bytes each on the wire, and so below [`REMOTING_FRAME_BYTES_MAX`].
pub const PROGRESS_ENTRIES_MAX: usize = 100_000;

/// Offsets that were reset and that no pull has been told yet, in one shard. Past it a reset sets
/// the offset all the same; those who pull learn of it by the command that is pushed to them.
pub const RESETS_UNTOLD_MAX: usize = 65_536;

/// Clients of a group that are asked one after the other for one answer about it.
pub const STATUS_CLIENTS_MAX: usize = 64;

/// Topics or groups in one request that creates several. Tools read them from a file.
pub const CREATE_BATCH_MAX: usize = 1_000;

/// Bytes of a namespace and of a key of the values that administrators keep.
pub const KV_CONFIG_NAME_BYTES_MAX: usize = 255;

/// Bytes of such a value. With the largest number of keys a namespace stays below
/// [`METADATA_ENTRY_BYTES_MAX`].
pub const KV_CONFIG_VALUE_BYTES_MAX: usize = 512;

/// Keys of one namespace of such values.
pub const KV_CONFIG_KEYS_MAX: usize = 1_024;

/// Namespaces of such values in one instance.
pub const KV_CONFIG_NAMESPACES_MAX: usize = 64;

/// Clients known to one instance at a time. Each costs under 1 KiB; a connection that registers
/// ever new ids is refused past this.
pub const CLIENTS_PER_INSTANCE_MAX: usize = 100_000;

/// Members of all groups of one instance: a client may be in several. Each costs under 1 KiB
/// besides its subscriptions.
pub const GROUP_MEMBERS_PER_INSTANCE_MAX: usize = 400_000;

/// Groups in which the clients of one connection are remembered. A process has one client for tens
/// of groups at most.
pub const GROUPS_PER_CONNECTION_MAX: usize = 4_096;

/// A client that has not been heard of for this long is gone, in milliseconds. Apache's
/// `channelExpiredTimeout` is 120 s.
pub const CLIENT_EXPIRY_MS: u64 = 120_000;

/// A queue lock not renewed for this long is free, in milliseconds: Apache's
/// `rocketmq.broker.rebalance.lockMaxLiveTime`, 60 s.
pub const QUEUE_LOCK_EXPIRY_MS: u64 = 60_000;

/// Open connections per listener. Each costs a task and, while it speaks, a read buffer; past this
/// a new one is closed at once.
pub const CONNECTIONS_PER_LISTENER_MAX: usize = 20_000;

/// Time for the first bytes of a connection, by which its protocol is told, in milliseconds.
pub const FIRST_BYTES_WAIT_MS_MAX: u64 = 5_000;

/// The same once the process stops, in milliseconds: clients speak as soon as they are connected.
pub const LAST_FIRST_BYTES_WAIT_MS_MAX: u64 = 250;

/// Time for a TLS handshake, in milliseconds.
pub const TLS_HANDSHAKE_MS_MAX: u64 = 10_000;

/// Requests of one Remoting connection under way at once, long polls not counted. Past this the
/// connection is not read, and its client's socket fills.
pub const REMOTING_REQUESTS_IN_FLIGHT_MAX: usize = 4_096;

/// Requests of one Remoting connection that are begun before others have their turn: a client whose
/// socket is full of them must not keep a thread for itself.
pub const REMOTING_REQUESTS_PER_TURN_MAX: usize = 256;

/// How long the answer to a request past a quota is held back, in milliseconds: far below the 3 s
/// that clients wait for a send, and enough that one that tries again at once costs little.
pub const THROTTLED_ANSWER_HELD_MS: u64 = 100;

/// Bytes of requests of one Remoting connection under way at once; two of the largest frames.
pub const REMOTING_BYTES_IN_FLIGHT_MAX: usize = 32 * 1024 * 1024;

/// Long polls of one Remoting connection under way at once. A client has one per queue that it
/// consumes; past this a pull is answered without waiting.
pub const REMOTING_LONG_POLLS_MAX: usize = 8_192;

/// Bytes of answers that wait for a slow reader before its requests are no longer worked on. One
/// answer more may follow, itself limited by [`PULL_BYTES_MAX`].
pub const REMOTING_RESPONSE_BYTES_QUEUED_MAX: usize = 8 * 1024 * 1024;

/// Time for a Remoting frame from its first byte to its last, in milliseconds, plus
/// [`REMOTING_FRAME_MS_PER_64_KIB`] for what has arrived of it: slow lines pass, trickles do not.
pub const REMOTING_FRAME_MS_MAX: u64 = 30_000;

/// See [`REMOTING_FRAME_MS_MAX`]: a line of 64 KiB/s is fast enough.
pub const REMOTING_FRAME_MS_PER_64_KIB: u64 = 1_000;

/// A Remoting connection on which nothing happens for this long is closed, in milliseconds:
/// Apache's `serverChannelMaxIdleTimeSeconds`, 120 s. Clients send a heartbeat every 30 s.
pub const REMOTING_IDLE_MS_MAX: u64 = 120_000;

/// A connection that takes none of the bytes waiting for it for this long is closed, in
/// milliseconds.
pub const WRITE_STALL_MS_MAX: u64 = 60_000;

/// Commands that wait for one client's connection. Lost ones are made good by the client's timers.
pub const CLIENT_COMMANDS_QUEUED_MAX: usize = 256;

/// Header bytes of one HTTP request. gRPC metadata of the SDKs stays below 2 KiB.
pub const HTTP_HEADER_BYTES_MAX: usize = 32 * 1024;

/// Longest path and query of a request of the ONS HTTP plane, as its documentation has it.
pub const ONS_HTTP_TARGET_BYTES_MAX: usize = 1_024;

/// Largest body of a request of the ONS HTTP plane: a largest message, four times its size since
/// XML has to escape some characters.
pub const ONS_HTTP_REQUEST_BYTES_MAX: usize = 4 * MESSAGE_BODY_BYTES_MAX;

/// Time for the body of an HTTP request, in milliseconds.
pub const HTTP_BODY_WAIT_MS_MAX: u64 = 60_000;

/// Most messages of one answer of the ONS HTTP plane.
pub const ONS_HTTP_MESSAGES_MAX: usize = 16;

/// Longest long poll of the ONS HTTP plane, in milliseconds.
pub const ONS_HTTP_WAIT_MS_MAX: u64 = 30_000;

/// How far the clock of a client of the ONS HTTP plane may be from the server's, in milliseconds.
pub const ONS_HTTP_DATE_MS_OFF_MAX: u64 = 15 * 60 * 1_000;

/// How long a message that was taken over HTTP is invisible, in milliseconds: a client cannot say.
pub const ONS_HTTP_INVISIBLE_MS: u64 = 300_000;

/// Longest remark of a topic or a group, in characters, as that of an instance.
pub const REMARK_CHARACTERS_MAX: usize = INSTANCE_REMARK_CHARACTERS_MAX;

/// Time for the head of an HTTP/1.1 request, in milliseconds; also the longest pause between two.
pub const HTTP_HEADER_WAIT_MS_MAX: u64 = 30_000;

/// Concurrent HTTP/2 streams per connection. A gRPC client holds one receive per queue it is
/// assigned.
pub const HTTP2_STREAMS_MAX: u32 = 2_048;

/// Requests of one HTTP/2 connection that are begun or answered before others have their turn.
pub const HTTP2_REQUESTS_PER_TURN_MAX: usize = 64;

/// Bytes that are read of one HTTP/2 connection before its requests are begun and others have their
/// turn: some thirty messages of 1 KiB, about a millisecond's work.
pub const HTTP2_BYTES_PER_TURN_MAX: usize = 32 * 1024;

/// Idle time after which an HTTP/2 peer is pinged, in milliseconds.
pub const HTTP2_PING_INTERVAL_MS: u64 = 30_000;

/// Time for the answer to such a ping, in milliseconds.
pub const HTTP2_PING_WAIT_MS_MAX: u64 = 20_000;

/// Bytes that a gRPC client may send ahead of being read, per stream and per connection. A stream's
/// covers one largest message.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// See [`HTTP2_STREAM_WINDOW_BYTES`].
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// Time that a connection has to go away after its last answer during a drain, in milliseconds.
pub const CLOSE_LINGER_MS_MAX: u64 = 1_000;

/// Index entries in memory at which a checkpoint is due at once: 6 MiB of them.
pub const CHECKPOINT_INDEX_ENTRIES: usize = 256 * 1024;

/// State changes in memory at which a checkpoint is due at once: about 20 MiB of them.
pub const CHECKPOINT_CHANGES: usize = 128 * 1024;

/// Queues, or consumptions, in memory above which those of idle LiteTopics leave it without
/// waiting for a checkpoint: about 8 MiB of them. A look at as many takes about a millisecond.
pub const LITE_TOPICS_IN_MEMORY: usize = 32 * 1024;

/// Largest gRPC request: a largest message in an envelope, or a batch of smaller ones. Apache's
/// proxy takes 130 MiB; no SDK sends more than 4 MiB of bodies at once.
pub const GRPC_REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of messages that one gRPC connection has been given and its client has not read, at which
/// it is given no more; eight of the largest answers.
pub const GRPC_UNREAD_BYTES_MAX: usize = 8 * PULL_BYTES_MAX;

/// Largest settings of one gRPC client, encoded. A thousand subscriptions with tags have about
/// 100 KB; they are kept for as long as the client's Telemetry stream.
pub const CLIENT_SETTINGS_BYTES_MAX: usize = 256 * 1024;

/// Longest id that a client gives itself. SDKs join host name, process id and a counter.
pub const CLIENT_ID_BYTES_MAX: usize = 512;

/// Topics or subscriptions in the settings of one client. Kept for as long as the client is known.
pub const CLIENT_SETTINGS_ENTRIES_MAX: usize = 1_024;

/// Entries of one gRPC acknowledgement. SDKs send one; a receive hands out at most
/// [`PULL_MESSAGES_MAX`].
pub const ACK_ENTRIES_MAX: usize = PULL_MESSAGES_MAX;

/// User properties of one gRPC message: Apache's proxy `userPropertyMaxNum`.
pub const USER_PROPERTIES_MAX: usize = 128;

/// Bytes of the user properties, tag and keys of one gRPC message: Apache's proxy
/// `maxUserPropertySize`.
pub const USER_PROPERTIES_BYTES_MAX: usize = 16 * 1024;

/// Longest message group of a gRPC message, in bytes: Apache's proxy `maxMessageGroupSize` of 64
/// excludes the bound itself.
pub const MESSAGE_GROUP_BYTES_MAX: usize = 63;

/// Longest time that a producer may set before it is asked how a transaction ended, in seconds:
/// Apache's proxy `maxTransactionRecoverySecond`, one hour.
pub const TRANSACTION_RECOVERY_SECONDS_MAX: u64 = 60 * 60;

/// Largest body that a front end inflates to put another frame around it; a larger one is refused
/// or travels as it is. Takes a largest body compressed eight times, and ends decompression bombs.
pub const INFLATED_BODY_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Longest SQL92 filter expression, in bytes. Each client's filters stay in memory for as long as
/// the client is known, at up to 48 times their length.
pub const SQL_FILTER_BYTES_MAX: usize = 32 * 1024;

/// Levels of operators and parentheses within each other in an SQL92 filter. Reading and evaluating
/// recurse; this many levels take a small part of a thread's stack.
pub const SQL_FILTER_DEPTH_MAX: usize = 100;

/// Texts in one list of an SQL92 filter (`IN`).
pub const SQL_FILTER_ITEMS_MAX: usize = 4_096;

/// Longest delay of a timed message that an instance may allow, in milliseconds: the service's 40
/// days.
pub const DELAY_MS_MAX: u64 = 40 * 24 * 60 * 60 * 1_000;

/// A half message whose producers are all gone is put aside after this long, in milliseconds:
/// Apache's default `fileReservedTime`, 72 hours.
pub const HALF_MESSAGE_MS_MAX: u64 = 72 * 60 * 60 * 1_000;

/// Half messages of one shard that wait for their producers to ask for them; the others are offered
/// when they are due again. Some 20 bytes of memory each.
pub const HALF_OFFERS_MAX: usize = 65_536;

/// Held messages that are on their way out at a time: what a burst of due messages may pile up
/// before the disk.
pub const RELEASES_IN_FLIGHT_MAX: usize = 4_096;

/// Users of one instance; every one is held in memory, with its policies.
pub const ACCESS_USERS_MAX: usize = 10_000;

/// Policy entries of one user. Every request of the user looks at all of them, and they are one
/// metadata entry.
pub const ACCESS_ENTRIES_PER_USER_MAX: usize = 1_000;

/// Bytes of a RAM-style policy document: what RAM takes. Every request of its users looks at all of
/// it.
pub const RAM_POLICY_BYTES_MAX: usize = 6_144;

/// Bytes of the name of a RAM-style policy, as in RAM.
pub const RAM_POLICY_NAME_BYTES_MAX: usize = 128;

/// RAM-style policies of one instance, as in RAM. All are in memory.
pub const RAM_POLICIES_MAX: usize = 1_500;

/// RAM-style policies of one user. Every request of the user looks at all of them.
pub const RAM_POLICIES_PER_USER_MAX: usize = 30;

/// Sources of one policy entry. Every request that the entry is about looks at all of them.
pub const ACCESS_SOURCES_PER_ENTRY_MAX: usize = 64;

/// Longest user name. Access keys of the managed service have up to 32 characters.
pub const USER_NAME_BYTES_MAX: usize = 128;

/// Longest secret of a user. Secret keys of the managed service have 30 characters.
pub const USER_SECRET_BYTES_MAX: usize = 256;

/// Largest report of metrics from one client. A histogram with its labels has about 300 bytes, so
/// this is a client of 1,500; read, it takes about 40 times as much memory at worst.
pub const CLIENT_METRICS_REQUEST_BYTES_MAX: usize = 512 * 1024;

/// Metrics of clients shown per instance, each with its own labels: what Prometheus takes in one
/// scrape without trouble, with eight samples a histogram.
pub const CLIENT_METRICS_SERIES_MAX: usize = 10_000;

/// Metrics of single clients remembered per instance, to tell what is new in a report: about 200
/// bytes each.
pub const CLIENT_METRICS_REPORTED_MAX: usize = 100_000;

/// After this long without a report a client's metrics are forgotten. SDKs report every minute.
pub const CLIENT_METRICS_EXPIRY_MS: u64 = 300_000;

/// What happened to messages of gRPC clients and still waits to be traced. Each has about 500
/// bytes; beyond this many, traces are lost rather than anybody made to wait.
pub const TRACE_EVENTS_QUEUED_MAX: usize = 16_384;

/// Most events that one message of the trace topic holds: their ids and keys are its keys, and must
/// find room in its properties.
pub const TRACE_EVENTS_PER_MESSAGE_MAX: usize = 32;

/// Most events that are taken from the queue at once.
pub const TRACE_EVENTS_PER_BATCH_MAX: usize = 1_024;

/// How long events are gathered before they are written, so that one append takes many.
pub const TRACE_LINGER_MS: u64 = 100;

/// Deliveries remembered until they are settled, to tell how long they took; about 200 bytes each.
pub const TRACE_DELIVERIES_MAX: usize = 65_536;

/// Lists of spans that wait for the collector, each of up to [`TRACE_EVENTS_PER_BATCH_MAX`] spans
/// of about 1 KiB; beyond this many, spans are lost.
pub const SPAN_LISTS_QUEUED_MAX: usize = 16;

/// Longest keys of a message that its traces repeat; whole keys beyond it are left out.
pub const TRACE_KEYS_BYTES_MAX: usize = 512;

/// How long dead letters are shown to their group and can be sent again. They may be there longer:
/// what is past it is for retention alone.
pub const DEAD_LETTER_SHOWN_MS: u64 = 3 * 24 * 60 * 60 * 1_000;

/// How long it is remembered how many messages came and went in each minute: as long as messages of
/// the 4.x series are kept. An hour of one topic, or of one group on a topic, has up to 300 bytes
/// in the KV.
pub const TREND_HOURS_MAX: u32 = 72;

/// Topics, and groups on topics, whose messages are counted by the minute at the same time, per
/// shard: about 300 bytes each. What is new beyond that is not counted in that hour.
pub const TREND_SERIES_MAX: usize = 10_000;

/// Most of what was told of a message that is read back at once: some thousand steps.
pub const TRACE_STEPS_BYTES_MAX: usize = 1024 * 1024;

/// Addresses and ranges that an instance lets in from. Each request is held against all of them, at
/// some nanoseconds each.
pub const IP_WHITELIST_MAX: usize = 200;
