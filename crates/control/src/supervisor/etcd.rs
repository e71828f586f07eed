//! An etcd of one member that the control process runs for itself, as it runs nodes: it outlives
//! the control process, and the next one finds it.
//!
//! ```text
//! ports     which ports it has, on the loopback device; kept, as its data names them
//! data/     its own
//! ```

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use base::Clock;
use serde::{Deserialize, Serialize};
use store::fs::replace_file;

use super::process::{Launch, Process};
use crate::{NodeName, Version};

/// Its program, where there is one.
pub(super) const PROGRAM: &str = "etcd";

const PORTS_FILE: &str = "ports";

/// Past states of keys that it keeps: more than a node that watches is ever behind.
const REVISIONS_KEPT: &str = "100000";

/// Why there is no etcd.
#[derive(Debug, thiserror::Error)]
pub enum OwnEtcdError {
    /// It is not installed.
    #[error(
        "no program `etcd` found in the folders of PATH: install it (Debian's `etcd-server`), or \
         name one that runs with `--etcd`"
    )]
    NotInstalled,
    /// Its ports cannot be found or kept.
    #[error("keep the ports of etcd in `{folder}`")]
    Ports {
        /// Its folder.
        folder: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// It does not start.
    #[error("start etcd, whose output is in `{output}`")]
    Start {
        /// Where its output is.
        output: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Ports {
    client: u16,
    peer: u16,
}

/// An etcd that is run here.
#[derive(Debug)]
pub struct OwnEtcd {
    name: NodeName,
    program: PathBuf,
    folder: PathBuf,
    output: PathBuf,
    version: Version,
    arguments: Vec<String>,
    endpoint: String,
}

impl OwnEtcd {
    /// The etcd whose data is in `folder`, which is made if it is not there, and whose output goes
    /// to the file `output`. `path` is the variable `PATH`; `version` is that of the program that
    /// starts it. It need not run yet, see [`OwnEtcd::keep_running`].
    pub fn open(
        path: &std::ffi::OsStr,
        folder: &Path,
        output: &Path,
        version: Version,
    ) -> Result<Self, OwnEtcdError> {
        let programs = std::env::split_paths(path).map(|folder| folder.join(PROGRAM));
        let program = programs.into_iter().find(|program| program.is_file());
        let program = program.ok_or(OwnEtcdError::NotInstalled)?;
        let ports = ports(folder).map_err(|source| OwnEtcdError::Ports {
            folder: folder.to_owned(),
            source,
        })?;
        let endpoint = url(ports.client);
        let peer = url(ports.peer);
        let data = folder.join("data").display().to_string();
        let arguments = [
            ("--name", "carrack"),
            ("--data-dir", &data),
            ("--listen-client-urls", &endpoint),
            ("--advertise-client-urls", &endpoint),
            ("--listen-peer-urls", &peer),
            ("--initial-advertise-peer-urls", &peer),
            ("--initial-cluster", &format!("carrack={peer}")),
            ("--auto-compaction-mode", "revision"),
            ("--auto-compaction-retention", REVISIONS_KEPT),
            ("--logger", "zap"),
            ("--log-outputs", "stderr"),
        ];
        let arguments = arguments.into_iter();
        let arguments = arguments.flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()]);
        Ok(Self {
            name: NodeName::new(PROGRAM),
            program,
            folder: folder.to_owned(),
            output: output.to_owned(),
            version,
            arguments: arguments.collect(),
            endpoint,
        })
    }

    /// Where clients find it, as a URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Starts it if it does not run. It may need a moment until it serves. To be called from time
    /// to time, and where tokio runs. Says whether it was started.
    pub async fn keep_running(&self, clock: &dyn Clock) -> Result<bool, OwnEtcdError> {
        let failed = |source| OwnEtcdError::Start {
            output: self.output.clone(),
            source,
        };
        let found = Process::find(&self.name, &self.folder).map_err(failed)?;
        if found.is_some() {
            return Ok(false);
        }
        let launch = Launch {
            name: &self.name,
            folder: &self.folder,
            output: &self.output,
            arguments: &self.arguments,
            binary: &self.program,
            version: self.version,
        };
        Process::start(launch, clock).await.map_err(failed)?;
        tracing::info!(endpoint = self.endpoint, "etcd started");
        Ok(true)
    }

    /// Stops it in order.
    pub async fn stop(&self, clock: &dyn Clock) -> Result<(), OwnEtcdError> {
        let stopped = async {
            match Process::find(&self.name, &self.folder)? {
                Some(process) => process.stop(clock).await,
                None => Ok(()),
            }
        };
        stopped.await.map_err(|source| OwnEtcdError::Start {
            output: self.output.clone(),
            source,
        })
    }
}

fn url(port: u16) -> String {
    format!("http://{}:{port}", Ipv4Addr::LOCALHOST)
}

/// The ports that it has, or free ones that are kept from now on.
fn ports(folder: &Path) -> io::Result<Ports> {
    fs::create_dir_all(folder)?;
    let path = folder.join(PORTS_FILE);
    match fs::read(&path) {
        Ok(bytes) => return serde_json::from_slice(&bytes).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // Both are held until both are known.
    let (client, peer) = (free()?, free()?);
    let ports = Ports {
        client: client.local_addr()?.port(),
        peer: peer.local_addr()?.port(),
    };
    replace_file(&path, &serde_json::to_vec(&ports)?)?;
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_world::RealClock;

    fn version() -> Version {
        "5.0-rmq-20230329".parse().expect("a version")
    }

    #[tokio::test]
    async fn an_etcd_outlives_who_started_it_and_keeps_its_ports() {
        let folder = tempfile::tempdir().unwrap();
        let (data, output) = (folder.path().join("etcd"), folder.path().join("etcd.log"));
        let path = std::env::var_os("PATH").unwrap();
        let first = OwnEtcd::open(&path, &data, &output, version()).unwrap();
        assert!(first.keep_running(&RealClock).await.unwrap());
        assert!(!first.keep_running(&RealClock).await.unwrap());
        let second = OwnEtcd::open(&path, &data, &output, version()).unwrap();
        assert_eq!(second.endpoint(), first.endpoint());
        assert!(!second.keep_running(&RealClock).await.unwrap());
        second.stop(&RealClock).await.unwrap();
        assert!(second.keep_running(&RealClock).await.unwrap());
        assert_eq!(
            super::super::halt(folder.path(), &RealClock).await.unwrap(),
            1
        );
        assert!(Process::find(&first.name, &data).unwrap().is_none());
    }

    #[test]
    fn without_an_etcd_it_is_said_where_to_find_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().as_os_str();
        let error = OwnEtcd::open(path, folder.path(), &folder.path().join("log"), version());
        let error = error.unwrap_err();
        assert!(matches!(error, OwnEtcdError::NotInstalled), "{error}");
        assert!(error.to_string().contains("etcd-server"), "{error}");
    }
}
