//! The released clients, and how their drivers are started.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::features::{self, Feature, Lack};

/// The protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// The binary protocol of 4.x and 5.x Remoting clients.
    Remoting,
    /// gRPC `apache.rocketmq.v2`.
    Grpc,
    /// The HTTP plane of ONS.
    OnsHttp,
    /// gRPC `apache.rocketmq.v1`.
    GrpcV1,
}

/// How a consumer gets its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerKind {
    /// The library calls a listener.
    Push,
    /// The application receives and acknowledges.
    Simple,
    /// The application polls and commits offsets.
    LitePull,
}

impl ConsumerKind {
    /// The name in commands and results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Simple => "simple",
            Self::LitePull => "lite-pull",
        }
    }

    /// Whether a message that is not acknowledged comes back to this consumer by itself.
    pub(crate) fn retries(self) -> bool {
        match self {
            Self::Push | Self::Simple => true,
            Self::LitePull => false,
        }
    }
}

/// The package manager and runtime of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Language {
    /// Maven; all Java drivers are built at once.
    Java,
    /// pip, in a virtual environment.
    Python,
    /// npm.
    Nodejs,
    /// The Go tool.
    Go,
    /// Cargo, in a workspace of its own.
    Rust,
}

/// A released client.
#[derive(Debug)]
pub(crate) struct Client {
    /// The name on the command line and in results.
    pub(crate) name: &'static str,
    /// The package and version.
    pub(crate) package: &'static str,
    /// What it speaks.
    pub(crate) protocol: Protocol,
    /// What its driver is built with.
    pub(crate) language: Language,
    /// Where its driver is built, below `conformance/`; clients that are built at once share it.
    pub(crate) folder: &'static str,
    /// The consumers that it offers.
    pub(crate) consumers: &'static [ConsumerKind],
    /// Whether it hands the application compressed bodies as they come; see
    /// `conformance/FINDINGS.md`.
    pub(crate) leaves_bodies_compressed: bool,
    /// Whether bodies are text to it, which it cannot say of all bytes.
    pub(crate) takes_text_only: bool,
    /// What the library cannot do.
    pub(crate) lacks: &'static [Lack],
    /// Where its traces go.
    pub(crate) trace_topic: &'static str,
}

/// Where the traces of Apache's clients go.
const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";

/// Every client, in the order of the results.
pub(crate) const CLIENTS: &[Client] = &[
    Client {
        name: "java-remoting-4",
        package: "Java rocketmq-client 4.9.8",
        protocol: Protocol::Remoting,
        language: Language::Java,
        folder: "java",
        consumers: &[ConsumerKind::Push, ConsumerKind::LitePull],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: features::REMOTING_4,
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "java-remoting-5",
        package: "Java rocketmq-client 5.5.0",
        protocol: Protocol::Remoting,
        language: Language::Java,
        folder: "java",
        consumers: &[ConsumerKind::Push, ConsumerKind::LitePull],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: &[],
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "ons-nodejs",
        package: "Node.js ali-ons 3.12.0",
        protocol: Protocol::Remoting,
        language: Language::Nodejs,
        folder: "ons-nodejs",
        consumers: &[ConsumerKind::Push],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: &[
            (Feature::Ordered, "its consumer has no ordered listener"),
            (Feature::Transactions, "it has no half messages"),
            (
                Feature::Recall,
                "it shows no recall handle and has no recall",
            ),
            (Feature::Batch, "it sends one message a request"),
            (Feature::RequestReply, "it has no requests"),
            (Feature::Trace, "it writes no traces"),
            (
                Feature::NamespaceHidden,
                "its application sees topics with their namespace",
            ),
        ],
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "rust-remoting",
        package: "Rust rocketmq-client-rust 1.0.0",
        protocol: Protocol::Remoting,
        language: Language::Rust,
        folder: "rust-remoting",
        consumers: &[ConsumerKind::Push, ConsumerKind::LitePull],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: &[],
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "go-remoting",
        package: "Go rocketmq-client-go/v2 2.1.2",
        protocol: Protocol::Remoting,
        language: Language::Go,
        folder: "go",
        consumers: &[ConsumerKind::Push, ConsumerKind::LitePull],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: features::REMOTING_GO,
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "java-remoting-3",
        package: "Java rocketmq-client 3.6.2.Final",
        protocol: Protocol::Remoting,
        language: Language::Java,
        folder: "java",
        consumers: &[ConsumerKind::Push, ConsumerKind::LitePull],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: features::REMOTING_3,
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "java-ons-1",
        package: "Java ons-client 1.8.8.8.Final",
        protocol: Protocol::Remoting,
        language: Language::Java,
        folder: "java",
        consumers: &[ConsumerKind::Push, ConsumerKind::LitePull],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: features::ONS_1,
        trace_topic: "rmq_sys_TRACE_DATA_conformance",
    },
    Client {
        name: "java-ons-2",
        package: "Java ons-client 2.0.5.Final",
        protocol: Protocol::GrpcV1,
        language: Language::Java,
        folder: "java",
        consumers: &[ConsumerKind::Push],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: features::ONS_2,
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "java-grpc",
        package: "Java rocketmq-client-java 5.2.0",
        protocol: Protocol::Grpc,
        language: Language::Java,
        folder: "java",
        consumers: &[ConsumerKind::Push, ConsumerKind::Simple],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: features::GRPC,
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "python",
        package: "Python rocketmq-python-client 5.1.2",
        protocol: Protocol::Grpc,
        language: Language::Python,
        folder: "python",
        consumers: &[ConsumerKind::Push, ConsumerKind::Simple],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: features::GRPC_PYTHON,
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "nodejs",
        package: "Node.js rocketmq-client-nodejs 1.0.8",
        protocol: Protocol::Grpc,
        language: Language::Nodejs,
        folder: "nodejs",
        consumers: &[ConsumerKind::Push, ConsumerKind::Simple],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: features::GRPC_NODEJS,
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "go",
        package: "Go rocketmq-clients/golang/v5 5.1.4",
        protocol: Protocol::Grpc,
        language: Language::Go,
        folder: "go",
        consumers: &[ConsumerKind::Push, ConsumerKind::Simple],
        leaves_bodies_compressed: false,
        takes_text_only: false,
        lacks: features::GRPC_GO,
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "rust",
        package: "Rust rocketmq 5.0.0",
        protocol: Protocol::Grpc,
        language: Language::Rust,
        folder: "rust",
        consumers: &[ConsumerKind::Simple],
        leaves_bodies_compressed: true,
        takes_text_only: false,
        lacks: features::GRPC_RUST,
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "java-ons-http",
        package: "Java mq-http-sdk 1.0.3.2",
        protocol: Protocol::OnsHttp,
        language: Language::Java,
        folder: "java",
        consumers: &[ConsumerKind::Simple],
        leaves_bodies_compressed: false,
        takes_text_only: true,
        lacks: features::ONS_HTTP,
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "ons-http-python",
        package: "Python mq_http_sdk 1.0.3",
        protocol: Protocol::OnsHttp,
        language: Language::Python,
        folder: "ons-http-python",
        consumers: &[ConsumerKind::Simple],
        leaves_bodies_compressed: false,
        takes_text_only: true,
        lacks: features::ONS_HTTP,
        trace_topic: TRACE_TOPIC,
    },
    Client {
        name: "ons-http-nodejs",
        package: "Node.js @aliyunmq/mq-http-sdk 1.0.4",
        protocol: Protocol::OnsHttp,
        language: Language::Nodejs,
        folder: "ons-http-nodejs",
        consumers: &[ConsumerKind::Simple],
        leaves_bodies_compressed: false,
        takes_text_only: true,
        lacks: features::ONS_HTTP,
        trace_topic: TRACE_TOPIC,
    },
];

impl Client {
    /// The consumer that stands for the others where a scenario is about something else.
    pub(crate) fn main_consumer(&self) -> Option<ConsumerKind> {
        self.consumers.first().copied()
    }

    /// Whether stopping this consumer in the orderly way waits for its long polls, 20 s each time.
    pub(crate) fn stops_slowly(&self, kind: ConsumerKind) -> bool {
        self.protocol == Protocol::Grpc && kind == ConsumerKind::Push
    }

    /// Why the library cannot do one of these with this kind of consumer, if it cannot.
    pub(crate) fn lack(&self, kind: ConsumerKind, needs: &[Feature]) -> Option<&'static str> {
        let filters = [Feature::TagFilter, Feature::SqlFilter];
        let filtered_pull =
            kind == ConsumerKind::LitePull && needs.iter().any(|need| filters.contains(need));
        let sql_pull = kind == ConsumerKind::LitePull && needs.contains(&Feature::SqlFilter);
        let ordered_push = kind == ConsumerKind::Push && needs.contains(&Feature::Ordered);
        let needed = |feature: &Feature| {
            needs.contains(feature)
                || (filtered_pull && *feature == Feature::FilteredPull)
                || (sql_pull && *feature == Feature::SqlPull)
                || (ordered_push && *feature == Feature::OrderedRetry)
        };
        self.lacks
            .iter()
            .find(|(feature, _)| needed(feature))
            .map(|(_, reason)| *reason)
    }

    /// The command that starts this client's driver, once it is built.
    pub(crate) fn driver(&self, root: &Path, endpoint: &str) -> Command {
        self.command(root, endpoint, "SharedArchiveFile")
    }

    /// The same for a client in Java, which writes [`Self::class_archive`] when it ends.
    pub(crate) fn recorder(&self, root: &Path, endpoint: &str) -> Command {
        self.command(root, endpoint, "ArchiveClassesAtExit")
    }

    /// Where the classes that a client in Java loads are kept for its next processes.
    pub(crate) fn class_archive(&self, root: &Path) -> PathBuf {
        java_products(self.name, root).join("classes.jsa")
    }

    /// The driver of a client in Java.
    pub(crate) fn classes(&self, root: &Path) -> PathBuf {
        let products = java_products(self.name, root);
        products.join(format!("{}-0.jar", java_module(self.name)))
    }

    fn command(&self, root: &Path, endpoint: &str, archive_option: &str) -> Command {
        let products = root.join("target/conformance");
        // Client libraries log below the home folder: they get one of their own.
        let home = products.join("home");
        let mut command = match self.language {
            Language::Java => {
                let archive = self.class_archive(root);
                let mut command = java(&home);
                command.arg(format!("-XX:{archive_option}={}", archive.display()));
                command.args([
                    "-cp",
                    &format!(
                        "{}:{}/lib/*",
                        self.classes(root).display(),
                        java_products(self.name, root).display()
                    ),
                ]);
                command.arg(java_main(self.name));
                command
            }
            Language::Python => {
                let mut command = Command::new(products.join(self.folder).join("bin/python"));
                command.arg(root.join("conformance").join(self.folder).join("driver.py"));
                command
            }
            Language::Nodejs => {
                let mut command = Command::new("node");
                command.arg(root.join("conformance").join(self.folder).join("driver.js"));
                command
            }
            Language::Go => Command::new(products.join(self.folder).join(match self.protocol {
                Protocol::Grpc => "grpc",
                Protocol::GrpcV1 => "grpc_v1",
                Protocol::Remoting => "remoting",
                Protocol::OnsHttp => "ons-http",
            })),
            Language::Rust => Command::new(products.join(self.folder).join("debug/driver")),
        };
        command.args(["--endpoint", endpoint]).env("HOME", home);
        command
    }
}

fn java_module(name: &str) -> &str {
    name.trim_start_matches("java-")
}

fn java_products(name: &str, root: &Path) -> PathBuf {
    root.join("target/conformance/java").join(java_module(name))
}

fn java_main(name: &str) -> String {
    let main = match java_module(name) {
        "grpc" => "grpc.GrpcDriver",
        "ons-1" | "ons-2" => "ons.OnsDriver",
        "ons-http" => "http.OnsHttpDriver",
        "remoting-3" => "remoting3.Remoting3Driver",
        _ => "remoting.RemotingDriver",
    };
    format!("carrack.conformance.{main}")
}

fn java(home: &Path) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        // Standard output is the driver's.
        .args(["-Xlog:disable", "-Xlog:all=error:stderr"])
        .arg(format!("-Duser.home={}", home.display()))
        // A retry topic that appears is consumed soon; by default it takes up to 20 s.
        .arg("-Drocketmq.client.rebalance.waitInterval=2000");
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::scenarios::SCENARIOS;

    fn lacks(name: &str, kind: ConsumerKind, feature: Feature) -> bool {
        let client = CLIENTS.iter().find(|client| client.name == name);
        client.expect("client").lack(kind, &[feature]).is_some()
    }

    #[test]
    fn what_a_listener_lacks_is_no_lack_of_a_consumer_that_receives() {
        assert!(lacks("go", ConsumerKind::Push, Feature::Ordered));
        assert!(!lacks("go", ConsumerKind::Simple, Feature::Ordered));
        assert!(!lacks("java-grpc", ConsumerKind::Push, Feature::Ordered));
    }

    #[test]
    fn what_a_pull_lacks_is_no_lack_of_a_listener() {
        let filter = Feature::TagFilter;
        assert!(lacks("java-ons-1", ConsumerKind::LitePull, filter));
        assert!(!lacks("java-ons-1", ConsumerKind::Push, filter));
    }

    #[test]
    fn only_clients_that_know_lite_topics_are_asked_for_them() {
        let lite = SCENARIOS
            .iter()
            .filter(|scenario| scenario.needs.contains(&Feature::LiteTopics));
        for scenario in lite {
            let asked = |client: &&Client| {
                let mut kinds = client.consumers.iter();
                kinds.any(|kind| scenario.asks(client, *kind))
            };
            for client in CLIENTS.iter().filter(asked) {
                assert_eq!(client.protocol, Protocol::Grpc, "{}", client.name);
            }
        }
    }
}
