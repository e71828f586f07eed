//! `carrack message trace`: what the SDKs told of a message's way.

use serde::Serialize;
use wire::message::{StoredMessage, TraceKind, TraceRecord, trace_records};

use super::{
    message::by_key,
    servers::Servers,
    show::{self, Rows},
    time,
};
use crate::{cli::ServerOptions, exit::Failure};

/// Messages of the trace topic that are looked at: each holds many records.
const TRACE_MESSAGES_MAX: u32 = 64;

#[derive(Debug, Serialize)]
struct Step {
    /// What happened: `send`, `receive`, `consume`, `end-transaction` or `recall`.
    step: &'static str,
    /// Ms since 1970.
    at_ms: Option<i64>,
    message_id: String,
    keys: Vec<String>,
    topic: Option<String>,
    group: Option<String>,
    /// Host that told of it.
    host: String,
    took_ms: Option<i64>,
    success: Option<bool>,
    request_id: Option<String>,
    detail: Option<String>,
}

/// Shows the way of the message with this id or key, in order of time.
pub(super) async fn run(id: &str, topic: &str, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let found = by_key(&servers, topic, id, TRACE_MESSAGES_MAX).await?;
    let mut steps = Vec::new();
    for message in &found {
        let body = text(message)?;
        let about = |record: &TraceRecord<'_>| {
            record.message_id == id || record.keys.split(' ').any(|key| key == id)
        };
        let host = message.born_host().to_string();
        let records = trace_records(&body).filter(about);
        steps.extend(records.map(|record| step(&servers, &record, &host)));
    }
    if steps.is_empty() {
        return Err(Failure::Refused(anyhow::anyhow!(
            "no trace of message `{id}` in topic `{topic}`"
        )));
    }
    // The end of a consumption of older SDKs has no time: it stays behind what it ends.
    steps.sort_by_key(|step| step.at_ms.unwrap_or(i64::MAX));
    show::answer(options.output, &steps, || listed(&steps))
}

/// The body as text; SDKs compress the larger ones.
fn text(message: &StoredMessage) -> Result<String, Failure> {
    let content = message
        .content()
        .map_err(|error| Failure::Refused(anyhow::anyhow!("inflate a trace message: {error}")))?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

fn step(servers: &Servers, record: &TraceRecord<'_>, host: &str) -> Step {
    let plain = |name: &str| servers.plain(name).to_owned();
    Step {
        step: match record.kind {
            TraceKind::Send => "send",
            TraceKind::Receive => "receive",
            TraceKind::Consume => "consume",
            TraceKind::EndTransaction => "end-transaction",
            TraceKind::Recall => "recall",
        },
        at_ms: record.at_ms,
        message_id: record.message_id.to_owned(),
        keys: record.keys.split_whitespace().map(str::to_owned).collect(),
        topic: record.topic.map(plain),
        group: record.group.map(plain),
        host: host.to_owned(),
        took_ms: record.took_ms,
        success: record.success,
        request_id: record.request_id.map(str::to_owned),
        detail: record.detail.map(str::to_owned),
    }
}

fn listed(steps: &[Step]) -> String {
    let mut rows = Rows::new(&[
        "STEP",
        "TIME",
        "GROUP",
        "HOST",
        "TOOK ms>",
        "RESULT",
        "MESSAGE ID",
    ]);
    for step in steps {
        rows.push([
            step.step.to_owned(),
            time::shown(step.at_ms.unwrap_or(0)),
            step.group.clone().unwrap_or_else(|| "-".to_owned()),
            step.host.clone(),
            step.took_ms
                .map_or_else(|| "-".to_owned(), |ms| ms.to_string()),
            match step.success {
                Some(true) => "ok".to_owned(),
                Some(false) => "failed".to_owned(),
                None => step.detail.clone().unwrap_or_else(|| "-".to_owned()),
            },
            step.message_id.clone(),
        ]);
    }
    rows.text()
}
