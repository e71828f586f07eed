//! Series × protocol: each family is taken, or refused with a reason.

use gateway::Series;
use wire::{
    grpc_v1::{self as v1, messaging_service_client::MessagingServiceClient},
    grpc_v2 as v2,
    remoting::ResponseCode,
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

/// A request about that instance; none is the default one.
fn about<T>(instance: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let headers = request.metadata_mut();
    headers.insert("x-mq-client-id", "sdk".parse().unwrap());
    headers.insert("x-mq-namespace", instance.parse().unwrap());
    request
}

async fn grpc_v2(server: &Server, instance: &str) -> Told {
    let mut sdk = Sdk::connect(server, "sdk").await;
    let messages = vec![message("orders", "hello")];
    let request = about(instance, v2::SendMessageRequest { messages });
    let answer = soon("send", sdk.client.send_message(request)).await;
    let status = answer.unwrap().into_inner().status.unwrap();
    if status.code() == v2::Code::Ok {
        return None;
    }
    assert_eq!(status.code(), v2::Code::PreconditionFailed, "{status:?}");
    Some(status.message)
}

async fn grpc_v1(server: &Server, instance: &str) -> Told {
    let sdk = Sdk::connect(server, "sdk").await;
    let mut client = MessagingServiceClient::new(sdk.channel.clone());
    let topic = v1::Resource {
        resource_namespace: instance.to_owned(),
        name: "orders".to_owned(),
    };
    let request = about(
        "",
        v1::QueryRouteRequest {
            topic: Some(topic),
            ..v1::QueryRouteRequest::default()
        },
    );
    let answer = soon("route", client.query_route(request)).await.unwrap();
    let status = answer.into_inner().common.unwrap().status.unwrap();
    if status.code == tonic::Code::Ok as i32 {
        return None;
    }
    assert_eq!(
        status.code,
        tonic::Code::FailedPrecondition as i32,
        "{status:?}"
    );
    Some(status.message)
}

async fn ons_http(server: &Server, instance: &str) -> Told {
    let body = "<Message><MessageBody>hello</MessageBody></Message>";
    let query = match instance {
        "" => String::new(),
        id => format!("?ns={id}"),
    };
    let text = format!(
        "POST /topics/orders/messages{query} HTTP/1.1\r\nhost: x\r\nx-mq-version: 2015-06-06\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = server.over_http(&text).await;
    if answer.starts_with("HTTP/1.1 201 ") {
        return None;
    }
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    Some(answer)
}

/// Which families an instance of a series takes: gRPC v2, gRPC v1, HTTP.
const TABLE: [(Series, [bool; 3]); 3] = [
    (Series::Any, [true, true, true]),
    (Series::V4, [false, true, true]),
    (Series::V5, [true, false, false]),
];

async fn check(server: &Server, instance: &str, series: Series, taken: [bool; 3]) {
    // Remoting, and with it three of the families, is taken by all.
    let name = match instance {
        "" => "orders".to_owned(),
        id => format!("{id}%orders"),
    };
    crate::remoting::send_some(server, &name, 1).await;
    let told = [
        ("gRPC v2", grpc_v2(server, instance).await),
        ("gRPC v1", grpc_v1(server, instance).await),
        ("HTTP", ons_http(server, instance).await),
    ];
    for ((family, told), is_taken) in told.into_iter().zip(taken) {
        assert_eq!(told.is_none(), is_taken, "{series} {family}: {told:?}");
        if let Some(told) = told {
            assert!(told.contains(&format!("of the {series} series")), "{told}");
        }
    }
}

#[tokio::test]
async fn each_series_takes_its_families_and_tells_the_others_why() {
    for (series, taken) in TABLE {
        check(&server(series).await, "", series, taken).await;
    }
}

#[tokio::test]
async fn instances_of_one_server_have_a_series_each() {
    for default in [Series::Any, Series::V4, Series::V5] {
        let server = server(default).await;
        for (series, taken) in TABLE {
            let id = match series {
                Series::Any => String::new(),
                _ => server.create_instance(series).await.id().to_string(),
            };
            if !id.is_empty() {
                check(&server, &id, series, taken).await;
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

#[tokio::test]
async fn types_of_messages_are_checked_as_the_series_of_the_instance_says() {
    let server = server(Series::Any).await;
    for (series, is_taken) in [(Series::V4, true), (Series::V5, false)] {
        let instance = server.create_instance(series).await;
        let orders = base::TopicName::new("orders").unwrap();
        let mut spec = broker::TopicSpec::new(orders, 1);
        spec.topic_type = Some(broker::TopicType::Fifo);
        instance.create_topic(spec).await.unwrap();
        let name = format!("{}%orders", instance.id());
        let mut peer = server.peer().await;
        let answer = crate::remoting::send_one(&mut peer, &name, 0).await;
        let is_ok = answer.response_code() == Some(ResponseCode::Success);
        assert_eq!(is_ok, is_taken, "{series}: {answer:?}");
    }
}
