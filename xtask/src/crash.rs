//! Crash tests on real processes: `kill -9` under load, a full disk, the order of system calls, and
//! clients that do not behave.
//!
//! They run the binary as an operator would and judge only what clients see. What a power cut does
//! to unsynced data is the simulation's matter: `kill -9` spares the page cache, which is why the
//! system calls of a send are looked at too.

mod bad_clients;
mod chance;
mod full_disk;
mod kill;
mod ledger;
mod lite_topics;
mod load;
mod message;
mod outlet;
mod reader;
mod server;
mod system_calls;
mod timers;
mod trace;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::workspace;

pub(crate) use self::bad_clients::run as bad_clients;
pub(crate) use self::full_disk::run as full_disk;
pub(crate) use self::kill::run as kill;
pub(crate) use self::lite_topics::{Sizes as LiteTopicSizes, run as lite_topics};
pub(crate) use self::system_calls::run as system_calls;
pub(crate) use self::timers::run as timers;

/// What every crash test needs to know.
#[derive(Clone, clap::Args)]
pub(crate) struct Options {
    /// The server to test; by default the release build.
    #[arg(long, value_name = "PATH", default_value_os_t = release_build())]
    server_binary: PathBuf,
    /// Repeats the choices of a run; by default a new one, which is printed.
    #[arg(long)]
    seed: Option<u64>,
}

impl Options {
    /// Tests this binary with a new seed.
    pub(crate) fn new(server_binary: PathBuf) -> Self {
        Self {
            server_binary,
            seed: None,
        }
    }

    /// The seed of this run, which is printed: without it nobody can repeat a failure.
    fn seed(&self) -> u64 {
        let seed = self.seed.unwrap_or_else(chance::new_seed);
        println!("seed {seed}");
        seed
    }
}

fn release_build() -> PathBuf {
    workspace::root().join("target/release/carrack")
}

/// The runtime of the clients.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime of the clients")
}
