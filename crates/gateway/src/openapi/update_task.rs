//! Operations on update tasks.

use std::{cmp::Reverse, time::Duration};

use base::{InstanceId, Timestamp};
use control::{StepState, Task, TaskProgress, TaskState, UpdateKind, UpdateRecord, Zone};
use serde_json::{Value, json};

use super::{
    call::Call,
    page::{Page, SIZE_MAX},
    status::{Code, Refusal},
};

const SCHEDULED: &str = "scheduledTime";

/// A task that is to begin now begins this much later: a time that has passed is none to move it
/// to.
const SOON: Duration = Duration::from_secs(1);

const STATES: [(&str, TaskState); 4] = [
    ("PENDING", TaskState::Pending),
    ("RUNNING", TaskState::Running),
    ("SUCCEEDED", TaskState::Succeeded),
    ("FAILED", TaskState::Failed),
];

/// What lists show of a task.
pub(super) fn shown(instance: &InstanceId, task: &Task, now: Timestamp) -> Value {
    let shown = |at| task.zone.show(at);
    let maybe = |at: Option<Timestamp>| at.map_or(String::new(), shown);
    let kind = match task.from.kind_of_update_to(&task.target) {
        UpdateKind::OpenSource => "OPEN_SOURCE",
        UpdateKind::Patch => "PATCH",
    };
    json!({
        "createTime": shown(task.created_at),
        "deadline": shown(task.deadline_at),
        "endTime": maybe(task.ended_at),
        "fromVersion": task.from.to_string(),
        "instanceId": instance.as_str(),
        "maintainTime": task.window.to_string(),
        "overdue": task.is_overdue(now),
        "reason": task.reason.as_deref().unwrap_or_default(),
        "scheduledTime": shown(task.scheduled_at),
        "startTime": maybe(task.started_at),
        "status": task.state.to_string(),
        "targetVersion": task.target.to_string(),
        "taskId": task.number,
        "timeZone": task.zone.name(),
        "updateKind": kind,
    })
}

fn step_state(state: StepState) -> &'static str {
    match state {
        StepState::Waiting => "WAITING",
        StepState::Begun => "BEGUN",
        StepState::Done => "DONE",
        StepState::Undone => "UNDONE",
    }
}

fn described(instance: &InstanceId, progress: &TaskProgress, now: Timestamp) -> Value {
    let zone = &progress.task.zone;
    let maybe = |at: Option<Timestamp>| at.map_or(String::new(), |at| zone.show(at));
    let steps = progress.workflow.iter().flat_map(|it| &it.steps);
    let steps = steps.map(|it| {
        json!({
            "beginTime": maybe(it.began_at),
            "endTime": maybe(it.ended_at),
            "error": it.error.as_deref().unwrap_or_default(),
            "failures": it.failures,
            "state": step_state(it.state),
            "step": it.step.to_string(),
        })
    });
    let events = progress.events();
    let events = events
        .iter()
        .map(|it| json!({ "time": zone.show(it.at), "event": it.text }));
    let mut answer = shown(instance, &progress.task, now);
    let (done, all) = progress.steps_done();
    answer["stepsDone"] = done.into();
    answer["stepsTotal"] = all.into();
    answer["steps"] = steps.collect();
    answer["events"] = events.collect();
    answer
}

/// ListUpdateTasks: the newest first.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let updates = call.control()?.updates();
    let records = match call.text("instanceId") {
        Some(_) => {
            let record = updates.describe(call.instance()?.id())?;
            record.check_managed()?;
            vec![record]
        }
        None => updates.list(),
    };
    let states = states(call)?;
    let (now, overdue) = (call.now(), call.boolean("overdue"));
    let is_asked = |task: &Task| {
        (states.is_empty() || states.contains(&task.state))
            && overdue.is_none_or(|overdue| overdue == task.is_overdue(now))
    };
    let mut tasks: Vec<(&UpdateRecord, &Task)> = Vec::new();
    for record in &records {
        if let Ok(of_record) = record.tasks() {
            let asked = of_record.filter(|task| is_asked(task));
            tasks.extend(asked.map(|task| (&**record, task)));
        }
    }
    tasks.sort_by_key(|(_, task)| Reverse(task.created_at));
    let page = Page::of(call, 1, SIZE_MAX);
    Ok(page.of_all(&tasks, |(record, task)| shown(&record.instance, task, now)))
}

fn states(call: &Call) -> Result<Vec<TaskState>, Refusal> {
    let words = call.texts("statuses").into_iter();
    let states = words.map(|word| {
        let mut known = STATES.iter();
        let known = known.find(|(name, _)| name.eq_ignore_ascii_case(word));
        known.map(|(_, state)| *state).ok_or_else(|| {
            let expected = STATES.map(|(name, _)| name).join(", ");
            Refusal::invalid("statuses", word, &expected)
        })
    });
    states.collect()
}

/// The task that the path names.
async fn task(call: &Call) -> Result<TaskProgress, Refusal> {
    let (instance, text) = (call.instance()?, call.required("taskId")?);
    let control = call.control()?;
    let number = text.parse::<u64>();
    let found = match number {
        Ok(number) => control.task(instance.id(), number).await?,
        // What is no number is no task either, of an instance that has any.
        Err(_) => {
            control.updates().describe(instance.id())?.check_managed()?;
            None
        }
    };
    found.ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        let text = format!(
            "update task `{shown}` of instance `{}` not found",
            instance.id()
        );
        Refusal::new(Code::UpdateTaskNotFound, text)
    })
}

/// GetUpdateTask.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let found = task(call).await?;
    Ok(described(call.instance()?.id(), &found, call.now()))
}

fn wanted_time(call: &Call, zone: &Zone) -> Result<Timestamp, Refusal> {
    let text = call.required(SCHEDULED)?;
    if text == "now" {
        return Ok(call.now().after(SOON));
    }
    let expected = "a time as 2026-01-02T03:04:05+08:00, the same without offset in the time \
                    zone of the task, or `now`";
    let time = zone.read(text);
    time.ok_or_else(|| Refusal::invalid(SCHEDULED, text, expected))
}

/// The open task, which must be the one that the path names.
async fn open_task(call: &Call) -> Result<Task, Refusal> {
    let task = task(call).await?.task;
    match task.state {
        TaskState::Pending | TaskState::Running => Ok(task),
        TaskState::Succeeded | TaskState::Failed => {
            let text = format!("update task {} is {}", task.number, task.state);
            Err(Refusal::new(Code::UpdateTaskState, text))
        }
    }
}

/// RescheduleUpdateTask.
pub(super) async fn reschedule(call: &Call) -> Result<Value, Refusal> {
    let open = open_task(call).await?;
    let (to, instance) = (wanted_time(call, &open.zone)?, call.instance()?);
    let task = call.control()?.updates().reschedule(instance.id(), to);
    Ok(shown(instance.id(), &task.await?, call.now()))
}

/// CancelUpdateTask: always refused.
pub(super) async fn cancel(call: &Call) -> Result<Value, Refusal> {
    open_task(call).await?;
    call.control()?.updates().cancel(call.instance()?.id())?;
    Ok(json!(true))
}
