//! The reference page: which commands of the tool work, and where their output differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::plan::{LeftOutState, Plan, Step};

/// What stands above the table.
const HEAD: &str = "\
# mqadmin

Written by `cargo xtask mqadmin --write` from `conformance/mqadmin/commands.toml`. Do not edit.

All commands of Apache RocketMQ's `mqadmin` 5.5.0. `cargo xtask mqadmin` takes Carrack and Apache RocketMQ
5.5.0 through the same steps and compares what the tool prints; addresses, times, ids of messages, versions
and the words of error messages (not their codes) are masked.

- **same**: prints the same.
- **differs**: works; where the output differs, and why, is in the remark.
- **refused**: Carrack answers that it cannot do it, and the tool prints an error.
- **not applicable**: there is nothing in Carrack that it could be about.
- **not compared**: works, but its output cannot be compared.

| command | state | remarks |
| --- | --- | --- |
";

/// The page, which says only what the plan says: the same plan gives the same page.
pub(super) fn text(plan: &Plan) -> String {
    let mut rows: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
    let commands: BTreeSet<&str> = plan.steps.iter().filter_map(Step::command).collect();
    for command in commands {
        let of_it = plan.differences.iter().filter(|difference| {
            let mut names = difference.commands.iter();
            names.any(|name| name == command)
        });
        let of_it: Vec<_> = of_it.collect();
        let state = match of_it.as_slice() {
            [] => "same",
            all if all.iter().any(|difference| difference.refused) => "refused",
            _ => "differs",
        };
        let reasons = of_it.iter().map(|difference| difference.reason.as_str());
        rows.insert(command, (state, reasons.collect()));
    }
    for left_out in &plan.left_out {
        let state = match left_out.state {
            LeftOutState::Refused => "refused",
            LeftOutState::NotApplicable => "not applicable",
            LeftOutState::NotCompared => "not compared",
        };
        rows.insert(&left_out.command, (state, vec![&left_out.reason]));
    }
    let mut page = HEAD.to_owned();
    for (command, (state, remarks)) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{command}` | {state} | {} |", remarks.join("; "));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_one_row() {
        let plan = r#"
            mask = []
            [[step]]
            run = "topicList -n x"
            [[step]]
            run = "topicList -n x -c"
            [[step]]
            run = "clusterList -n x"
            [[step]]
            run = "!sleep 1"
            [[difference]]
            name = "rates"
            commands = ["clusterList"]
            reason = "rates differ"
            [[difference]]
            name = "versions"
            commands = ["clusterList"]
            reason = "and versions"
            [[left_out]]
            command = "haStatus"
            state = "refused"
            reason = "no slaves"
            arguments = "-n x"
        "#;
        let plan: Plan = toml::from_str(plan).expect("a plan");
        let rows = text(&plan);
        let (_, rows) = rows.split_once("| --- | --- | --- |\n").expect("a table");
        assert_eq!(
            rows,
            "| `clusterList` | differs | rates differ; and versions |\n\
             | `haStatus` | refused | no slaves |\n\
             | `topicList` | same |  |\n"
        );
    }
}
