//! HTTP/1.1 paths.

use crate::support::{Server, Setup};

pub(crate) async fn request(server: &Server, head: &str) -> (u16, String) {
    let text = format!("{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let answer = server.over_http(&text).await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn paths_answer_as_documented() {
    let server = Server::start().await;
    assert_eq!(
        request(&server, "GET /healthz").await,
        (200, "ok\n".to_owned())
    );
    let address = server.address.to_string();
    assert_eq!(
        request(&server, "GET /rocketmq/nsaddr").await,
        (200, address)
    );
    assert_eq!(request(&server, "POST /healthz").await.0, 405);
    let (status, body) = request(&server, "GET /nothing/%22here").await;
    assert_eq!(status, 404);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["code"], "NotFound");
    assert!(body["message"].as_str().unwrap().contains("/nothing/"));
}

#[tokio::test]
async fn an_advertised_address_is_what_lookups_give() {
    let advertise = gateway::Advertise {
        host: "mq.example".to_owned(),
        port: Some(80),
    };
    let setup = Setup {
        advertise: Some(advertise),
        ..Setup::default()
    };
    let server = Server::with(setup).await;
    let answer = request(&server, "GET /rocketmq/nsaddr").await;
    assert_eq!(answer, (200, "mq.example:80".to_owned()));
}

#[tokio::test]
async fn metrics_have_rocketmq_names() {
    let server = Server::start().await;
    crate::remoting::send_some(&server, "orders", 3).await;
    let (status, page) = request(&server, "GET /metrics").await;
    assert_eq!(status, 200);
    for line in [
        "rocketmq_messages_in_total{cluster=\"DefaultCluster\",node_type=\"broker\",\
         node_id=\"default\",topic=\"orders\",message_type=\"UNSPECIFIED\",is_system=\"false\"} 3",
        "# TYPE rocketmq_messages_in counter",
        "# TYPE rocketmq_rpc_latency histogram",
        "rocketmq_message_size_count{cluster=\"DefaultCluster\"} 3",
        "rocketmq_topic_number{cluster=\"DefaultCluster\",node_type=\"broker\",node_id=\"default\"} 1",
        "# TYPE rocketmq_consumer_lag_messages gauge",
        "# TYPE rocketmq_storage_size gauge",
        "# TYPE rocketmq_timing_messages gauge",
        "# TYPE rocketmq_half_messages gauge",
    ] {
        assert!(page.contains(line), "{line}\nnot in\n{page}");
    }
    let sends = "protocol_type=\"remoting\",request_code=\"send_message_v2\",\
                 response_code=\"success\",is_long_polling=\"false\",result=\"success\"";
    assert!(page.contains(&format!("{sends}}} 3")), "{page}");
    assert!(page.ends_with("# EOF\n"));
}
