//! The members of etcd: which one is asked, and what a failure says of it.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::{
    tls::{self, EtcdTls},
    unavailable,
};
use crate::meta::MetadataError;

/// How long a connection may take to come about.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);

/// How often a connection with something under way is tried, and how long the answer may take:
/// a watch is told nothing for hours. etcd takes one every five seconds at most.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIME_MAX: Duration = Duration::from_secs(5);

/// All members, of which one is asked until it fails.
pub(super) struct Endpoints {
    channels: Vec<Channel>,
    /// Counts on; the member is the remainder.
    current: AtomicUsize,
}

/// The member that was asked.
pub(super) struct Member {
    channel: Channel,
    count: usize,
}

impl Member {
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

impl Endpoints {
    /// Reads addresses; connections come about when they are needed.
    pub(super) fn read(addresses: &[String], tls: Option<&EtcdTls>) -> Result<Self, MetadataError> {
        let connector = tls.map(EtcdTls::connector).transpose()?;
        let expected = match connector {
            Some(_) => "expected https://HOST:PORT of at least one member",
            None => "expected http://HOST:PORT of at least one member",
        };
        if addresses.is_empty() {
            return Err(unavailable(
                "open",
                format!("no address of etcd, {expected}"),
            ));
        }
        let read = |address: &String| {
            let wrong = || unavailable("open", format!("etcd address `{address}`, {expected}"));
            let scheme = match connector {
                Some(_) => "https://",
                None => "http://",
            };
            let authority = address.strip_prefix(scheme).ok_or_else(wrong)?;
            if authority.trim_end_matches('/').contains('/') || authority.is_empty() {
                return Err(wrong());
            }
            let endpoint = Endpoint::from_shared(address.clone()).map_err(|_| wrong())?;
            let endpoint = endpoint
                .connect_timeout(CONNECT_TIME_MAX)
                .http2_keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIME_MAX);
            Ok(match &connector {
                Some(connector) => tls::channel(&endpoint, connector),
                None => endpoint.connect_lazy(),
            })
        };
        let channels: Result<Vec<Channel>, MetadataError> = addresses.iter().map(read).collect();
        Ok(Self {
            channels: channels?,
            current: AtomicUsize::new(0),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.channels.len()
    }

    pub(super) fn current(&self) -> Member {
        let count = self.current.load(Ordering::Relaxed);
        Member {
            channel: self.channels[count % self.channels.len()].clone(),
            count,
        }
    }

    /// Asks the next member from now on, if this one is still the one that is asked.
    pub(super) fn leave(&self, member: &Member) {
        let (count, next) = (member.count, member.count.wrapping_add(1));
        let order = Ordering::Relaxed;
        // Somebody else may have left it in this moment.
        let _ = self.current.compare_exchange(count, next, order, order);
    }
}

/// Whether another member may answer where this one did not.
pub(super) fn is_members_fault(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Cancelled | Code::Unknown | Code::DeadlineExceeded
    )
}

/// Whether the request certainly reached nobody.
pub(super) fn was_never_sent(status: &Status) -> bool {
    causes(status).any(|cause| {
        let failed = cause.downcast_ref::<io::Error>();
        failed.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    })
}

/// What a failure says, with the innermost cause where it says nothing itself.
pub(super) fn reason(status: &Status) -> String {
    match causes(status).last() {
        Some(cause) => format!("etcd: {}: {cause}", status.message()),
        None => format!("etcd: {}", status.message()),
    }
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let first = std::error::Error::source(status);
    std::iter::successors(first, |cause| cause.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_of_plain_http() {
        let read = |addresses: &[&str]| {
            let addresses: Vec<String> = addresses.iter().map(|it| (*it).to_owned()).collect();
            Endpoints::read(&addresses, None).map(|read| read.len())
        };
        assert_eq!(
            read(&["http://127.0.0.1:2379", "http://etcd-2:2379/"]).unwrap(),
            2
        );
        for wrong in [
            "https://a:1",
            "a:1",
            "http://",
            "http://a:1/v3",
            "http://a b",
        ] {
            let error = read(&[wrong]).unwrap_err().to_string();
            assert!(error.contains("expected http://HOST:PORT"), "{error}");
        }
        assert!(read(&[]).is_err());
    }
}
