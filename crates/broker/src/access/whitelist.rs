//! The addresses that are let in to an instance, whoever asks from there. None at all stands for
//! every address.
//!
//! | key | value |
//! | --- | --- |
//! | `instances/<id>/ip-whitelist` | JSON: list of addresses and ranges |

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use base::{InstanceId, limits};
use parking_lot::RwLock;
use store::meta::{Entry, MetadataError, MetadataStore};

use super::{Access, AccessError, SourceRange};
use crate::known::Known;

pub(super) fn key(instance: &InstanceId) -> String {
    format!("instances/{instance}/ip-whitelist")
}

/// The addresses of the entry.
pub(super) fn sources(entry: &Entry) -> Result<Vec<SourceRange>, MetadataError> {
    let texts: Vec<String> =
        serde_json::from_slice(&entry.value).map_err(|error| entry.unreadable(error))?;
    let sources = texts.iter().map(|text| text.parse::<SourceRange>());
    let sources: Result<_, _> = sources.collect();
    sources.map_err(|error| entry.unreadable(error))
}

/// The addresses in memory.
pub(super) struct Whitelist {
    /// Whether there are any: most instances have none, and every request asks.
    is_there: AtomicBool,
    sources: RwLock<Vec<SourceRange>>,
}

impl Whitelist {
    pub(super) async fn read(
        instance: &InstanceId,
        store: &dyn MetadataStore,
        known: &Known,
    ) -> Result<Self, MetadataError> {
        let (entries, revision) = store.range(&key(instance)).await?;
        known.read(&entries, revision);
        let entry = entries.first().map(sources);
        let sources = entry.transpose()?.unwrap_or_default();
        Ok(Self {
            is_there: AtomicBool::new(!sources.is_empty()),
            sources: RwLock::new(sources),
        })
    }
}

impl Access {
    /// The addresses that are let in, in the order in which they were added.
    pub fn whitelist(&self) -> Vec<SourceRange> {
        self.whitelist.sources.read().clone()
    }

    /// Whether requests from there are let in: by the whitelist, and by the plan, which may have no
    /// way from the Internet.
    pub fn lets_in(&self, source: IpAddr) -> bool {
        if !self.planned.lets_in(source) {
            return false;
        }
        // A change counts for requests that begin after it has returned.
        if !self.whitelist.is_there.load(Ordering::Acquire) {
            return true;
        }
        let sources = self.whitelist.sources.read();
        sources.is_empty() || sources.iter().any(|range| range.contains(source))
    }

    /// Lets in from these addresses too. Those that are there already stay.
    ///
    /// # Errors
    /// When there would be too many, or the metadata store refuses.
    pub async fn add_to_whitelist(&self, added: Vec<SourceRange>) -> Result<(), AccessError> {
        let _change = self.changes.lock().await;
        let mut sources = self.whitelist();
        for source in added {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        check_count(&sources)?;
        self.put_whitelist(sources).await
    }

    /// Takes addresses away; `false` and no change if one of them is not there.
    ///
    /// # Errors
    /// When the metadata store refuses.
    pub async fn remove_from_whitelist(&self, gone: &[SourceRange]) -> Result<bool, AccessError> {
        let _change = self.changes.lock().await;
        let mut sources = self.whitelist();
        if gone.iter().any(|source| !sources.contains(source)) {
            return Ok(false);
        }
        sources.retain(|source| !gone.contains(source));
        self.put_whitelist(sources).await?;
        Ok(true)
    }

    /// Lets in from these addresses and no others.
    ///
    /// # Errors
    /// When they are too many, or the metadata store refuses.
    pub async fn set_whitelist(&self, sources: Vec<SourceRange>) -> Result<(), AccessError> {
        let _change = self.changes.lock().await;
        check_count(&sources)?;
        self.put_whitelist(sources).await
    }

    async fn put_whitelist(&self, sources: Vec<SourceRange>) -> Result<(), AccessError> {
        let texts: Vec<String> = sources.iter().map(SourceRange::to_string).collect();
        let value = serde_json::to_vec(&texts).expect("plain data becomes JSON");
        let written = self.write(&key(&self.instance), Some(value)).await;
        written.map_err(|source| AccessError::WhitelistMetadata {
            instance: self.instance.clone(),
            source,
        })?;
        self.set_whitelist_here(sources);
        Ok(())
    }

    pub(super) fn set_whitelist_here(&self, sources: Vec<SourceRange>) {
        let is_there = !sources.is_empty();
        *self.whitelist.sources.write() = sources;
        self.whitelist.is_there.store(is_there, Ordering::Release);
        self.changed();
    }
}

fn check_count(sources: &[SourceRange]) -> Result<(), AccessError> {
    let (count, max) = (sources.len(), limits::IP_WHITELIST_MAX);
    if count > max {
        let what = "addresses in the whitelist";
        return Err(AccessError::TooMany { what, count, max });
    }
    Ok(())
}
