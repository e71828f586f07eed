//! Series × protocol: each family is taken, or refused with a reason.

use gateway::Series;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::{
    grpc_v1::{self as v1, messaging_service_client::MessagingServiceClient},
    grpc_v2 as v2,
};

use crate::{
    grpc_v2::{Sdk, message},
    support::{Server, Setup, soon},
};

/// What a family is told; `None` where it is taken.
type Told = Option<String>;

async fn server(series: Series) -> Server {
    Server::with(Setup {
        series,
        ..Setup::default()
    })
    .await
}

async fn grpc_v2(server: &Server) -> Told {
    let mut sdk = Sdk::connect(server, "sdk").await;
    let messages = vec![message("orders", "hello")];
    let request = sdk.request(v2::SendMessageRequest { messages });
    let answer = soon("send", sdk.client.send_message(request)).await;
    told(answer.map(|answer| assert_eq!(answer.into_inner().entries.len(), 1)))
}

async fn grpc_v1(server: &Server) -> Told {
    let sdk = Sdk::connect(server, "sdk").await;
    let mut client = MessagingServiceClient::new(sdk.channel.clone());
    let request = sdk.request(v1::HealthCheckRequest::default());
    told(
        soon("health check", client.health_check(request))
            .await
            .map(drop),
    )
}

fn told(answer: Result<(), tonic::Status>) -> Told {
    let status = answer.err()?;
    assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status:?}");
    Some(status.message().to_owned())
}

async fn ons_http(server: &Server) -> Told {
    let body = "<Message><MessageBody>hello</MessageBody></Message>";
    let text = format!(
        "POST /topics/orders/messages HTTP/1.1\r\nhost: x\r\nx-mq-version: 2015-06-06\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = server.connect().await;
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("answer", socket.read_to_string(&mut answer))
        .await
        .unwrap();
    if answer.starts_with("HTTP/1.1 201 ") {
        return None;
    }
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    Some(answer)
}

#[tokio::test]
async fn each_series_takes_its_families_and_tells_the_others_why() {
    for (series, takes_v2, takes_v1, takes_http) in [
        (Series::Any, true, true, true),
        (Series::V4, false, true, true),
        (Series::V5, true, false, false),
    ] {
        let server = server(series).await;
        // Remoting, and with it three of the families, is taken by all.
        crate::remoting::send_some(&server, "orders", 1).await;
        for (family, told, is_taken) in [
            ("gRPC v2", grpc_v2(&server).await, takes_v2),
            ("gRPC v1", grpc_v1(&server).await, takes_v1),
            ("HTTP", ons_http(&server).await, takes_http),
        ] {
            assert_eq!(told.is_none(), is_taken, "{series:?} {family}: {told:?}");
            if let Some(told) = told {
                let own = if series == Series::V4 { "4.x" } else { "5.x" };
                assert!(told.contains(&format!("of the {own} series")), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn the_4_x_series_checks_no_types_of_messages() {
    for (series, status) in [(Series::Any, 400), (Series::V4, 201)] {
        let server = server(series).await;
        let orders = base::TopicName::new("orders").unwrap();
        let mut spec = broker::TopicSpec::new(orders, 1);
        spec.topic_type = Some(broker::TopicType::Fifo);
        server.instance.create_topic(spec).await.unwrap();
        let answer = crate::ons_http::send_plain(&server).await;
        assert_eq!(answer, status, "{series:?}");
    }
}
