//! The real binary, run as people run it.

#[cfg(test)]
mod access;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod config;
#[cfg(test)]
#[path = "../../../store/tests/it/etcd_process.rs"]
mod etcd_process;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod fleet_parts;
#[cfg(test)]
mod instance;
#[cfg(test)]
mod metering;
#[cfg(test)]
mod own_nodes;
#[cfg(test)]
mod server;
#[cfg(test)]
mod support;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod usage;
