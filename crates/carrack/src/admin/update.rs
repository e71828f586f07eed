//! `carrack update`.

use std::time::Duration;

use base::Clock as _;
use clap::{Subcommand, ValueEnum};
use client::{OpenApiCall, openapi::Method};
use serde_json::{Value, json};

use super::{
    fleet::{Fleet, text},
    show::{self, Rows},
};
use crate::{
    cli::{FleetOptions, Output},
    exit::Failure,
    server::SystemClock,
};

/// Between two looks at a task that is watched.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// What to do with updates.
#[derive(Debug, Subcommand)]
pub(crate) enum UpdateCommand {
    /// List update tasks, the newest first
    List {
        /// Id of the instance [default: all that have updates]
        id: Option<String>,
        /// Only tasks in this state; may be given several times
        #[arg(long, value_enum)]
        status: Vec<Status>,
        /// Only tasks that have been running for too long
        #[arg(long)]
        overdue: bool,
        #[command(flatten)]
        fleet: FleetOptions,
    },
    /// Show what version an instance runs, and one of its update tasks, step by step
    Describe {
        /// Id of the instance
        id: String,
        /// Number of the task [default: the newest]
        #[arg(long, value_name = "NUMBER")]
        task: Option<u64>,
        /// Go on to show what happens until the task has ended
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        fleet: FleetOptions,
    },
    /// Move the pending update of an instance to another time
    Reschedule {
        /// Id of the instance
        id: String,
        /// When to begin, at most until the deadline: as 2026-03-12T02:30, by the clocks of the
        /// task's time zone, or as 2026-03-12T02:30:00+08:00, or `now`
        #[arg(long, value_name = "TIME")]
        to: String,
        #[command(flatten)]
        fleet: FleetOptions,
    },
}

/// States of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    /// Waits for its time
    Pending,
    /// Is carried out
    Running,
    /// The instance runs its target
    Succeeded,
    /// The instance runs what it ran before
    Failed,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }
}

pub(super) async fn run(command: UpdateCommand) -> Result<(), Failure> {
    match command {
        UpdateCommand::List {
            id,
            status,
            overdue,
            fleet,
        } => {
            let call = tasks(id.as_deref(), &status, overdue);
            list(&Fleet::of(&fleet).list(&call).await?, fleet.output)
        }
        UpdateCommand::Describe {
            id,
            task,
            watch,
            fleet,
        } => describe(&id, task, watch, &fleet).await,
        UpdateCommand::Reschedule { id, to, fleet } => {
            let asked = Fleet::of(&fleet);
            let open = newest(&asked, &id).await?;
            let number = open["taskId"].to_string();
            let path = ["instances", &id, "updateTasks", &number];
            let mut call = OpenApiCall::new("RescheduleUpdateTask", Method::PATCH, &path);
            call.body = Some(json!({ "scheduledTime": to }));
            let moved = asked.ask(&call).await?;
            show::answer(fleet.output, &moved, || facts(&moved))
        }
    }
}

fn tasks(id: Option<&str>, states: &[Status], overdue: bool) -> OpenApiCall {
    let mut call = OpenApiCall::new("ListUpdateTasks", Method::GET, &["updateTasks"]);
    if let Some(id) = id {
        call.query.push(("instanceId", id.to_owned()));
    }
    if !states.is_empty() {
        let words: Vec<&str> = states.iter().map(|state| state.word()).collect();
        call.query.push(("statuses", words.join(",")));
    }
    if overdue {
        call.query.push(("overdue", "true".to_owned()));
    }
    call
}

fn list(tasks: &[Value], output: Output) -> Result<(), Failure> {
    show::answer(output, &tasks, || {
        if tasks.is_empty() {
            return "no update tasks\n".to_owned();
        }
        let columns = [
            "INSTANCE",
            "TASK>",
            "STATUS",
            "FROM",
            "TARGET",
            "SCHEDULED",
            "DEADLINE",
            "OVERDUE",
        ];
        let mut rows = Rows::new(&columns);
        for task in tasks {
            rows.push([
                text(task, "instanceId"),
                text(task, "taskId"),
                text(task, "status"),
                text(task, "fromVersion"),
                text(task, "targetVersion"),
                text(task, "scheduledTime"),
                text(task, "deadline"),
                text(task, "overdue"),
            ]);
        }
        rows.text()
    })
}

/// The newest task of an instance.
async fn newest(fleet: &Fleet, id: &str) -> Result<Value, Failure> {
    let mut call = tasks(Some(id), &[], false);
    call.query.push(("pageSize", "1".to_owned()));
    let mut page = fleet.ask(&call).await?;
    let newest = page["list"].get_mut(0).map(Value::take);
    newest.ok_or_else(|| Failure::Refused(anyhow::anyhow!("instance `{id}` has no update tasks")))
}

async fn describe(
    id: &str,
    number: Option<u64>,
    watch: bool,
    options: &FleetOptions,
) -> Result<(), Failure> {
    let fleet = Fleet::of(options);
    let call = OpenApiCall::new(
        "GetInstanceVersion",
        Method::GET,
        &["instances", id, "version"],
    );
    let version = fleet.ask(&call).await?;
    let number = match number {
        Some(number) => Some(number.to_string()),
        // An instance without tasks has a version all the same.
        None if watch => Some(newest(&fleet, id).await?["taskId"].to_string()),
        None if version["managed"] == true => {
            let newest = newest(&fleet, id).await.ok();
            newest.map(|task| task["taskId"].to_string())
        }
        None => None,
    };
    let task = match &number {
        Some(number) => fleet.ask(&task_call(id, number)).await?,
        None => Value::Null,
    };
    match options.output {
        Output::Json if !watch => show::json(&json!({ "version": version, "task": task }))?,
        Output::Json => {}
        Output::Table => {
            let mut shown = version_facts(&version);
            if !task.is_null() {
                shown.push('\n');
                shown.push_str(&facts(&task));
                shown.push_str(&events(&task, 0));
            }
            show::print(&shown)?;
        }
    }
    match number {
        Some(number) if watch => watch_task(&fleet, &task_call(id, &number), task, options).await,
        _ => Ok(()),
    }
}

fn task_call(id: &str, number: &str) -> OpenApiCall {
    let path = ["instances", id, "updateTasks", number];
    OpenApiCall::new("GetUpdateTask", Method::GET, &path)
}

/// Shows each event once, until the task has ended; fails if the task did. A fleet that is away for
/// a while, as when it is replaced, is asked again.
async fn watch_task(
    fleet: &Fleet,
    call: &OpenApiCall,
    mut task: Value,
    options: &FleetOptions,
) -> Result<(), Failure> {
    let clock = SystemClock::start();
    while !has_ended(&task) {
        clock.sleep(WATCH_PAUSE).await;
        let next = match fleet.ask(call).await {
            Ok(next) => next,
            Err(Failure::Unreachable(_)) => continue,
            Err(failure) => return Err(failure),
        };
        if options.output == Output::Table {
            // Times of events that are known may change: a step that failed is begun again.
            let known = task["events"].as_array().map_or(0, Vec::len);
            show::print(&events(&next, known))?;
        }
        task = next;
    }
    if options.output == Output::Json {
        show::json(&task)?;
    }
    if task["status"] == "FAILED" {
        let reason = text(&task, "reason");
        return Err(Failure::Refused(anyhow::anyhow!(
            "the update failed: {reason}"
        )));
    }
    Ok(())
}

fn has_ended(task: &Value) -> bool {
    task["status"] == "SUCCEEDED" || task["status"] == "FAILED"
}

fn version_facts(version: &Value) -> String {
    let mut facts = vec![
        ("instance", text(version, "instanceId")),
        ("version", text(version, "softwareVersion")),
        ("supported until", text(version, "supportedUntil")),
        ("newest version", text(version, "newestVersion")),
    ];
    if version["managed"] == true {
        facts.push(("window", text(version, "maintainTime")));
        facts.push(("time zone", text(version, "timeZone")));
    }
    show::facts(&facts)
}

fn facts(task: &Value) -> String {
    let mut facts = vec![
        ("task", text(task, "taskId")),
        ("status", text(task, "status")),
        ("from", text(task, "fromVersion")),
        ("target", text(task, "targetVersion")),
        ("scheduled", text(task, "scheduledTime")),
        ("deadline", text(task, "deadline")),
        ("started", text(task, "startTime")),
        ("ended", text(task, "endTime")),
    ];
    if task["stepsTotal"].as_u64().is_some_and(|total| total > 0) {
        let steps = format!("{} of {}", task["stepsDone"], task["stepsTotal"]);
        facts.push(("steps done", steps));
    }
    if task["overdue"] == true {
        facts.push(("overdue", "yes, it takes longer than updates do".to_owned()));
    }
    if task["reason"]
        .as_str()
        .is_some_and(|reason| !reason.is_empty())
    {
        facts.push(("reason", text(task, "reason")));
    }
    show::facts(&facts)
}

/// The events of a task but the first `skipped`, one a line.
fn events(task: &Value, skipped: usize) -> String {
    let events = task["events"].as_array().into_iter().flatten();
    events
        .skip(skipped)
        .map(|event| format!("{}  {}\n", text(event, "time"), text(event, "event")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overdue_task_says_so() {
        let task = json!({
            "taskId": 3, "status": "RUNNING", "overdue": true, "stepsDone": 4, "stepsTotal": 9,
            "events": [{ "time": "t1", "event": "created" }, { "time": "t2", "event": "started" }],
        });
        let shown = facts(&task);
        assert!(shown.contains("overdue     yes"), "{shown}");
        assert!(shown.contains("steps done  4 of 9"), "{shown}");
        assert_eq!(events(&task, 1), "t2  started\n");
    }

    #[test]
    fn filters_are_part_of_the_query() {
        let call = tasks(Some("rmq-1"), &[Status::Pending, Status::Failed], true);
        assert_eq!(
            call.query,
            [
                ("instanceId", "rmq-1".to_owned()),
                ("statuses", "PENDING,FAILED".to_owned()),
                ("overdue", "true".to_owned()),
            ]
        );
    }
}
