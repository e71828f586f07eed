//! Named values that administrators keep beside topics and groups: RocketMQ's *kv config* of the
//! name server. The one that means something here is the order of queues of a topic, which routes
//! carry ([`ORDER_NAMESPACE`]); the others are only kept.
//!
//! A namespace is one entry of the metadata store, see `metadata.rs`.

use std::collections::BTreeMap;

use base::{ErrorKind, limits};
use store::meta::MetadataError;

use crate::Instance;

/// The namespace whose keys are topics and whose values are the order of their queues.
pub const ORDER_NAMESPACE: &str = "ORDER_TOPIC_CONFIG";

/// Why a value was not changed.
#[derive(Debug, thiserror::Error)]
pub enum KvConfigError {
    /// A text is longer than it may be, or empty.
    #[error("{part} has {bytes} bytes, expected 1 to {max}")]
    Length {
        /// `namespace`, `key` or `value`.
        part: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A namespace is made of letters that a key of the metadata store can have.
    #[error("namespace `{namespace}` has other characters than letters, digits, `_`, `-` and `.`")]
    Namespace {
        /// The namespace, shortened.
        namespace: String,
    },
    /// The namespace is full.
    #[error("namespace `{namespace}` has {count} keys, limit {limit}")]
    TooMany {
        /// The namespace.
        namespace: String,
        /// Keys there are.
        count: usize,
        /// Keys there may be.
        limit: usize,
    },
    /// There are as many namespaces as there may be.
    #[error("there are {limit} namespaces, which is the limit")]
    TooManyNamespaces {
        /// Namespaces there may be.
        limit: usize,
    },
    /// The metadata store did not take it.
    #[error("write namespace `{namespace}`")]
    Metadata {
        /// The namespace.
        namespace: String,
        /// What the store said.
        #[source]
        source: MetadataError,
    },
}

impl KvConfigError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Length { .. } | Self::Namespace { .. } => ErrorKind::Request,
            Self::TooMany { .. } | Self::TooManyNamespaces { .. } => ErrorKind::Limit,
            Self::Metadata { .. } => ErrorKind::Retry,
        }
    }
}

fn check(part: &'static str, text: &str, max: usize) -> Result<(), KvConfigError> {
    let bytes = text.len();
    if bytes == 0 || bytes > max {
        return Err(KvConfigError::Length { part, bytes, max });
    }
    Ok(())
}

fn check_namespace(namespace: &str) -> Result<(), KvConfigError> {
    check("namespace", namespace, limits::KV_CONFIG_NAME_BYTES_MAX)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !namespace.chars().all(fits) {
        let namespace = namespace.chars().take(64).collect();
        return Err(KvConfigError::Namespace { namespace });
    }
    Ok(())
}

impl Instance {
    /// One value.
    pub fn kv_config(&self, namespace: &str, key: &str) -> Option<String> {
        self.catalogue.kv_config(namespace)?.get(key).cloned()
    }

    /// All values of a namespace; `None` if there is none.
    pub fn kv_configs(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        let values = self.catalogue.kv_config(namespace)?;
        Some((*values).clone())
    }

    /// Sets a value.
    ///
    /// # Errors
    /// When a limit is passed, or the metadata store does not take it.
    pub async fn put_kv_config(
        &self,
        namespace: &str,
        key: &str,
        value: &str,
    ) -> Result<(), KvConfigError> {
        check_namespace(namespace)?;
        check("key", key, limits::KV_CONFIG_NAME_BYTES_MAX)?;
        check("value", value, limits::KV_CONFIG_VALUE_BYTES_MAX)?;
        self.change_kv_config(namespace, |values| {
            let limit = limits::KV_CONFIG_KEYS_MAX;
            if values.len() >= limit && !values.contains_key(key) {
                return Err(KvConfigError::TooMany {
                    namespace: namespace.to_owned(),
                    count: values.len(),
                    limit,
                });
            }
            values.insert(key.to_owned(), value.to_owned());
            Ok(())
        })
        .await
    }

    /// Removes a value; one that is not there is removed already.
    ///
    /// # Errors
    /// When the metadata store does not take it.
    pub async fn delete_kv_config(&self, namespace: &str, key: &str) -> Result<(), KvConfigError> {
        check_namespace(namespace)?;
        self.change_kv_config(namespace, |values| {
            values.remove(key);
            Ok(())
        })
        .await
    }

    async fn change_kv_config(
        &self,
        namespace: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), KvConfigError>,
    ) -> Result<(), KvConfigError> {
        let _change = self.catalogue.change().await;
        let before = self.catalogue.kv_config(namespace);
        let limit = limits::KV_CONFIG_NAMESPACES_MAX;
        if before.is_none() && self.catalogue.kv_namespace_count() >= limit {
            return Err(KvConfigError::TooManyNamespaces { limit });
        }
        let before = before.unwrap_or_default();
        let mut values = (*before).clone();
        change(&mut values)?;
        if *before == values {
            return Ok(());
        }
        self.catalogue
            .put_kv_config(namespace, values)
            .await
            .map_err(|source| KvConfigError::Metadata {
                namespace: namespace.to_owned(),
                source,
            })
    }
}
