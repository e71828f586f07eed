//! The receiver of what SDKs measure: `opentelemetry.proto.collector.metrics.v1.MetricsService`,
//! on the port that they are at home on, because their settings say so (`settings.rs`).
//!
//! SDKs sign these calls as all others. A report is taken for the instance that its client works
//! in; values of other instances, of topics and groups that are not there, and of metrics that
//! are not known are left out.

use std::sync::Arc;

use base::{GroupName, Timestamp, TopicName, limits};
use broker::Instance;
use tonic::{Request, Response, Status};
use wire::{
    grpc_v2::{self as v2, Code},
    otlp::{
        collector::metrics::v1::{
            ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        common::v1::{KeyValue, any_value::Value},
        metrics::v1::{
            AggregationTemporality, HistogramDataPoint, Metric, NumberDataPoint, metric::Data,
            number_data_point,
        },
    },
};

use super::measure;
use crate::{
    ConnectionInfo, Front,
    client_metrics::{ClientMetric, Counts, LeftOut, Point, Reported, Series},
    grpc::{access, call::Call, names, status::Refusal},
};

/// Where calls of this service go.
pub(crate) const PATH: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/";

/// The service for one connection.
pub(crate) fn service(
    front: Arc<Front>,
    connection: ConnectionInfo,
) -> MetricsServiceServer<Reports> {
    MetricsServiceServer::new(Reports { front, connection })
        .max_decoding_message_size(limits::CLIENT_METRICS_REQUEST_BYTES_MAX)
}

/// The reports over one connection.
pub(crate) struct Reports {
    front: Arc<Front>,
    connection: ConnectionInfo,
}

#[tonic::async_trait]
impl MetricsService for Reports {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let (metadata, _, report) = request.into_parts();
        let call = Call::new(Arc::clone(&self.front), self.connection, metadata);
        let begun = self.front.clock.elapsed();
        let result = take(&call, report);
        let code = result.as_ref().map_or_else(Refusal::code, |_| Code::Ok);
        measure(&self.front, "export_metrics", code, false, begun);
        let left_out = result.map_err(|refusal| refusal.end_of_stream())?;
        let partial_success = (left_out > 0).then(|| ExportMetricsPartialSuccess {
            rejected_data_points: i64::try_from(left_out).unwrap_or(i64::MAX),
            error_message: "values of unknown metrics, topics and groups, and beyond the limits, \
                            are left out"
                .to_owned(),
        });
        Ok(Response::new(ExportMetricsServiceResponse {
            partial_success,
        }))
    }
}

/// Takes a report; how many of its values are left out.
fn take(call: &Call, report: ExportMetricsServiceRequest) -> Result<usize, Refusal> {
    let client = call.client_id()?;
    let instance = names::instance(call)?;
    access::check_known(call, &instance)?;
    let front = &call.front;
    if !front.settings.client_metrics {
        return Err(Refusal::new(
            Code::Unsupported,
            "metrics of clients are switched off in the settings of this server",
        ));
    }
    let scopes = report.resource_metrics.into_iter();
    let scopes = scopes.flat_map(|resource| resource.scope_metrics);
    let mut points = Vec::new();
    let mut left_out = 0;
    for metric in scopes.flat_map(|scope| scope.metrics) {
        let Ok((known, values)) = values(metric) else {
            front.client_metrics.leave_out(LeftOut::Unknown);
            left_out += 1;
            continue;
        };
        for value in values {
            let read = value.and_then(|(attributes, point)| {
                Ok((series(call, &instance, known, &attributes)?, point))
            });
            match read {
                Ok(point) => points.push(point),
                Err(reason) => {
                    front.client_metrics.leave_out(reason);
                    left_out += 1;
                }
            }
        }
    }
    let beyond = front
        .client_metrics
        .report(instance.id(), client, points, call.now());
    Ok(left_out + beyond)
}

/// A value, or why it is left out.
type Read = Result<(Vec<KeyValue>, Point), LeftOut>;

/// The values of a metric.
fn values(metric: Metric) -> Result<(ClientMetric, Vec<Read>), LeftOut> {
    let known = ClientMetric::named(&metric.name).ok_or(LeftOut::Unknown)?;
    let values = match (known.is_histogram(), metric.data) {
        (true, Some(Data::Histogram(histogram))) => {
            let temporality = histogram.aggregation_temporality();
            let is_cumulative = temporality == AggregationTemporality::Cumulative;
            let points = histogram.data_points.into_iter();
            points
                .map(|point| of_histogram(known, is_cumulative, point))
                .collect()
        }
        (false, Some(Data::Gauge(gauge))) => gauge.data_points.into_iter().map(number).collect(),
        // Some SDKs of OpenTelemetry make a sum of what goes up and down.
        (false, Some(Data::Sum(sum))) => sum.data_points.into_iter().map(number).collect(),
        _ => return Err(LeftOut::Unknown),
    };
    Ok((known, values))
}

fn number(point: NumberDataPoint) -> Read {
    let value = match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        None => return Err(LeftOut::Unknown),
    };
    if !value.is_finite() {
        return Err(LeftOut::Unknown);
    }
    Ok((point.attributes, Point::Gauge(value)))
}

fn of_histogram(metric: ClientMetric, is_cumulative: bool, point: HistogramDataPoint) -> Read {
    let counts = Counts::new(
        metric,
        &point.explicit_bounds,
        &point.bucket_counts,
        point.sum.unwrap_or_default(),
    );
    let counts = counts.map_err(|_| LeftOut::Unknown)?;
    let began_ms = i64::try_from(point.start_time_unix_nano / 1_000_000).unwrap_or(i64::MAX);
    let reported = Reported {
        counts,
        began: is_cumulative.then(|| Timestamp::from_ms(began_ms)),
    };
    Ok((point.attributes, Point::Histogram(reported)))
}

/// What a value is about.
fn series(
    call: &Call,
    instance: &Arc<Instance>,
    metric: ClientMetric,
    attributes: &[KeyValue],
) -> Result<Series, LeftOut> {
    let text = |name: &str| {
        let found = attributes.iter().find(|attribute| attribute.key == name)?;
        match found.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text.as_str()),
            Value::BoolValue(_) | Value::IntValue(_) | Value::DoubleValue(_) => None,
        }
    };
    let topic = topic(call, instance, text("topic").unwrap_or_default());
    let topic = topic.ok_or(LeftOut::NoSuchThing)?;
    let group = match text("consumer_group") {
        Some(name) => Some(group(call, instance, name).ok_or(LeftOut::NoSuchThing)?),
        None => None,
    };
    let success = text("invocation_status").map(|status| status == "success");
    Ok(Series {
        metric,
        topic,
        group,
        success,
    })
}

fn resource(name: &str) -> v2::Resource {
    v2::Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    }
}

/// The topic of that name, if it is in the client's instance.
fn topic(call: &Call, instance: &Arc<Instance>, name: &str) -> Option<TopicName> {
    let (found_in, topic) = names::topic(call, Some(&resource(name))).ok()?;
    let is_there = found_in.id() == instance.id() && instance.topic(&topic).is_some();
    is_there.then_some(topic)
}

/// The group of that name, if it is in the client's instance.
fn group(call: &Call, instance: &Arc<Instance>, name: &str) -> Option<GroupName> {
    let (found_in, group) = names::group(call, Some(&resource(name))).ok()?;
    let is_there = found_in.id() == instance.id() && instance.group(&group).is_some();
    is_there.then_some(group)
}
