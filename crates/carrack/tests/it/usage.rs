//! What the command line says of itself, and its exit codes.

use std::net::TcpListener;

use crate::support::{carrack, run};

#[test]
fn help_names_every_command() {
    let help = run(&["--help"]).ok();
    for command in [
        "server",
        "instance",
        "topic",
        "group",
        "message",
        "bench",
        "config",
        "completion",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        run(&[command, "--help"]).ok();
    }
    let help = run(&["server", "--help"]).ok();
    for text in ["--listen <HOST:PORT>", "CARRACK_DATA", "retention_hours"] {
        assert!(help.contains(text), "{help}");
    }
    assert!(run(&["--version"]).ok().starts_with("carrack "));
}

#[test]
fn secrets_of_the_environment_are_not_shown() {
    let output = carrack(&["topic", "list", "--help"])
        .env("CARRACK_ACCESS_KEY", "open-sesame")
        .env("CARRACK_SECRET_KEY", "mellon")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("CARRACK_SECRET_KEY"), "{help}");
    assert!(
        !help.contains("open-sesame") && !help.contains("mellon"),
        "{help}"
    );
}

#[test]
fn completion_scripts_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completion", shell]).ok();
        assert!(
            script.contains("--max-attempts") || script.contains("max-attempts"),
            "{shell}"
        );
    }
    run(&["completion", "tcsh"]).fails(2);
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [
        &["topic", "create"][..],
        &["topic", "create", "orders", "--type", "odd"],
        &["topic", "create", "orders", "--queues", "0"],
        &["group", "create", "billing", "--max-attempts", "0"],
        &["topic", "list", "--access-key", "alone"],
        &["topic", "list", "--output", "yaml"],
        &["bench", "send", "--size", "0"],
        &["bench", "e2e", "--size", "8"],
        &["server", "--listen", "here"],
        &["server", "--advertise", "here:there"],
        &["nonsense"],
    ] {
        let error = run(arguments).fails(2);
        assert!(error.starts_with("error: "), "{arguments:?}: {error}");
    }
}

#[test]
fn an_unreachable_server_ends_with_3() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    for arguments in [
        &["topic", "list"][..],
        &["topic", "create", "orders"],
        &["group", "list"],
        &["message", "send", "orders", "--body", "x"],
        &["bench", "send"],
        &["bench", "receive", "--protocol", "grpc"],
    ] {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--server", &address]);
        let error = run(&arguments).fails(3);
        assert!(
            error.starts_with(&format!("error: connect to {address}: ")),
            "{error}"
        );
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let mut child = carrack(&["config", "reference"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
