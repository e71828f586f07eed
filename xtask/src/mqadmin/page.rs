//! The reference page: which commands of the tool work, and with which differences.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::plan::{Plan, Step};

/// The page, which says only what the plan says: the same plan gives the same page.
pub(super) fn text(plan: &Plan) -> String {
    let mut page = String::from(
        "# mqadmin\n\n\
         Written by `cargo xtask mqadmin --write` from `conformance/mqadmin/commands.toml`. Do not edit.\n\n\
         The commands of Apache RocketMQ's `mqadmin` 5.5.0. `cargo xtask mqadmin` runs each command of the first table\n\
         against Carrack and against Apache RocketMQ 5.5.0, taken into the same state, and compares what it prints.\n\
         Addresses, times, ids and versions are masked. A command whose column of differences is empty prints the same.\n\n\
         ## Commands that work\n\n\
         | command | accepted differences |\n| --- | --- |\n",
    );
    let mut commands: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for command in plan.steps.iter().filter_map(Step::command) {
        commands.entry(command).or_default();
    }
    for difference in &plan.differences {
        for command in &difference.commands {
            if let Some(names) = commands.get_mut(command.as_str()) {
                names.push(&difference.name);
            }
        }
    }
    for (command, names) in &commands {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{command}` | {} |", names.join(", "));
    }
    page.push_str("\n## Accepted differences\n\n");
    for difference in &plan.differences {
        let _ = writeln!(page, "- **{}**: {}", difference.name, difference.reason);
    }
    page.push_str("\n## Commands that are left out\n\n| command | reason |\n| --- | --- |\n");
    let mut left_out: Vec<_> = plan.left_out.iter().collect();
    left_out.sort_by(|a, b| a.command.cmp(&b.command));
    for left_out in left_out {
        let _ = writeln!(page, "| `{}` | {} |", left_out.command, left_out.reason);
    }
    page
}
