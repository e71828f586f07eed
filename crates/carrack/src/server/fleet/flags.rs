//! The flags of `carrack fleet`: those of a server, and what it does with nodes.

use std::{num::NonZeroUsize, path::PathBuf, str::FromStr};

use clap::Args;

use crate::config::ServerFlags;

/// What a fleet is started with.
#[derive(Clone, Debug, Args)]
pub(crate) struct FleetFlags {
    #[command(flatten)]
    pub(crate) server: ServerFlags,
    #[command(flatten)]
    pub(crate) options: FleetOptions,
}

/// What a fleet does with nodes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Nodes")]
pub(crate) struct FleetOptions {
    /// Ports for nodes, which take two each: PORT and PORT - 2
    #[arg(
        long,
        value_name = "FROM-TO",
        env = "CARRACK_NODE_PORTS",
        hide_env_values = true,
        default_value = "20000-20999"
    )]
    pub(crate) node_ports: Ports,
    /// Public key files (minisign) of those who may sign releases [default: the key of the first
    /// release that is published]
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        value_delimiter = ',',
        env = "CARRACK_RELEASE_KEYS",
        hide_env_values = true
    )]
    pub(crate) release_keys: Vec<PathBuf>,
    /// Nodes that all instances share that have none of their own
    #[arg(
        long,
        value_name = "COUNT",
        env = "CARRACK_SHARED_NODES",
        hide_env_values = true,
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(0..=64)
    )]
    pub(crate) shared_nodes: u16,
    /// Nodes of a new instance of the edition ultimate where nobody says how many
    #[arg(
        long,
        value_name = "COUNT",
        env = "CARRACK_PLATINUM_NODES",
        hide_env_values = true,
        default_value_t = 2,
        value_parser = clap::value_parser!(u16).range(2..=64)
    )]
    pub(crate) platinum_nodes: u16,
    /// Nodes of an instance that an update restarts at the same time
    #[arg(
        long,
        value_name = "COUNT",
        env = "CARRACK_NODES_UPDATED_AT_ONCE",
        hide_env_values = true,
        default_value = "1"
    )]
    pub(crate) nodes_updated_at_once: NonZeroUsize,
    /// Seconds that senders are given to go to other nodes before a node is stopped: clients look
    /// at their routes every 30 s
    #[arg(
        long,
        value_name = "SECONDS",
        env = "CARRACK_NODE_DRAIN_SECONDS_MAX",
        hide_env_values = true,
        default_value_t = 35,
        value_parser = clap::value_parser!(u64).range(0..=600)
    )]
    pub(crate) node_drain_seconds_max: u64,
    /// Time zone of maintenance windows of new instances, e.g. Asia/Shanghai
    #[arg(
        long,
        value_name = "ZONE",
        env = "CARRACK_TIME_ZONE",
        hide_env_values = true,
        default_value = "UTC"
    )]
    pub(crate) time_zone: String,
    /// Stop all nodes of the data folder, and its etcd, instead of running them; the next start of
    /// the fleet brings them back
    #[arg(long)]
    pub(crate) halt: bool,
}

/// A range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) from: u16,
    pub(crate) to: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ports = text.split_once('-').and_then(|(from, to)| {
            Some(Self {
                from: from.trim().parse().ok()?,
                to: to.trim().parse().ok()?,
            })
        });
        // A node takes a port and the one two below.
        let fits = |ports: &Self| ports.from > 0 && ports.to.checked_sub(ports.from) >= Some(2);
        let ports = ports.filter(fits);
        ports.ok_or_else(|| format!("is `{text}`, expected FROM-TO, three ports at least"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ports_are_read_or_refused() {
        let ports = "20000-20999".parse::<Ports>().unwrap();
        assert_eq!((ports.from, ports.to), (20_000, 20_999));
        for wrong in ["", "1", "5-6", "9-7", "0-9", "a-b", "1-70000"] {
            assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
        }
    }
}
