//! Bits of a message's system flag. Source: `MessageSysFlag` of RocketMQ 5.5.0.

/// The body is compressed; [`COMPRESSION`] says how.
pub const COMPRESSED: i32 = 0x1;
/// The tags property holds several tags.
pub const MULTI_TAGS: i32 = 0x2;
/// Mask of the transaction state; one of the four values below.
pub const TRANSACTION: i32 = 0xC;
/// Not part of a transaction.
pub const TRANSACTION_NONE: i32 = 0x0;
/// A half message.
pub const TRANSACTION_PREPARED: i32 = 0x4;
/// The message of a committed transaction.
pub const TRANSACTION_COMMIT: i32 = 0x8;
/// The end of a transaction that was rolled back.
pub const TRANSACTION_ROLLBACK: i32 = 0xC;
/// The born host is an IPv6 address.
pub const BORN_HOST_V6: i32 = 0x10;
/// The store host is an IPv6 address.
pub const STORE_HOST_V6: i32 = 0x20;
/// The client must take the messages of an inner batch apart.
pub const NEED_UNWRAP: i32 = 0x40;
/// The body holds several messages.
pub const INNER_BATCH: i32 = 0x80;
/// Mask of the compression algorithm. 0 is zlib too: clients before 5.0 write no algorithm.
pub const COMPRESSION: i32 = 0x700;
/// The body is compressed with LZ4.
pub const COMPRESSION_LZ4: i32 = 0x100;
/// The body is compressed with Zstandard.
pub const COMPRESSION_ZSTD: i32 = 0x200;
/// The body is compressed with zlib.
pub const COMPRESSION_ZLIB: i32 = 0x300;

/// The flag with its transaction state replaced by `state`, one of the `TRANSACTION_` values.
pub const fn with_transaction(flag: i32, state: i32) -> i32 {
    (flag & !TRANSACTION) | (state & TRANSACTION)
}
