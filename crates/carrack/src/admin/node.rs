//! `carrack node`.

use clap::Subcommand;
use serde::Serialize;
use wire::remoting::body::NodeInfo;

use super::{
    servers::Servers,
    show::{self, Rows},
};
use crate::{cli::ServerOptions, exit::Failure};

/// What to do with nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List the nodes of the server's cluster
    List {
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Have producers send to other nodes; what the node has is still consumed
    Drain {
        /// Name of the node
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Have producers send to the node again
    Admit {
        /// Name of the node
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Take a drained node out for good, once all that it has is consumed; it ends by itself
    Remove {
        /// Name of the node
        name: String,
        /// Take it out although messages are lost
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        server: ServerOptions,
    },
}

#[derive(Serialize)]
struct Shown {
    node: String,
    number: u16,
    /// `null` where it is for all instances without nodes of their own.
    instance: Option<String>,
    version: String,
    addresses: Vec<String>,
    live: bool,
    sends: bool,
    /// Why changes of topics and groups are refused; `null` where they are not.
    lock: Option<String>,
    /// Messages that are not consumed, of a drained node.
    unconsumed: Option<u64>,
}

impl From<NodeInfo> for Shown {
    fn from(info: NodeInfo) -> Self {
        Self {
            node: info.name,
            number: info.number,
            instance: info.instance,
            version: info.version,
            addresses: info.addresses,
            live: info.is_live,
            sends: info.sends,
            lock: info.lock,
            unconsumed: info.unconsumed,
        }
    }
}

pub(super) async fn run(command: NodeCommand) -> Result<(), Failure> {
    match command {
        NodeCommand::List { server } => list(&server).await,
        NodeCommand::Drain { name, server } => offer(&name, false, &server).await,
        NodeCommand::Admit { name, server } => offer(&name, true, &server).await,
        NodeCommand::Remove {
            name,
            force,
            server,
        } => {
            let servers = Servers::connect(&server).await?;
            servers.entry().remove_node(&name, force).await?;
            let json = serde_json::json!({ "node": name, "removed": true });
            show::answer(server.output, &json, || format!("node {name} taken out\n"))
        }
    }
}

async fn offer(name: &str, sends: bool, server: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(server).await?;
    servers.entry().offer_node(name, sends).await?;
    let json = serde_json::json!({ "node": name, "sends": sends });
    show::answer(server.output, &json, || match sends {
        true => format!("node {name} is sent to\n"),
        false => format!("node {name} is sent to no more\n"),
    })
}

async fn list(options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let nodes = servers.entry().nodes().await?;
    let nodes: Vec<Shown> = nodes.into_iter().map(Into::into).collect();
    show::answer(options.output, &nodes, || {
        let columns = [
            "NODE",
            "NUMBER>",
            "INSTANCE",
            "VERSION",
            "ADDRESS",
            "STATE",
            "UNCONSUMED>",
        ];
        let mut rows = Rows::new(&columns);
        for node in &nodes {
            let state = match (node.live, node.sends) {
                (false, _) => "away",
                (true, true) => "in service",
                (true, false) => "drained",
            };
            let unconsumed = node.unconsumed.map(|count| count.to_string());
            rows.push([
                node.node.clone(),
                node.number.to_string(),
                node.instance.clone().unwrap_or_else(|| "-".to_owned()),
                node.version.clone(),
                node.addresses.first().cloned().unwrap_or_default(),
                state.to_owned(),
                unconsumed.unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        rows.text()
    })
}
