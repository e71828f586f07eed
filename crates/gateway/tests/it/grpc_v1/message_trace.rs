//! Traces that the server writes for clients of this protocol, where it is told to.

use tonic::Code;
use wire::{
    grpc_v1::{
        self as v1, ack_message_request::Handle, end_transaction_request::TransactionResolution,
    },
    message::TraceKind,
};

use super::{ATTEMPTS, Sdk, code, handle, message, resource};
use crate::grpc_v2::message_trace::{records, records_with, traced};

#[tokio::test]
async fn a_message_is_traced_from_send_to_ack() {
    let server = traced().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one(message("orders", "failed")).await;
    let taken = sdk.take("orders", "billing").await;
    let request = sdk.request(v1::NackMessageRequest {
        group: resource("billing"),
        topic: resource("orders"),
        client_id: "c".to_owned(),
        receipt_handle: handle(&taken[0]).to_owned(),
        message_id: "id-failed".to_owned(),
        delivery_attempt: 1,
        max_delivery_attempts: ATTEMPTS,
    });
    let answer = sdk.client.nack_message(request).await.unwrap().into_inner();
    assert_eq!(code(&answer.common), Code::Ok);
    sdk.send_one(message("orders", "done")).await;
    let taken = sdk.take("orders", "billing").await;
    let request = sdk.request(v1::AckMessageRequest {
        group: resource("billing"),
        topic: resource("orders"),
        client_id: "c".to_owned(),
        handle: Some(Handle::ReceiptHandle(handle(&taken[0]).to_owned())),
        message_id: "id-done".to_owned(),
    });
    let answer = sdk.client.ack_message(request).await.unwrap().into_inner();
    assert_eq!(code(&answer.common), Code::Ok);
    for (id, success) in [("id-failed", false), ("id-done", true)] {
        let found = records(&server, id, 3).await;
        let joined = found[1].2.clone();
        assert!(joined.is_some());
        assert_eq!(
            found,
            [
                (TraceKind::Send, Some(true), None),
                (TraceKind::Receive, None, joined.clone()),
                (TraceKind::Consume, Some(success), joined),
            ],
            "{id}"
        );
    }
}

#[tokio::test]
async fn the_end_of_a_transaction_is_traced() {
    let server = traced().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let half = sdk.send_half("half").await;
    let rollback = TransactionResolution::Rollback;
    assert_eq!(sdk.end("senders", &half, rollback).await, Code::Ok);
    assert_eq!(
        records(&server, "id-half", 2).await,
        [
            (TraceKind::Send, Some(true), None),
            (TraceKind::EndTransaction, None, None),
        ]
    );
    // The topic is not in the request, but the half message has it.
    let record = "\u{1}senders\u{1}orders\u{1}id-half\u{1}";
    assert_eq!(records_with(&server, "id-half", record).await, 1);
    let record = format!("\u{1}{half}\u{1}ROLLBACK_MESSAGE\u{1}false\u{2}");
    assert_eq!(records_with(&server, "id-half", &record).await, 1);
}
