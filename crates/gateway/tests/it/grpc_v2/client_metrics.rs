//! What SDKs measure: where they are told to report it, and what becomes of it.

use tonic::{Code as GrpcCode, Request, Status};
use wire::{
    grpc_v2::{self as v2, ClientType, settings::PubSub},
    otlp::{
        collector::metrics::v1::{
            ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient,
        },
        common::v1::{AnyValue, KeyValue, any_value::Value},
        metrics::v1::{
            AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
            ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
        },
    },
};

use super::Sdk;
use crate::support::{Server, Setup, soon};

/// Reports over the SDK's own connection; what of it was left out.
pub(crate) async fn tell(
    sdk: &Sdk,
    request: Request<ExportMetricsServiceRequest>,
) -> Result<i64, Status> {
    let mut receiver = MetricsServiceClient::new(sdk.channel.clone());
    let answer = soon("report", receiver.export(request)).await?;
    let partial = answer.into_inner().partial_success;
    Ok(partial.map_or(0, |partial| partial.rejected_data_points))
}

/// A report of so many sends that took 4 ms each.
pub(crate) fn sends(topic: &str, count: u64) -> ExportMetricsServiceRequest {
    report(vec![send_times(&[("topic", topic)], count)])
}

fn report(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics { metrics }],
        }],
    }
}

fn attributes(labels: &[(&str, &str)]) -> Vec<KeyValue> {
    let all = [
        ("client_id", "host@1@2@3"),
        ("invocation_status", "success"),
    ];
    let pairs = labels.iter().chain(&all);
    pairs
        .map(|(key, value)| KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue {
                value: Some(Value::StringValue((*value).to_owned())),
            }),
        })
        .collect()
}

fn send_times(labels: &[(&str, &str)], count: u64) -> Metric {
    let point = HistogramDataPoint {
        attributes: attributes(labels),
        // Later than any server of a test began.
        start_time_unix_nano: u64::MAX / 4,
        time_unix_nano: u64::MAX / 4,
        count,
        sum: Some(4.0 * count as f64),
        bucket_counts: vec![0, count, 0, 0, 0, 0, 0, 0],
        explicit_bounds: vec![1.0, 5.0, 10.0, 20.0, 50.0, 200.0, 500.0],
    };
    Metric {
        name: "rocketmq_send_cost_time".to_owned(),
        data: Some(Data::Histogram(Histogram {
            data_points: vec![point],
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        })),
    }
}

fn cached(labels: &[(&str, &str)], value: f64) -> Metric {
    let point = NumberDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: 0,
        time_unix_nano: 0,
        value: Some(number_data_point::Value::AsDouble(value)),
    };
    Metric {
        name: "rocketmq_consumer_cached_messages".to_owned(),
        data: Some(Data::Gauge(Gauge {
            data_points: vec![point],
        })),
    }
}

async fn page(server: &Server) -> String {
    crate::http::request(server, "GET /metrics").await.1
}

async fn told(server: &Server, language: v2::Language) -> v2::Metric {
    let mut sdk = Sdk::connect(server, "settling").await;
    let mut talk = sdk.telemetry().await;
    let settings = v2::Settings {
        client_type: Some(ClientType::Producer.into()),
        user_agent: Some(v2::Ua {
            language: language.into(),
            ..Default::default()
        }),
        pub_sub: Some(PubSub::Publishing(v2::Publishing::default())),
        ..Default::default()
    };
    talk.settle(settings)
        .await
        .metric
        .expect("settings name metrics")
}

#[tokio::test]
async fn sdks_are_told_to_report_where_they_came_in() {
    let server = Server::start().await;
    let metric = told(&server, v2::Language::Java).await;
    assert!(metric.on);
    let address = &metric.endpoints.expect("there is an address").addresses[0];
    assert_eq!(
        format!("{}:{}", address.host, address.port),
        server.address.to_string()
    );
    // Its SDK reports in another protocol.
    assert!(!told(&server, v2::Language::Golang).await.on);
    let off = Server::with(Setup {
        client_metrics: false,
        ..Setup::default()
    })
    .await;
    let metric = told(&off, v2::Language::Java).await;
    assert_eq!((metric.on, metric.endpoints), (false, None));
    let sdk = Sdk::connect(&off, "sdk").await;
    let refused = tell(&sdk, sdk.request(sends("orders", 1))).await;
    assert_eq!(refused.unwrap_err().code(), GrpcCode::Unimplemented);
}

#[tokio::test]
async fn reports_are_shown_added_up() {
    let server = Server::start().await;
    let mut first = Sdk::connect(&server, "first").await;
    let second = Sdk::connect(&server, "second").await;
    first.send_one("orders", "one").await;
    first.receive(super::receive("orders", "billing", 1)).await;
    for (sdk, count) in [(&first, 3), (&second, 2), (&first, 5)] {
        let request = sdk.request(sends("orders", count));
        assert_eq!(tell(sdk, request).await.unwrap(), 0);
    }
    let labels = [("topic", "orders"), ("consumer_group", "billing")];
    let request = first.request(report(vec![cached(&labels, 2.0)]));
    assert_eq!(tell(&first, request).await.unwrap(), 0);
    let page = page(&server).await;
    let of_orders = "{cluster=\"DefaultCluster\",node_type=\"client\",node_id=\"default\",\
                     topic=\"orders\"";
    for line in [
        "# TYPE rocketmq_send_cost_time histogram".to_owned(),
        format!("rocketmq_send_cost_time_count{of_orders},invocation_status=\"success\"}} 7"),
        format!("rocketmq_send_cost_time_sum{of_orders},invocation_status=\"success\"}} 28.0"),
        format!(
            "rocketmq_consumer_cached_messages{of_orders},consumer_group=\"billing\",\
             invocation_status=\"success\"}} 2.0"
        ),
        "carrack_client_metrics_left_out_total{reason=\"limit\"} 0".to_owned(),
    ] {
        assert!(page.contains(&line), "{line}\nnot in\n{page}");
    }
    assert!(
        !page.contains("host@1@2@3"),
        "nothing is shown per client: {page}"
    );
}

#[tokio::test]
async fn what_cannot_be_shown_is_left_out_and_counted() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "sdk").await;
    sdk.send_one("orders", "one").await;
    let mut torn = send_times(&[("topic", "orders")], 1);
    if let Some(Data::Histogram(histogram)) = &mut torn.data {
        histogram.data_points[0].bucket_counts.pop();
    }
    let mut other = send_times(&[("topic", "orders")], 1);
    other.name = "process_cpu".to_owned();
    let metrics = vec![
        torn,
        other,
        send_times(&[("topic", "nothing-here")], 1),
        send_times(&[("topic", "")], 1),
        send_times(&[("topic", "orders"), ("consumer_group", "nobody")], 1),
        cached(&[("topic", "orders")], f64::NAN),
        send_times(&[("topic", "orders")], 1),
    ];
    let left_out = tell(&sdk, sdk.request(report(metrics))).await;
    assert_eq!(left_out.unwrap(), 6);
    let page = page(&server).await;
    for line in [
        "carrack_client_metrics_left_out_total{reason=\"unknown_metric\"} 3",
        "carrack_client_metrics_left_out_total{reason=\"unknown_topic_or_group\"} 3",
        "topic=\"orders\",invocation_status=\"success\"} 1\n",
    ] {
        assert!(page.contains(line), "{line}\nnot in\n{page}");
    }
    assert!(!page.contains("nothing-here"), "{page}");
}

#[tokio::test]
async fn large_reports_and_unnamed_clients_are_refused() {
    let server = Server::start().await;
    let sdk = Sdk::connect(&server, "sdk").await;
    let many = (0..4_000).map(|_| send_times(&[("topic", "orders")], 1));
    let request = sdk.request(report(many.collect()));
    let refused = tell(&sdk, request).await.unwrap_err();
    assert_eq!(refused.code(), GrpcCode::OutOfRange);
    let unnamed = Request::new(sends("orders", 1));
    let refused = tell(&sdk, unnamed).await.unwrap_err();
    assert_eq!(refused.code(), GrpcCode::InvalidArgument);
}
