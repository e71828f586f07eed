//! Which instance a request belongs to, settled once, from the names in it.
//!
//! Clients with an instance put its id before their names: `<instance>%name`, and in retry and
//! dead-letter topics before the group: `%RETRY%<instance>%group`. A prefix that names an instance
//! is taken off here and put back in answers; one that names none is part of the plain name. Names
//! without a prefix belong to the default instance, unless another name of the request says
//! otherwise.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use base::{InstanceId, NameError};
use broker::{Instance, InstanceNotFound};

use crate::front::{ConnectionInfo, Front};

/// Why a request belongs to no instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InstanceError {
    /// The default instance is not there.
    #[error(transparent)]
    NotFound(#[from] InstanceNotFound),
    /// Two names name different ones.
    #[error("request names two instances, `{first}` and `{second}`")]
    Disagree {
        /// One of them.
        first: InstanceId,
        /// The other.
        second: InstanceId,
    },
    /// The address of the client is not among those that the instance lets in.
    #[error(
        "instance `{instance}` lets nobody in from {from}: it is not in its IP whitelist, or of \
         the Internet, to which the instance is not open"
    )]
    NotLetIn {
        /// The instance.
        instance: InstanceId,
        /// The address.
        from: IpAddr,
    },
    /// A name breaks the rules for names.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// A name without the prefix of its instance.
pub(crate) struct PlainName<'a> {
    /// The instance that the prefix names.
    pub(crate) instance: Option<Arc<Instance>>,
    /// The name inside the instance.
    pub(crate) plain: Cow<'a, str>,
}

/// What may stand before the instance in a topic.
const TOPIC_PREFIXES: [&str; 2] = ["%RETRY%", "%DLQ%"];

fn after_topic_prefix(name: &str) -> (&str, &str) {
    let prefix = TOPIC_PREFIXES
        .into_iter()
        .find(|prefix| name.starts_with(prefix));
    name.split_at(prefix.map_or(0, str::len))
}

/// `name` as a client of `instance` writes it; the inverse of [`Front::plain_name`].
pub(crate) fn prefixed(instance: &InstanceId, name: &str) -> String {
    let (prefix, rest) = after_topic_prefix(name);
    format!("{prefix}{instance}%{rest}")
}

impl Front {
    /// Takes the prefix off a topic or group.
    pub(crate) fn plain_name<'a>(&self, name: &'a str) -> PlainName<'a> {
        let (prefix, rest) = after_topic_prefix(name);
        let named = rest.split_once('%').and_then(|(id, plain)| {
            let instance = self.router.instance(&InstanceId::new(id).ok()?).ok()?;
            Some((instance, plain))
        });
        match named {
            None => PlainName {
                instance: None,
                plain: Cow::Borrowed(name),
            },
            Some((instance, plain)) if prefix.is_empty() => PlainName {
                instance: Some(instance),
                plain: Cow::Borrowed(plain),
            },
            Some((instance, plain)) => PlainName {
                instance: Some(instance),
                plain: Cow::Owned(format!("{prefix}{plain}")),
            },
        }
    }

    /// The instance that a namespace beside a name names, if it names one, and the plain name
    /// inside it. A namespace that names no instance is part of the plain name.
    pub(crate) fn name_in(&self, namespace: &str, name: &str) -> (Option<Arc<Instance>>, String) {
        let Ok(id) = InstanceId::new(namespace) else {
            let plain = self.plain_name(name);
            return (plain.instance, plain.plain.into_owned());
        };
        match self.router.instance(&id) {
            Ok(instance) => (Some(instance), name.to_owned()),
            Err(_) => (None, prefixed(&id, name)),
        }
    }

    /// The instance of a request whose names named these, if it lets in who asks. Administration
    /// listeners are for those who keep the lists.
    pub(crate) fn admit<const N: usize>(
        &self,
        connection: &ConnectionInfo,
        named: [Option<Arc<Instance>>; N],
    ) -> Result<Arc<Instance>, InstanceError> {
        let instance = self.settle(named)?;
        let from = connection.peer.ip();
        if connection.admin || instance.access().lets_in(from) {
            return Ok(instance);
        }
        Err(InstanceError::NotLetIn {
            instance: instance.id().clone(),
            from: from.to_canonical(),
        })
    }

    /// The instance of a request whose names named these.
    pub(crate) fn settle<const N: usize>(
        &self,
        named: [Option<Arc<Instance>>; N],
    ) -> Result<Arc<Instance>, InstanceError> {
        let mut settled: Option<Arc<Instance>> = None;
        for instance in named.into_iter().flatten() {
            match &settled {
                Some(first) if first.id() != instance.id() => {
                    return Err(InstanceError::Disagree {
                        first: first.id().clone(),
                        second: instance.id().clone(),
                    });
                }
                _ => settled = Some(instance),
            }
        }
        match settled {
            Some(instance) => Ok(instance),
            None => Ok(self.router.instance(&self.settings.default_instance)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_goes_behind_that_of_retry_topics() {
        let instance = InstanceId::new("mq-1").unwrap();
        assert_eq!(prefixed(&instance, "orders"), "mq-1%orders");
        assert_eq!(prefixed(&instance, "%RETRY%billing"), "%RETRY%mq-1%billing");
        assert_eq!(prefixed(&instance, "%DLQ%billing"), "%DLQ%mq-1%billing");
    }
}
