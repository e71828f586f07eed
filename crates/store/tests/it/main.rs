//! Each back end of the store against the suite of its trait, and the local log against real files,
//! a disk that fails and a disk that loses power.

#[cfg(test)]
mod allocation;
#[cfg(test)]
mod commit;
#[cfg(test)]
mod committer;
#[cfg(test)]
mod crash_disk;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod etcd;
#[cfg(test)]
mod etcd_process;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod kv_suite;
#[cfg(test)]
mod log_suite;
#[cfg(test)]
mod meta_suite;
#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod read_all;
#[cfg(test)]
mod support;
