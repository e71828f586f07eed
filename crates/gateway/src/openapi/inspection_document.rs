//! Inspections, their templates and their runs, as answers have them.

use base::InstanceId;
use broker::inspection::{
    InspectedResource, Inspection, InspectionItem, InspectionItemOutcome, InspectionResult,
    InspectionRun, InspectionScope, InspectionSpec, InspectionTemplate, template,
};
use serde_json::{Value, json};
use wire::openapi::timestamp;

use super::{call::Call, inspection_report::report_id};

/// A time in an answer.
pub(super) fn time(ms: i64) -> Value {
    timestamp(ms).into()
}

/// The time that a run looks at.
pub(super) fn time_range(run: &InspectionRun) -> Value {
    json!({ "endTime": time(run.requested_at_ms), "startTime": time(run.from_ms()) })
}

/// The name of an instance for people.
pub(super) fn instance_name(call: &Call, id: &InstanceId) -> String {
    let record = call.instances().ok().and_then(|known| known.get(id).ok());
    let name = record.map(|record| record.display_name.clone());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| id.to_string())
}

/// One template.
pub(super) fn template_document(template: &InspectionTemplate) -> Value {
    let parameters: Vec<Value> = template
        .parameters
        .iter()
        .map(|parameter| {
            json!({
                "default": parameter.default,
                "format": "int64",
                "key": parameter.key,
                "maximum": parameter.maximum,
                "minimum": parameter.minimum,
                "name": parameter.name,
                "required": false,
                "type": "integer",
                "unit": parameter.unit,
            })
        })
        .collect();
    let defaults = template.parameters.iter();
    let defaults = defaults.map(|parameter| (parameter.key, parameter.default));
    json!({
        "configuration": { "parameters": parameters },
        "description": template.description,
        "name": template.name,
        "params": defaults.collect::<std::collections::BTreeMap<_, _>>(),
        "scopeType": template.kind().name(),
        "templateCode": template.code,
        "version": VERSION,
    })
}

/// The version of all templates.
pub(super) const VERSION: &str = "1";

fn spec(spec: &InspectionSpec) -> Value {
    let items = spec
        .items
        .iter()
        .map(|item| json!({ "parameters": item.parameters, "templateCode": item.template }));
    let scope = match &spec.scope {
        InspectionScope::All => json!({ "consumerGroups": [], "mode": "ALL", "topics": [] }),
        InspectionScope::Named { topics, groups } => {
            json!({ "consumerGroups": groups, "mode": "SPECIFIED", "topics": topics })
        }
    };
    json!({
        "items": items.collect::<Vec<Value>>(),
        "resourceScope": scope,
        "schedule": {
            "cron": spec.schedule.cron.as_deref().unwrap_or_default(),
            "enabled": spec.schedule.enabled,
        },
    })
}

/// How an instance is inspected.
pub(super) fn inspection(call: &Call, found: &Inspection, last: Option<&InspectionRun>) -> Value {
    let outcome = |code: &str| {
        let mut outcomes = last.into_iter().flat_map(|run| &run.outcomes);
        outcomes.find(|outcome| outcome.template == code)
    };
    let items = found.spec.items.iter().map(|item| {
        let known = template(&item.template);
        json!({
            "description": known.map(|known| known.description).unwrap_or_default(),
            "name": known.map(|known| known.name).unwrap_or_default(),
            "resourceCount": outcome(&item.template).map_or(0, |it| it.looked_at),
            "resourceTypes": known.map(|known| known.kind().name()).into_iter().collect::<Vec<_>>(),
            "templateCode": item.template,
        })
    });
    let mut shown = json!({
        "config": spec(&found.spec),
        "configured": true,
        "instanceId": found.instance.as_str(),
        "items": items.collect::<Vec<Value>>(),
        "regionId": call.region(),
        "revision": found.revision,
    });
    if let Some(last) = last {
        shown["lastRun"] = run(call, &found.instance, last);
    }
    if let Some(next) = found.next_run_at {
        shown["nextRunAt"] = time(next.ms());
    }
    shown
}

/// What lists show of a run.
pub(super) fn listed_run(call: &Call, id: &InstanceId, run: &InspectionRun) -> Value {
    let (infos, risks) = run.counts();
    let mut shown = json!({
        "instanceId": id.as_str(),
        "instanceName": instance_name(call, id),
        "regionId": call.region(),
        "reportStatus": run.status.name(),
        "requestedAt": time(run.requested_at_ms),
        "runId": run.id,
        "status": run.status.name(),
        "timeRange": time_range(run),
        "triggerSource": run.trigger.name(),
    });
    if run.status.is_over() {
        shown["reportId"] = report_id(id, run).into();
        shown["summary"] = json!({
            "infoCount": infos, "result": run.result().name(), "riskCount": risks,
        });
    }
    if let Some(finished) = run.finished_at_ms {
        shown["finishedAt"] = time(finished);
        shown["reportFinishedAt"] = time(finished);
    }
    shown
}

/// A run with what it found, but for its report.
pub(super) fn run(call: &Call, id: &InstanceId, run: &InspectionRun) -> Value {
    let mut shown = listed_run(call, id, run);
    if let Some(shown) = shown.as_object_mut() {
        for of_lists in ["reportFinishedAt", "reportId", "reportStatus"] {
            shown.remove(of_lists);
        }
    }
    let items = run.spec.items.iter().map(|item| {
        let mut outcomes = run.outcomes.iter();
        of_run(run, item, outcomes.find(|it| it.template == item.template))
    });
    shown["items"] = items.collect();
    shown["configSnapshot"] = spec(&run.spec);
    shown
}

/// How bad a result is, in the words of incidents.
fn severity(result: InspectionResult) -> &'static str {
    match result {
        InspectionResult::Normal => "None",
        InspectionResult::Info => "Low",
        InspectionResult::Risk => "High",
    }
}

/// What came of an item, in a sentence.
pub(super) fn headline(outcome: &InspectionItemOutcome) -> String {
    let (looked_at, infos, risks) = (outcome.looked_at, outcome.infos, outcome.risks);
    let found = match (risks, infos) {
        (0, 0) => "all is well".to_owned(),
        (0, infos) => format!("{infos} to know of"),
        (risks, 0) => format!("{risks} at risk"),
        (risks, infos) => format!("{risks} at risk, {infos} to know of"),
    };
    format!("{found}, of {looked_at} looked at")
}

fn of_run(
    run: &InspectionRun,
    item: &InspectionItem,
    outcome: Option<&InspectionItemOutcome>,
) -> Value {
    let known = template(&item.template);
    let mut shown = json!({
        "description": known.map(|known| known.description).unwrap_or_default(),
        "effectiveConfig": { "parameters": item.effective(), "templateCode": item.template },
        "name": known.map(|known| known.name).unwrap_or_default(),
        "resourceTypes": known.map(|known| known.kind().name()).into_iter().collect::<Vec<_>>(),
        "status": run.status.name(),
        "templateCode": item.template,
        "timeRange": time_range(run),
    });
    let Some(outcome) = outcome else {
        return shown;
    };
    let metric = |name: &str, count: u64| {
        let is_bad = name == "risks" && count > 0;
        json!({ "bad": is_bad, "good": count == 0, "k": name, "v": count.to_string() })
    };
    shown["headline"] = headline(outcome).into();
    shown["metrics"] = json!([
        metric("risks", outcome.risks),
        metric("infos", outcome.infos)
    ]);
    shown["observedAt"] = time(outcome.observed_at_ms);
    shown["resourceCount"] = outcome.looked_at.into();
    shown["resourceSummary"] = json!({ "infoCount": outcome.infos, "riskCount": outcome.risks });
    shown["result"] = outcome.result().name().into();
    shown["severity"] = severity(outcome.result()).into();
    if outcome.error.is_some() {
        shown["errorCode"] = "Inspection.Incomplete".into();
    }
    shown
}

/// What identifies a topic, a group or an instance.
pub(super) fn resource_id(instance: &InstanceId, found: &InspectedResource) -> String {
    match found.name == instance.as_str() {
        true => found.name.clone(),
        false => format!("{instance}/{}", found.name),
    }
}

/// Something that an item had a word about.
pub(super) fn item(instance: &InstanceId, found: &InspectedResource) -> Value {
    json!({
        "id": resource_id(instance, found),
        "name": found.name,
        "result": found.result.name(),
        "summary": found.summary,
        "type": found.kind.name(),
    })
}
