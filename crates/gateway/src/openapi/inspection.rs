//! Inspections of instances. Their answers have no envelope, and their lists go on from a token.

use std::collections::{BTreeMap, BTreeSet};

use base::{InstanceId, Timestamp};
use broker::inspection::{
    InspectionChange, InspectionItem, InspectionResult, InspectionRun, InspectionRunStatus,
    InspectionSchedule, InspectionScope, InspectionSpec, template, templates,
};
use serde_json::{Map, Value, json};

use super::{
    call::Call,
    inspection_document::{inspection, item, listed_run, run, template_document},
    inspection_report,
    status::{Code, Refusal},
};

const TOKEN: &str = "clientToken";
const ITEMS: &str = "items";
const OVERRIDES: &str = "itemOverrides";
const MODE: &str = "resourceScope.mode";
const TOPICS: &str = "resourceScope.topics";
const GROUPS: &str = "resourceScope.consumerGroups";
const ENABLED: &str = "schedule.enabled";
const CRON: &str = "schedule.cron";
const TEMPLATE: &str = "templateCode";
const RUN: &str = "runId";

/// The parameter that names a report.
pub(super) const REPORT: &str = "reportId";

/// Longest token that makes a request the only one of its kind.
const TOKEN_CHARACTERS_MAX: usize = 64;

/// Items of an answer where a request does not say how many, and the most.
const RESULTS_DEFAULT: i64 = 20;
const RESULTS_MAX: i64 = 100;

/// The part of `all` that is asked for: behind the item that `nextToken` names.
fn page<T>(
    call: &Call,
    all: &[T],
    name: impl Fn(&T) -> &str,
    shown: impl Fn(&T) -> Value,
) -> Result<Value, Refusal> {
    let size = call.integer_in("maxResults", (1, RESULTS_MAX))?;
    let size = size.unwrap_or(RESULTS_DEFAULT);
    let field = "nextToken";
    let first = match call.text(field) {
        None => 0,
        Some(token) => {
            let last = all.iter().position(|item| name(item) == token);
            let expected = "a token of the answer before";
            last.ok_or_else(|| Refusal::invalid(field, token, expected))? + 1
        }
    };
    let rest = &all[first..];
    let part = &rest[..rest.len().min(usize::try_from(size).unwrap_or(0))];
    let is_last = part.len() == rest.len();
    let next = part.last().filter(|_| !is_last).map_or("", &name);
    Ok(json!({
        "data": part.iter().map(shown).collect::<Vec<Value>>(),
        "maxResults": size,
        "nextToken": next,
        "total": all.len(),
    }))
}

/// ListInspectionTemplates.
pub(super) async fn list_templates(call: &Call) -> Result<Value, Refusal> {
    call.check_region()?;
    page(call, templates(), |it| it.code, template_document)
}

fn token(call: &Call) -> Result<&str, Refusal> {
    let token = call.required(TOKEN)?;
    if token.len() > TOKEN_CHARACTERS_MAX || !token.is_ascii() {
        let expected = format!("at most {TOKEN_CHARACTERS_MAX} characters of ASCII");
        return Err(Refusal::invalid(TOKEN, token, &expected));
    }
    Ok(token)
}

/// The items of a list, each a code and its parameters.
fn items(call: &Call, field: &'static str) -> Result<Vec<InspectionItem>, Refusal> {
    let read = |item: &Map<String, Value>| {
        let code = item.get(TEMPLATE).and_then(Value::as_str);
        let code = code.ok_or_else(|| Refusal::field(field, "an item without `templateCode`"))?;
        let parameters = match item.get("parameters") {
            None | Some(Value::Null) => BTreeMap::new(),
            Some(Value::Object(parameters)) => {
                let read = parameters.iter().map(|(key, value)| {
                    let number = match value {
                        Value::String(text) => text.parse().ok(),
                        value => value.as_i64(),
                    };
                    let number = number.ok_or_else(|| {
                        let key: String = key.chars().take(64).collect();
                        Refusal::field(field, format!("parameter `{key}` is no whole number"))
                    })?;
                    Ok((key.clone(), number))
                });
                read.collect::<Result<_, Refusal>>()?
            }
            Some(_) => return Err(Refusal::field(field, "`parameters` is no object")),
        };
        Ok(InspectionItem {
            template: code.to_owned(),
            parameters,
        })
    };
    call.objects(field).into_iter().map(read).collect()
}

fn scope(call: &Call) -> Result<Option<InspectionScope>, Refusal> {
    if ![MODE, TOPICS, GROUPS].iter().any(|name| call.has(name)) {
        return Ok(None);
    }
    let is_named = call.word(MODE, &[("ALL", false), ("SPECIFIED", true)])?;
    let names = |field: &str| -> BTreeSet<String> {
        call.texts(field).into_iter().map(str::to_owned).collect()
    };
    let (topics, groups) = (names(TOPICS), names(GROUPS));
    match is_named.ok_or_else(|| Refusal::missing(MODE))? {
        true => Ok(Some(InspectionScope::Named { topics, groups })),
        false if topics.is_empty() && groups.is_empty() => Ok(Some(InspectionScope::All)),
        false => {
            let reason = "`ALL`, which has no topics and groups of its own";
            Err(Refusal::field(MODE, reason))
        }
    }
}

fn schedule(call: &Call) -> Result<Option<InspectionSchedule>, Refusal> {
    if !call.has(ENABLED) && !call.has(CRON) {
        return Ok(None);
    }
    let enabled = call.boolean(ENABLED);
    Ok(Some(InspectionSchedule {
        enabled: enabled.ok_or_else(|| Refusal::missing(ENABLED))?,
        cron: call.text(CRON).map(str::to_owned),
    }))
}

/// How the inspection of an instance stands, with its last run.
async fn shown(call: &Call, id: &InstanceId) -> Result<Value, Refusal> {
    let instances = call.instances()?;
    let Some(found) = instances.inspection(id).await? else {
        return Ok(json!({
            "configured": false,
            "instanceId": id.as_str(),
            "regionId": call.region(),
        }));
    };
    let last = match &found.last_run {
        None => None,
        // It may have been removed meanwhile.
        Some(last) => instances.inspection_run(id, last).await.ok(),
    };
    Ok(inspection(call, &found, last.as_ref()))
}

/// GetInstanceInspection.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    call.check_region()?;
    shown(call, call.instance()?.id()).await
}

/// ListInstanceInspections: all instances, whether they are inspected or not.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    call.check_region()?;
    let instances = call.instances()?.list().into_iter();
    let found = instances.filter_map(|record| call.instance_of(record.id.as_str()).ok());
    let ids: Vec<InstanceId> = found.map(|instance| instance.id().clone()).collect();
    let mut answer = page(call, &ids, InstanceId::as_str, |id| json!(id.as_str()))?;
    if let Some(data) = answer["data"].as_array_mut() {
        for place in data {
            let id = InstanceId::new(place.as_str().unwrap_or_default());
            if let Ok(id) = id {
                *place = shown(call, &id).await?;
            }
        }
    }
    Ok(answer)
}

/// CreateInstanceInspection.
pub(super) async fn create(call: &Call) -> Result<Value, Refusal> {
    call.check_region()?;
    let (instance, token) = (call.instance()?, token(call)?);
    let spec = InspectionSpec {
        items: items(call, ITEMS)?,
        scope: scope(call)?.ok_or_else(|| Refusal::missing(MODE))?,
        schedule: schedule(call)?.ok_or_else(|| Refusal::missing(ENABLED))?,
    };
    let instances = call.instances()?;
    let created = instances.create_inspection(instance.id(), token, spec);
    created.await?;
    shown(call, instance.id()).await
}

/// UpdateInstanceInspection.
pub(super) async fn update(call: &Call) -> Result<Value, Refusal> {
    call.check_region()?;
    let (instance, token) = (call.instance()?, token(call)?);
    let revision = call.integer_in("revision", (0, i64::MAX))?;
    let revision = revision.ok_or_else(|| Refusal::missing("revision"))?;
    let items = match call.has(ITEMS) {
        true => Some(items(call, ITEMS)?),
        false => None,
    };
    let change = InspectionChange {
        items,
        scope: scope(call)?,
        schedule: schedule(call)?,
    };
    let (instances, id) = (call.instances()?, instance.id());
    let revision = revision.cast_unsigned();
    let updated = instances.update_inspection(id, token, revision, change);
    updated.await?;
    shown(call, id).await
}

/// DeleteInstanceInspection.
pub(super) async fn delete(call: &Call) -> Result<Value, Refusal> {
    call.check_region()?;
    let instance = call.instance()?;
    call.instances()?.delete_inspection(instance.id()).await?;
    Ok(json!({ "ok": true }))
}

/// RunInstanceInspection.
pub(super) async fn begin(call: &Call) -> Result<Value, Refusal> {
    call.check_region()?;
    let (instance, token) = (call.instance()?, token(call)?);
    let overrides = items(call, OVERRIDES)?;
    let instances = call.instances()?;
    let begun = instances.run_inspection(instance.id(), token, &overrides);
    Ok(json!({ "runId": begun.await? }))
}

/// ListInstanceInspectionRuns: the newest first, or the oldest.
pub(super) async fn list_runs(call: &Call) -> Result<Value, Refusal> {
    call.check_region()?;
    let instance = call.instance()?;
    let (from, to) = (call.time("startTime")?, call.time("endTime")?);
    let statuses = InspectionRunStatus::ALL.map(|status| (status.name(), status));
    let results = InspectionResult::ALL.map(|result| (result.name(), result));
    let status = call.word("status", &statuses)?;
    let report_status = call.word("reportStatus", &statuses)?;
    let result = call.word("result", &results)?;
    let orders = [("requestedAt:desc", false), ("requestedAt:asc", true)];
    let is_oldest_first = call.word("sortBy", &orders)?.unwrap_or(false);
    let code = known_template(call, false)?;
    let mut runs = call.instances()?.inspection_runs(instance.id()).await?;
    runs.retain(|run: &InspectionRun| {
        let at = Timestamp::from_ms(run.requested_at_ms);
        let is_over = run.status == InspectionRunStatus::Succeeded;
        from.is_none_or(|from| at >= from)
            && to.is_none_or(|to| at <= to)
            && status.is_none_or(|status| run.status == status)
            && report_status.is_none_or(|status| run.status == status)
            && result.is_none_or(|result| is_over && run.result() == result)
            && code.is_none_or(|code| run.spec.items.iter().any(|item| item.template == code))
    });
    if is_oldest_first {
        runs.reverse();
    }
    page(
        call,
        &runs,
        |run| &run.id,
        |run| listed_run(call, instance.id(), run),
    )
}

/// The template that a request names.
fn known_template(call: &Call, must_be_there: bool) -> Result<Option<&str>, Refusal> {
    let Some(code) = call.text(TEMPLATE) else {
        return match must_be_there {
            true => Err(Refusal::missing(TEMPLATE)),
            false => Ok(None),
        };
    };
    match template(code) {
        Some(_) => Ok(Some(code)),
        None => Err(Refusal::invalid(TEMPLATE, code, "the code of a template")),
    }
}

/// GetInstanceInspectionRun.
pub(super) async fn get_run(call: &Call) -> Result<Value, Refusal> {
    call.check_region()?;
    let (instance, id) = (call.instance()?, call.required(RUN)?);
    let instances = call.instances()?;
    let found = instances.inspection_run(instance.id(), id).await?;
    let mut shown = run(call, instance.id(), &found);
    if found.status.is_over() {
        shown["report"] = inspection_report::report(call, instance.id(), &found);
    }
    Ok(shown)
}

/// GetInstanceInspectionReport.
pub(super) async fn get_report(call: &Call) -> Result<Value, Refusal> {
    let id = call.required(REPORT)?;
    let not_found = || {
        let shown: String = id.chars().take(64).collect();
        let text = format!("inspection report `{shown}` not found");
        Refusal::new(Code::ReportNotFound, text)
    };
    let (instance, run) = inspection_report::parts(id).ok_or_else(not_found)?;
    let instance = call.instance_of(instance).map_err(|_| not_found())?;
    let instances = call.instances()?;
    let found = instances.inspection_run(instance.id(), run).await?;
    if !found.status.is_over() {
        return Err(not_found());
    }
    Ok(inspection_report::report(call, instance.id(), &found))
}

/// ListInstanceInspectionResources: what an item had a word about, in one run or the last.
pub(super) async fn list_resources(call: &Call) -> Result<Value, Refusal> {
    call.check_region()?;
    let (instance, code) = (call.instance()?, known_template(call, true)?);
    let (instances, id) = (call.instances()?, instance.id());
    let run = match call.text(RUN) {
        Some(run) => Some(run.to_owned()),
        None => {
            let inspection = instances.inspection(id).await?;
            let text = || format!("instance `{id}` has no inspection configured");
            let inspection =
                inspection.ok_or_else(|| Refusal::new(Code::InspectionNotFound, text()))?;
            inspection.last_run
        }
    };
    let outcomes = match run {
        Some(run) => instances.inspection_run(id, &run).await?.outcomes,
        None => Vec::new(),
    };
    let of_item = outcomes.iter().find(|it| Some(&*it.template) == code);
    let found = of_item.map_or(&[][..], |outcome| &outcome.resources);
    page(call, found, |found| &found.name, |found| item(id, found))
}
