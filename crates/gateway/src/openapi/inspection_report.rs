//! Reports: what a run found, for people. A report is made anew from its run each time.

use std::fmt::Write as _;

use base::InstanceId;
use broker::inspection::{
    InspectedResource, InspectionItemOutcome, InspectionRun, InspectionRunStatus, template,
};
use serde_json::{Value, json};

use super::{
    call::Call,
    inspection_document::{VERSION, headline, instance_name, item, resource_id, time, time_range},
};

/// The id of the report of a run.
pub(super) fn report_id(instance: &InstanceId, run: &InspectionRun) -> String {
    format!("{instance}.{}", run.id)
}

/// The instance and the run of a report.
pub(super) fn parts(id: &str) -> Option<(&str, &str)> {
    id.rsplit_once('.')
}

fn name_of(outcome: &InspectionItemOutcome) -> &str {
    template(&outcome.template).map_or(&outcome.template, |known| known.name)
}

fn overview(run: &InspectionRun) -> String {
    let (infos, risks) = run.counts();
    let (items, incomplete) = (run.outcomes.len(), incomplete(run));
    match run.status {
        InspectionRunStatus::Failed => "The inspection was given up.".to_owned(),
        _ if incomplete > 0 => format!(
            "{items} items were looked at, {incomplete} of them not in full: {risks} risks, \
             {infos} to know of."
        ),
        _ => format!("{items} items were looked at: {risks} risks, {infos} to know of."),
    }
}

fn incomplete(run: &InspectionRun) -> usize {
    let outcomes = run.outcomes.iter();
    outcomes.filter(|outcome| outcome.error.is_some()).count()
}

/// Text in Markdown, without a meaning of its own.
fn plain_markdown(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii_punctuation() && !",.:;()%-/".contains(letter) {
            plain.push('\\');
        }
        plain.push(if letter.is_control() { ' ' } else { letter });
    }
    plain
}

/// Text in HTML, without a meaning of its own.
fn plain_html(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '"' => plain.push_str("&quot;"),
            '\'' => plain.push_str("&#39;"),
            letter => plain.push(letter),
        }
    }
    plain
}

fn markdown(title: &str, run: &InspectionRun) -> String {
    let mut text = format!(
        "# Inspection of {}\n\n{}\n",
        plain_markdown(title),
        overview(run)
    );
    for outcome in &run.outcomes {
        let _ = write!(
            text,
            "\n## {}\n\n{}.\n",
            name_of(outcome),
            headline(outcome)
        );
        if let Some(error) = &outcome.error {
            let _ = write!(
                text,
                "\nNot looked at in full: {}.\n",
                plain_markdown(error)
            );
        }
        for (index, found) in outcome.resources.iter().enumerate() {
            let line = [found.result.name(), ": ", &found.name, ", ", &found.summary].concat();
            let before = if index == 0 { "\n" } else { "" };
            let _ = writeln!(text, "{before}- {}", plain_markdown(&line));
        }
    }
    text
}

fn html(title: &str, run: &InspectionRun) -> String {
    let mut text = format!(
        "<h1>Inspection of {}</h1><p>{}</p>",
        plain_html(title),
        plain_html(&overview(run))
    );
    for outcome in &run.outcomes {
        let (name, headline) = (plain_html(name_of(outcome)), headline(outcome));
        let _ = write!(text, "<h2>{name}</h2><p>{}.</p>", plain_html(&headline));
        if let Some(error) = &outcome.error {
            let _ = write!(text, "<p>Not looked at in full: {}.</p>", plain_html(error));
        }
        if outcome.resources.is_empty() {
            continue;
        }
        text.push_str("<ul>");
        for found in &outcome.resources {
            let line = [found.result.name(), ": ", &found.name, ", ", &found.summary].concat();
            let _ = write!(text, "<li>{}</li>", plain_html(&line));
        }
        text.push_str("</ul>");
    }
    text
}

fn finding(
    instance: &InstanceId,
    run: &InspectionRun,
    outcome: &InspectionItemOutcome,
    found: &InspectedResource,
) -> Value {
    let known = template(&outcome.template);
    let shown = item(instance, found);
    json!({
        "evidence": [found.summary],
        "impact": known.map(|known| known.description).unwrap_or_default(),
        "location": resource_id(instance, found),
        "observations": [found.summary],
        "observedAt": time(outcome.observed_at_ms),
        "recommendations": known.map(|known| known.advice).into_iter().collect::<Vec<_>>(),
        "resource": { "id": shown["id"], "name": shown["name"], "type": shown["type"] },
        "riskType": found.result.name(),
        "source": "Inspection",
        "templateCode": outcome.template,
        "timeRange": time_range(run),
    })
}

/// The report of a run that is over.
pub(super) fn report(call: &Call, instance: &InstanceId, run: &InspectionRun) -> Value {
    let coverage = run.outcomes.iter().map(|outcome| {
        let status = match outcome.error {
            None => InspectionRunStatus::Succeeded,
            Some(_) => InspectionRunStatus::Failed,
        };
        json!({
            "diagnosisStatus": status.name(),
            "name": name_of(outcome),
            "observedAt": time(outcome.observed_at_ms),
            "result": outcome.result().name(),
            "status": status.name(),
            "templateCode": outcome.template,
            "timeRange": time_range(run),
        })
    });
    let findings = run.outcomes.iter().flat_map(|outcome| {
        let found = outcome.resources.iter();
        found.map(move |found| finding(instance, run, outcome, found))
    });
    let is_whole = run.status == InspectionRunStatus::Succeeded && incomplete(run) == 0;
    let (infos, risks) = run.counts();
    let name = instance_name(call, instance);
    json!({
        "completion": if is_whole { "Complete" } else { "Partial" },
        "coverage": coverage.collect::<Vec<Value>>(),
        "findings": findings.collect::<Vec<Value>>(),
        "finishedAt": time(run.finished_at_ms.unwrap_or(run.requested_at_ms)),
        "html": html(&name, run),
        "inspectionRunId": run.id,
        "instanceId": instance.as_str(),
        "instanceName": name,
        "markdown": markdown(&name, run),
        "overview": overview(run),
        "regionId": call.region(),
        "reportId": report_id(instance, run),
        "reportSummary": { "infoCount": infos, "riskCount": risks },
        "templateVersion": VERSION,
        "timeRange": time_range(run),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_nothing_in_a_report() {
        assert_eq!(plain_html("<b>\"&'"), "&lt;b&gt;&quot;&amp;&#39;");
        assert_eq!(
            plain_markdown("a_b*[x](y)\n# z"),
            "a\\_b\\*\\[x\\](y) \\# z"
        );
    }

    #[test]
    fn a_report_names_its_run() {
        assert_eq!(parts("rmq-cn-1.run-2"), Some(("rmq-cn-1", "run-2")));
        assert_eq!(parts("run-2"), None);
    }
}
