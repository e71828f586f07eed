//! The load generator against the server.

use crate::support::Server;

/// Measures for some seconds, after 0.1 s of warm-up.
fn measure<'a>(
    server: &Server,
    what: &'a str,
    seconds: &'a str,
    more: &[&'a str],
) -> serde_json::Value {
    let mut arguments = vec!["bench", what, "--duration", seconds, "--warmup", "0.1"];
    arguments.extend(more);
    server.json(&arguments)
}

#[test]
fn sends_are_counted_as_the_queues_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for (topic, more) in [
        ("plain", &[][..]),
        (
            "json",
            &[
                "--headers",
                "json",
                "--connections",
                "2",
                "--in-flight",
                "4",
            ],
        ),
        ("batch", &["--batch", "10", "--size", "100"]),
        ("fifo", &["--message-type", "fifo"]),
        ("transaction", &["--message-type", "transaction"]),
        ("tls", &["--tls", "--threads", "2"]),
        ("grpc", &["--protocol", "grpc", "--in-flight", "8"]),
        (
            "grpc-fifo",
            &["--protocol", "grpc", "--message-type", "fifo"],
        ),
        (
            "grpc-tls",
            &["--protocol", "grpc", "--tls", "--in-flight", "8"],
        ),
    ] {
        let mut arguments = vec!["--topic", topic, "--queues", "3"];
        arguments.extend(more);
        let report = measure(&server, "send", "0.5", &arguments);
        assert_eq!(report["failed"], 0, "{report:#}");
        assert_eq!(report["check"]["result"], "passed", "{report:#}");
        let confirmed = report["confirmed"].as_u64().unwrap();
        assert!(confirmed > 0, "{report:#}");
        let described = server.json(&["topic", "describe", topic]);
        assert_eq!(described["queues"], 3);
        assert_eq!(described["messages"].as_u64(), Some(confirmed));
    }
}

#[test]
fn a_fixed_rate_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let report = measure(&server, "send", "1", &["--rate", "100"]);
    // 100 a second for 1.1 s, whatever the machine does meanwhile: sends that are late are sent.
    assert_eq!(report["confirmed"], 110, "{report:#}");
    assert_eq!(report["not_begun"], 0);
    assert_eq!(report["latency"]["count"], 100, "{report:#}");
    assert_eq!(report["options"]["rate"], 100.0);
    assert!(report["machine"]["cpus"].as_u64() > Some(0));
    let version = report["server_version"].as_str().unwrap();
    assert!(version.starts_with("Carrack "), "{version}");
}

#[test]
fn what_was_sent_is_received() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let sent = measure(&server, "send", "0.5", &["--in-flight", "8"])["confirmed"]
        .as_u64()
        .unwrap();
    for (group, protocol) in [("pullers", "remoting"), ("poppers", "grpc")] {
        let arguments = ["--until-end", "--group", group, "--protocol", protocol];
        let report = measure(&server, "receive", "60", &arguments);
        assert_eq!(report["failed"], 0, "{report:#}");
        assert_eq!(report["messages"].as_u64(), Some(sent), "{report:#}");
    }
}

#[test]
fn messages_arrive_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for protocol in ["remoting", "grpc"] {
        let pid = server.id().to_string();
        let arguments = [
            "--protocol",
            protocol,
            "--rate",
            "50",
            "--in-flight",
            "8",
            "--server-pid",
            &pid,
            "--topic",
            protocol,
            "--group",
            protocol,
        ];
        let report = measure(&server, "e2e", "0.5", &arguments);
        assert_eq!(report["check"]["result"], "passed", "{report:#}");
        assert_eq!(report["check"]["found"], 30, "{report:#}");
        assert_eq!(report["latency"]["count"], 25, "{report:#}");
        assert!(
            report["usage"]["server_memory_bytes"].as_u64() > Some(0),
            "{report:#}"
        );
    }
}
