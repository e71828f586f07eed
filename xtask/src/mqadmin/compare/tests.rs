//! What counts as the same, as an accepted difference, and as one.

use std::time::Duration;

use super::*;

fn plan(steps: &str) -> Plan {
    let text = r#"
        [[mask]]
        pattern = '\d+\.\d+\.\d+\.\d+:\d+'
        with = "<address>"
        [[difference]]
        name = "system-topics"
        commands = ["topicList"]
        reason = "another server has others"
        apache = ['^SYS_']
        [[difference]]
        name = "rate"
        commands = ["statsAll"]
        reason = "it differs with every run"
        values = ['\d+\.\d+$']
        apache_parts = ['region=\w+ ']
        carrack = ['^extra$']
    "#;
    toml::from_str(&format!("{text}\n{steps}")).expect("a plan")
}

fn compare(run: &str, apache: &str, carrack: &str) -> (String, Vec<String>) {
    let plan = plan(&format!("[[step]]\nrun = '{run}'\nany_order = true"));
    let mut comparison = Comparison::new(&plan);
    let output = |text: &str| Output {
        text: text.to_owned(),
        took: Duration::ZERO,
    };
    comparison.step(&plan.steps[0], output(apache), output(carrack));
    let outcome = match &comparison.steps[0].1 {
        Outcome::Same => "same".to_owned(),
        Outcome::Accepted { names } => names.iter().cloned().collect::<Vec<_>>().join(","),
        Outcome::Different { apache, carrack } => format!("{apache:?} {carrack:?}"),
    };
    (outcome, comparison.unseen())
}

#[test]
fn masks_blanks_order_and_stacks_do_not_count() {
    let apache = "b  1.2.3.4:5\na\n\tat com.example\n\t... 3 more";
    assert_eq!(compare("x", apache, "a\nb 5.6.7.8:90").0, "same");
    assert_eq!(compare("x", "a", "b").0, r#"["a"] ["b"]"#);
    assert_eq!(compare("x", "a\na", "a").0, r#"["a"] []"#);
}

#[test]
fn the_order_of_lines_counts_unless_they_have_none() {
    let plan = plan("[[step]]\nrun = 'topicRoute'");
    let mut comparison = Comparison::new(&plan);
    let output = |text: &str| Output {
        text: text.to_owned(),
        took: Duration::ZERO,
    };
    comparison.step(&plan.steps[0], output("a\nb"), output("b\na"));
    let different = comparison.count(|outcome| matches!(outcome, Outcome::Different { .. }));
    assert_eq!(different, 1);
}

#[test]
fn lines_of_one_side_are_accepted_on_that_side_and_for_that_command_only() {
    let (outcome, _) = compare("topicList", "orders\nSYS_A", "orders");
    assert_eq!(outcome, "system-topics");
    let (outcome, _) = compare("topicList", "orders", "orders\nSYS_A");
    assert_eq!(outcome, r#"[] ["SYS_A"]"#);
    let (outcome, _) = compare("topicRoute", "orders\nSYS_A", "orders");
    assert_eq!(outcome, r#"["SYS_A"] []"#);
    // What both print is compared.
    assert_eq!(compare("topicList", "SYS_A", "SYS_A").0, "same");
}

#[test]
fn values_and_parts_are_taken_out_and_the_rest_counts() {
    let (outcome, _) = compare("statsAll", "in region=x 1.0", "in 2.0");
    assert_eq!(outcome, "rate");
    let (outcome, _) = compare("statsAll", "in 1.0", "out 2.0");
    assert_eq!(outcome, r#"["in <rate>"] ["out <rate>"]"#);
}

#[test]
fn accepted_differences_must_be_seen() {
    let of = |run: &str, apache: &str, carrack: &str| {
        let unseen = compare(run, apache, carrack).1;
        unseen.into_iter().map(|text| text.replace(" in ", "/"))
    };
    let unseen: Vec<_> = of("statsAll", "in region=x 1.0", "in 2.0").collect();
    assert_eq!(
        unseen,
        [
            "system-topics/topicList, Apache: ^SYS_",
            "rate/statsAll, Carrack: ^extra$"
        ]
    );
    let unseen: Vec<_> = of("topicList", "SYS_A", "SYS_A").collect();
    assert_eq!(unseen.len(), 5, "{unseen:?}");
}
