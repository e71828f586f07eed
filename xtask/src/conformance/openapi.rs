//! The clients of the OpenAPIs: they administer, so that their checks are their own and not the
//! scenarios that messaging clients share.
//!
//! A driver runs all checks of one client against one server and writes a line for each.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::Run;
use super::build;
use super::clients::{Language, Protocol};
use super::deadline::{COMMAND, Deadline, START, Stopwatch};
use super::process::Process;
use super::report::{Line, Outcome};
use super::target::{ADMIN_ACCESS_KEY, ADMIN_SECRET_KEY, Setting};

/// The selection of these clients.
pub(crate) const SELECTION: &str = "openapi";

/// What stands where messaging clients have a kind of consumer.
const NO_CONSUMER: &str = "-";

/// A released client of the OpenAPI.
pub(crate) struct OpenApiClient {
    /// The name in results.
    pub(crate) name: &'static str,
    /// The package and version.
    pub(crate) package: &'static str,
    /// Where its driver is, below `conformance/`.
    folder: &'static str,
    language: Language,
    /// What the driver calls it.
    generation: &'static str,
    against: Against,
    /// Its checks, with what each shows.
    pub(crate) checks: &'static [(&'static str, &'static str)],
}

/// What a client is run against.
#[derive(PartialEq, Eq)]
enum Against {
    /// A server with access control, and a user who may do little.
    Server,
    /// A server that asks nobody for signatures.
    OpenServer,
    /// A fleet, with access control.
    Fleet,
}

/// All of them.
pub(crate) const OPENAPI_CLIENTS: [OpenApiClient; 7] = [
    OpenApiClient {
        name: "openapi-modern",
        package: "Python alibabacloud-ons20190214 3.0.0",
        folder: "ons-openapi-python",
        language: Language::Python,
        generation: "modern",
        against: Against::Server,
        checks: &CHECKS_4,
    },
    OpenApiClient {
        name: "openapi-classic",
        package: "Python aliyun-python-sdk-ons 3.2.3",
        folder: "ons-openapi-python",
        language: Language::Python,
        generation: "classic",
        against: Against::Server,
        checks: &CHECKS_4,
    },
    OpenApiClient {
        name: "openapi-python",
        package: "Python alibabacloud-rocketmq20220801 5.1.0",
        folder: "openapi-python",
        language: Language::Python,
        generation: "python",
        against: Against::Server,
        checks: &CHECKS_5,
    },
    OpenApiClient {
        name: "openapi-nodejs",
        package: "Node.js @alicloud/rocketmq20220801 5.0.7",
        folder: "openapi-nodejs",
        language: Language::Nodejs,
        generation: "nodejs",
        against: Against::Server,
        checks: &CHECKS_5_NODE,
    },
    OpenApiClient {
        name: "openapi-python-fleet",
        package: "Python alibabacloud-rocketmq20220801 5.1.0 at a fleet",
        folder: "openapi-python",
        language: Language::Python,
        generation: "python",
        against: Against::Fleet,
        checks: &CHECKS_5,
    },
    OpenApiClient {
        name: "openapi-nodejs-fleet",
        package: "Node.js @alicloud/rocketmq20220801 5.0.7 at a fleet",
        folder: "openapi-nodejs",
        language: Language::Nodejs,
        generation: "nodejs",
        against: Against::Fleet,
        checks: &CHECKS_5_NODE,
    },
    OpenApiClient {
        name: "openapi-inputs",
        package: "schemathesis 4.32.5",
        folder: "openapi-inputs",
        language: Language::Python,
        generation: "inputs",
        against: Against::OpenServer,
        checks: &CHECKS_5_INPUTS,
    },
];

/// The checks of the API of the 5.x series.
const CHECKS_5: [(&str, &str); 11] = [
    (
        "regions",
        "the server is a region with a zone, and its metrics are listed",
    ),
    (
        "instances",
        "an instance is ordered once, described, changed, found full, emptied and deleted; one that \
         is subscribed to is kept",
    ),
    (
        "topics",
        "topics of every type are created, listed page by page, changed and deleted",
    ),
    (
        "groups",
        "groups with every kind of retries and of LiteTopics are created, changed, deleted",
    ),
    (
        "consumers",
        "what waits for a group is told, its offsets are set, and its subscriptions are listed",
    ),
    (
        "messages",
        "messages are sent, found by id, key, time and LiteTopic, and traced",
    ),
    (
        "accounts",
        "users of an instance are created, granted something, disabled and deleted",
    ),
    (
        "ip-whitelists",
        "addresses are let in and not, over the data protocols too",
    ),
    (
        "tags",
        "instances are tagged, found by tag and group of resources, and untagged",
    ),
    (
        "inspections",
        "an instance is inspected by every template, what is wrong with it is found and told",
    ),
    (
        "access",
        "who signs wrongly, again, too late or without a permission is refused",
    ),
];

/// Those of a second client, which knows no inspections.
const CHECKS_5_NODE: [(&str, &str); 11] = [
    ("regions", "region, zone and metrics are listed"),
    (
        "instances",
        "an instance is ordered once, described, changed and deleted",
    ),
    ("topics", "a topic is created, changed, listed and deleted"),
    (
        "groups",
        "a group is created, described, changed, listed and deleted",
    ),
    (
        "consumers",
        "what waits for a group is told, its offsets are set, and its subscriptions are listed",
    ),
    ("messages", "a message is sent, found and traced"),
    (
        "accounts",
        "a user of an instance is created, granted something, disabled and deleted",
    ),
    ("ip-whitelists", "addresses are listed, and taken out again"),
    (
        "tags",
        "an instance is tagged, found by tag and group of resources, and untagged",
    ),
    (
        "access",
        "who signs wrongly, again, too late or without a permission is refused",
    ),
    (
        "others",
        "every other operation of the client is refused as one that is not supported",
    ),
];

/// Those with inputs made from the document of the API.
const CHECKS_5_INPUTS: [(&str, &str); 2] = [
    (
        "inputs",
        "whatever is asked of an operation, right or wrong, the answer has the documented shape, and \
         no request makes the server fail",
    ),
    (
        "nothing-half-made",
        "all that was made by such requests is listed, described and deleted",
    ),
];

/// The policy that the checks of access have for one of their users.
const POLICY: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"rocketmq:Get*",
    "Resource":"acs:rocketmq:*:*:instance/default/topic/access-alice"}]}"#;

/// The checks of the API of the 4.x series.
const CHECKS_4: [(&str, &str); 11] = [
    (
        "regions",
        "the service is open, and the server is its region",
    ),
    (
        "instances",
        "an instance is created, described, changed, found full, emptied and deleted",
    ),
    (
        "topics",
        "topics of every type are created, listed, counted, made read-only and deleted",
    ),
    (
        "groups",
        "groups are created, listed, switched off and on again, and deleted",
    ),
    (
        "tags",
        "instances, topics and groups are tagged, found by tag, and untagged",
    ),
    (
        "consumers",
        "what waits for a group is told, and its offsets are set by time and to the end",
    ),
    (
        "messages",
        "messages are found by id, key and time, page by page, with body and track",
    ),
    (
        "dead-letters",
        "a dead letter is found and sent to its group again",
    ),
    (
        "traces",
        "a trace is asked for by id and by key, and its result is fetched",
    ),
    (
        "trends",
        "messages that came in and went out are counted minute by minute",
    ),
    (
        "access",
        "who signs wrongly, again, too late or without a permission is refused",
    ),
];

/// A server with access control, whose deliveries over HTTP come again soon.
const SETTINGS: &[Setting] = &[
    ("access_control", "true"),
    ("admin_access_key", ADMIN_ACCESS_KEY),
    ("admin_secret_key", ADMIN_SECRET_KEY),
    ("http_invisible_ms", "1500"),
];

/// A line of the driver.
#[derive(Deserialize)]
struct Check {
    check: String,
    error: Option<String>,
}

/// Installs the drivers.
pub(super) fn build(run_root: &std::path::Path) -> Result<()> {
    let mut built = Vec::new();
    for client in &OPENAPI_CLIENTS {
        let folder = client.folder;
        if built.contains(&folder) {
            continue;
        }
        println!("building what is in {folder}");
        build::build(run_root, client.language, folder)
            .with_context(|| format!("build {folder}"))?;
        built.push(folder);
    }
    Ok(())
}

/// Runs every check of every client; a check that no line came of has failed.
pub(super) fn run(run: &Run) -> Vec<Line> {
    let mut lines = Vec::new();
    for client in &OPENAPI_CLIENTS {
        let mut done = Vec::new();
        let end = run_client(run, client, &mut done);
        let reason = end
            .err()
            .map_or("it was not run".to_owned(), |why| format!("{why:#}"));
        for &(check, _) in client.checks {
            let found = done.iter().position(|line: &Line| line.scenario == check);
            let line = match found {
                Some(index) => done.swap_remove(index),
                None => line(client, check, Some(reason.clone())),
            };
            println!("{}", super::report::progress(&line));
            lines.push(line);
        }
    }
    lines
}

fn line(client: &OpenApiClient, check: &'static str, error: Option<String>) -> Line {
    Line {
        client: client.name,
        consumer: NO_CONSUMER,
        scenario: check,
        outcome: error.map_or(Outcome::Passed, |reason| Outcome::Failed { reason }),
        first_failure: None,
        milliseconds: 0,
        note: None,
    }
}

fn run_client(run: &Run, client: &OpenApiClient, done: &mut Vec<Line>) -> Result<()> {
    let target = match client.against {
        Against::Server => run.target(client.name, SETTINGS)?,
        Against::OpenServer => run.target(client.name, &[])?,
        Against::Fleet => run.fleet(client.name, SETTINGS)?,
    };
    if client.against != Against::OpenServer {
        target.create_group_with_attempts("GID_dead", 1)?;
        target.create_user("alice", "alice-secret")?;
        target.create_policy("alice-topic", POLICY, "alice")?;
    }
    let sources = run.root.join("conformance").join(client.folder);
    let products = run.root.join("target/conformance").join(client.folder);
    let (program, driver) = match client.language {
        Language::Nodejs => ("node".into(), "driver.js"),
        _ => (products.join("bin/python"), "driver.py"),
    };
    let mut command = Command::new(program);
    command
        .arg(sources.join(driver))
        .args(["--client", client.generation])
        .args(["--endpoint", target.address(Protocol::OnsHttp)])
        .args(["--access-key", ADMIN_ACCESS_KEY, "--secret-key", ADMIN_SECRET_KEY])
        // The sources stay as they are.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Where what the drivers share is.
        .env("PYTHONPATH", run.root.join("conformance"))
        .env("HOME", run.root.join("target/conformance/home"));
    let log = run.logs.join(format!("{}.log", client.name));
    if client.against == Against::Fleet && client.language == Language::Python {
        command.args(["--messages", target.messages()]);
    }
    let mut process = Process::start(client.name, &mut command, &log)?;
    for _ in client.checks {
        let watch = Stopwatch::start();
        let said = process.next_line(Deadline::after(COMMAND))?.text;
        let said: Check = serde_json::from_str(&said).with_context(|| format!("read `{said}`"))?;
        let mut checks = client.checks.iter();
        let Some((check, _)) = checks.find(|(name, _)| *name == said.check) else {
            bail!("check `{}` of the driver is not known", said.check);
        };
        done.push(line(client, check, said.error).took(watch.elapsed()));
    }
    process.wait_for_success(Deadline::after(START))?;
    target.stop().context("stop the server")
}
