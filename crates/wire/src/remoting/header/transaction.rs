//! Transactions: codes 37 and 39.

use super::header;

header! {
    /// Request `EndTransaction` (37).
    pub struct EndTransactionRequest<'a> {
        /// Topic of the half message.
        topic: Option<&'a str> = "topic",
        /// Group of the producer.
        producer_group: &'a str = "producerGroup",
        /// Queue offset of the half message.
        transaction_state_offset: i64 = "tranStateTableOffset",
        /// Physical offset of the half message.
        physical_offset: i64 = "commitLogOffset",
        /// One of the `TRANSACTION_` values of [`crate::message::sys_flag`].
        commit_or_rollback: i32 = "commitOrRollback",
        /// Whether a check of the server led to this.
        from_transaction_check: bool = "fromTransactionCheck" or false,
        /// Client-side id of the half message.
        message_id: &'a str = "msgId",
        /// Id of the transaction.
        transaction_id: Option<&'a str> = "transactionId",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Request `CheckTransactionState` (39), from server to client; the body is the half message.
    pub struct CheckTransactionStateRequest<'a> {
        /// Topic of the half message.
        topic: Option<&'a str> = "topic",
        /// Queue offset of the half message.
        transaction_state_offset: i64 = "tranStateTableOffset",
        /// Physical offset of the half message.
        physical_offset: i64 = "commitLogOffset",
        /// Client-side id of the half message.
        message_id: Option<&'a str> = "msgId",
        /// Id of the transaction.
        transaction_id: Option<&'a str> = "transactionId",
        /// Server-side id of the half message.
        offset_message_id: Option<&'a str> = "offsetMsgId",
        /// Broker that holds the half message; the client ends the transaction there.
        broker_name: Option<&'a str> = "bname",
    }
}
