//! Giving OpenTelemetry spans to a collector.

use std::time::Duration;

use base::limits;
use client::grpc::SpanCollector;
use tokio::{sync::mpsc, task::JoinHandle};
use wire::otlp::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};

use crate::version;

/// How long a collector may take to connect, and for each list of spans.
const COLLECTOR_WAIT: Duration = Duration::from_secs(5);

/// A collector of spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    address: String,
    tls: bool,
}

impl Endpoint {
    /// Reads the setting `spans_endpoint`.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let (tls, rest) = if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else {
            (false, "")
        };
        let address = rest.trim_end_matches('/');
        let port = address.rsplit_once(':').map(|(host, port)| {
            let is_port = port.parse::<u16>().is_ok();
            is_port && !host.is_empty() && !host.contains('/')
        });
        anyhow::ensure!(
            port == Some(true),
            "spans_endpoint is `{text}`, expected http://HOST:PORT or https://HOST:PORT"
        );
        Ok(Self {
            address: address.to_owned(),
            tls,
        })
    }

    /// Gives spans there from now on, until nobody makes any more.
    pub(super) fn start(self) -> (mpsc::Sender<Vec<Span>>, JoinHandle<()>) {
        let (out, spans) = mpsc::channel(limits::SPAN_LISTS_QUEUED_MAX);
        (out, tokio::spawn(self.give(spans)))
    }

    async fn give(self, mut lists: mpsc::Receiver<Vec<Span>>) {
        let mut collector = None;
        let mut is_failing = false;
        while let Some(spans) = lists.recv().await {
            let given = self.export(&mut collector, spans).await;
            match given {
                Ok(0) => is_failing = false,
                Ok(rejected) => tracing::debug!(rejected, "collector took not all spans"),
                // Once for each time that it begins to fail: what follows says nothing new.
                Err(error) if !is_failing => {
                    is_failing = true;
                    tracing::warn!(%error, "spans not given to the collector");
                }
                Err(_) => {}
            }
        }
    }

    /// Gives spans over the connection that there is, or a new one.
    async fn export(
        &self,
        collector: &mut Option<SpanCollector>,
        spans: Vec<Span>,
    ) -> Result<i64, client::ClientError> {
        let connected = match collector.take() {
            Some(connected) => connected,
            None => SpanCollector::connect(&self.address, self.tls, COLLECTOR_WAIT).await?,
        };
        let rejected = connected.export(vec![resource(spans)]).await?;
        *collector = Some(connected);
        Ok(rejected)
    }
}

/// Spans of this server.
fn resource(spans: Vec<Span>) -> ResourceSpans {
    let attribute = |key: &str, text: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(text.to_owned())),
        }),
    };
    let version = version::VERSION;
    ResourceSpans {
        resource: Some(Resource {
            attributes: vec![
                attribute("service.name", "carrack"),
                attribute("service.version", version),
            ],
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "carrack".to_owned(),
                version: version.to_owned(),
            }),
            spans,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_or_refused() {
        let of = |text: &str| {
            Endpoint::read(text)
                .map(|read| (read.address, read.tls))
                .ok()
        };
        let known = |address: &str, tls| Some((address.to_owned(), tls));
        assert_eq!(of("http://127.0.0.1:4317"), known("127.0.0.1:4317", false));
        assert_eq!(
            of("https://otel.example:443/"),
            known("otel.example:443", true)
        );
        assert_eq!(of("http://[::1]:4317"), known("[::1]:4317", false));
        for wrong in [
            "",
            "otel:4317",
            "http://otel",
            "http://:1",
            "http://a/b:1",
            "ftp://a:1",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
