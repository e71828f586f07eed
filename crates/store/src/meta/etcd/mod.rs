//! The metadata store of several nodes: an etcd cluster, over its API of version 3.
//!
//! All keys of one Carrack cluster begin with a prefix of its own, so that several can share an
//! etcd. Every request has a limit in time, no request is made twice unless the first certainly
//! never reached a server, and a member that does not answer is left for the next one. What a
//! reader of the store has in memory stays as it is while etcd is away; changes are refused.
//!
//! Revisions are etcd's own, of the whole store.

mod endpoints;
mod tls;
mod watch;

use std::{sync::Arc, time::Duration};

use base::{Clock, limits};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use tonic::{Code, Status, transport::Channel};

pub use self::tls::EtcdTls;
use self::{
    endpoints::Endpoints,
    proto::{
        Compare, DeleteRangeRequest, KeyValue, LeaseGrantRequest, LeaseKeepAliveRequest,
        LeaseRevokeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, TxnRequest,
        compare::{CompareTarget, TargetUnion},
        kv_client::KvClient,
        lease_client::LeaseClient,
        request_op::Request,
        response_op::Response,
    },
};
use super::{Entry, Expected, LeaseId, MetadataError, MetadataStore, Revision, Watch};

/// Our definitions of etcd's messages, compiled.
#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::enum_variant_names,
    reason = "generated"
)]
mod proto {
    tonic::include_proto!("etcdserverpb");
}

/// Entries asked for at once when reading a range.
const PAGE_ENTRIES: i64 = 256;

/// Largest answer: a page of the largest entries.
const ANSWER_BYTES_MAX: usize = (PAGE_ENTRIES as usize + 1) * limits::METADATA_ENTRY_BYTES_MAX;

/// Where etcd is and which part of it is used.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// Client addresses of its members, `http://HOST:PORT` each, or `https://HOST:PORT` with
    /// `tls`. There is at least one.
    pub endpoints: Vec<String>,
    /// What is needed to reach members over TLS.
    pub tls: Option<EtcdTls>,
    /// What all keys begin with.
    pub prefix: String,
    /// How long a request may take, in which a member that does not answer may be left for the
    /// next one.
    pub request_time_max: Duration,
}

/// Metadata in etcd.
pub struct EtcdMetadata {
    inner: Arc<Inner>,
}

struct Inner {
    endpoints: Endpoints,
    prefix: String,
    clock: Arc<dyn Clock>,
    request_time_max: Duration,
}

impl EtcdMetadata {
    /// A store in etcd, which need not be there yet. To be called within a runtime, in which
    /// connections are kept.
    ///
    /// # Errors
    /// When an address or a file cannot be read.
    pub fn open(options: EtcdOptions, clock: Arc<dyn Clock>) -> Result<Arc<Self>, MetadataError> {
        let endpoints = Endpoints::read(&options.endpoints, options.tls.as_ref())?;
        Ok(Arc::new(Self {
            inner: Arc::new(Inner {
                endpoints,
                prefix: options.prefix,
                clock,
                request_time_max: options.request_time_max,
            }),
        }))
    }
}

fn unavailable(operation: &'static str, reason: impl ToString) -> MetadataError {
    MetadataError::Unavailable {
        operation,
        reason: reason.to_string(),
    }
}

fn told(operation: &'static str, status: &Status) -> MetadataError {
    unavailable(operation, endpoints::reason(status))
}

/// The revision of an answer's header.
fn revision(header: Option<proto::ResponseHeader>) -> Revision {
    let number = header.map_or(0, |header| header.revision);
    Revision(number.cast_unsigned())
}

/// The key behind the last one with this prefix, as the end of a range; one zero byte stands for
/// the end of all keys.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

fn kv(channel: Channel) -> KvClient<Channel> {
    KvClient::new(channel)
        .max_decoding_message_size(ANSWER_BYTES_MAX)
        .max_encoding_message_size(2 * limits::METADATA_ENTRY_BYTES_MAX)
}

impl Inner {
    fn full_key(&self, key: &str) -> Vec<u8> {
        [self.prefix.as_bytes(), key.as_bytes()].concat()
    }

    /// The key as callers know it; `None` if it is no text.
    fn own_key(&self, key: &[u8]) -> Option<String> {
        let key = key.strip_prefix(self.prefix.as_bytes())?;
        String::from_utf8(key.to_vec()).ok()
    }

    fn entry(&self, found: KeyValue) -> Result<Entry, MetadataError> {
        let key = self.own_key(&found.key);
        Ok(Entry {
            key: key.ok_or_else(|| unavailable("read", "a key is not text"))?,
            value: found.value,
            revision: Revision(found.mod_revision.cast_unsigned()),
        })
    }

    /// Carries out a request, with the next member if one is certainly not there.
    async fn call<T, F>(
        &self,
        operation: &'static str,
        is_repeatable: bool,
        call: impl Fn(Channel) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let trying = async {
            let mut attempt = 1;
            loop {
                let member = self.endpoints.current();
                let status = match call(member.channel()).await {
                    Ok(answer) => return Ok(answer),
                    Err(status) => status,
                };
                if !endpoints::is_members_fault(&status) {
                    return Err(Failure::Told(status));
                }
                self.endpoints.leave(&member);
                let may_repeat = is_repeatable || endpoints::was_never_sent(&status);
                if !may_repeat || attempt >= self.endpoints.len() {
                    return Err(Failure::Other(told(operation, &status)));
                }
                attempt += 1;
            }
        };
        let limit = self.clock.sleep(self.request_time_max);
        futures::pin_mut!(trying);
        match futures::future::select(trying, limit).await {
            futures::future::Either::Left((done, _)) => done,
            futures::future::Either::Right(_) => {
                // The next request goes to somebody else.
                self.endpoints.leave(&self.endpoints.current());
                let waited_ms = self.request_time_max.as_millis();
                let reason = format!("etcd did not answer within {waited_ms} ms");
                Err(Failure::Other(unavailable(operation, reason)))
            }
        }
    }

    async fn read(&self, request: RangeRequest) -> Result<RangeResponse, MetadataError> {
        let call = |channel| {
            let request = request.clone();
            async move { Ok(kv(channel).range(request).await?.into_inner()) }
        };
        let read = self.call("read", true, call).await;
        read.map_err(|failure| failure.of("read"))
    }

    async fn range(&self, prefix: &str) -> Result<(Vec<Entry>, Revision), MetadataError> {
        let prefix = self.full_key(prefix);
        let (range_end, mut key) = (end_of(&prefix), prefix);
        let (mut entries, mut at) = (Vec::new(), Revision(0));
        loop {
            let page = self.read(RangeRequest {
                key: key.clone(),
                range_end: range_end.clone(),
                limit: PAGE_ENTRIES,
                // All pages as of the first one's revision.
                revision: at.0.cast_signed(),
            });
            let page = page.await?;
            if at == Revision(0) {
                at = revision(page.header);
            }
            if let Some(last) = page.kvs.last() {
                key = [&last.key[..], &[0]].concat();
            }
            let is_last = !page.more || page.kvs.is_empty();
            for found in page.kvs {
                entries.push(self.entry(found)?);
            }
            if is_last {
                return Ok((entries, at));
            }
        }
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Expected,
        value: Option<Bytes>,
        lease: Option<LeaseId>,
    ) -> Result<Revision, MetadataError> {
        let bytes = key.len() + value.as_ref().map_or(0, Bytes::len);
        let max = limits::METADATA_ENTRY_BYTES_MAX;
        if bytes > max {
            let reason = format!("entry `{key}` of {bytes} bytes exceeds the limit of {max}");
            return Err(unavailable("write", reason));
        }
        let full_key = self.full_key(key);
        let change = match value {
            Some(value) => Request::RequestPut(PutRequest {
                key: full_key.clone(),
                value,
                lease: lease.map_or(0, |lease| lease.0.cast_signed()),
            }),
            None => Request::RequestDeleteRange(DeleteRangeRequest {
                key: full_key.clone(),
            }),
        };
        let look = Request::RequestRange(RangeRequest {
            key: full_key.clone(),
            ..RangeRequest::default()
        });
        let mod_revision = match expected {
            Expected::Absent => 0,
            Expected::At(revision) => revision.0.cast_signed(),
        };
        let operation = |request| RequestOp {
            request: Some(request),
        };
        let request = TxnRequest {
            compare: vec![Compare {
                target: CompareTarget::Mod.into(),
                key: full_key,
                target_union: Some(TargetUnion::ModRevision(mod_revision)),
                ..Compare::default()
            }],
            success: vec![operation(change)],
            failure: vec![operation(look)],
        };
        let call = |channel| {
            let request = request.clone();
            async move { Ok(kv(channel).txn(request).await?.into_inner()) }
        };
        let done = self.call("write", false, call).await;
        let done = done.map_err(|failure| failure.about_lease("write", lease))?;
        if done.succeeded {
            return Ok(revision(done.header));
        }
        let found = done.responses.into_iter().find_map(|it| match it.response {
            Some(Response::ResponseRange(range)) => range.kvs.into_iter().next(),
            _ => None,
        });
        Err(MetadataError::Conflict {
            key: key.to_owned(),
            found: found.map(|found| Revision(found.mod_revision.cast_unsigned())),
            expected,
        })
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetadataError> {
        let seconds = ttl.as_millis().div_ceil(1_000).max(1);
        let request = LeaseGrantRequest {
            ttl: i64::try_from(seconds).unwrap_or(i64::MAX),
        };
        let call = |channel| async move {
            let mut client = LeaseClient::new(channel);
            Ok(client.lease_grant(request).await?.into_inner())
        };
        // A lease that nobody holds ends by itself.
        let granted = self.call("lease", true, call).await;
        let granted = granted.map_err(|failure| failure.of("lease"))?;
        Ok(LeaseId(granted.id.cast_unsigned()))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetadataError> {
        let id = lease.0.cast_signed();
        let call = |channel| async move {
            let requests = stream::iter([LeaseKeepAliveRequest { id }]);
            let mut client = LeaseClient::new(channel);
            let mut answers = client.lease_keep_alive(requests).await?.into_inner();
            let answer = answers.next().await.transpose()?;
            answer.ok_or_else(|| Status::unavailable("no answer to keep the lease alive"))
        };
        let kept = self.call("keep lease of", true, call).await;
        let kept = kept.map_err(|failure| failure.about_lease("keep lease of", Some(lease)))?;
        if kept.ttl <= 0 {
            return Err(MetadataError::LeaseExpired(lease));
        }
        Ok(())
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetadataError> {
        let id = lease.0.cast_signed();
        let call = |channel| async move {
            let request = LeaseRevokeRequest { id };
            LeaseClient::new(channel).lease_revoke(request).await
        };
        let revoked = self.call("end lease of", false, call).await;
        revoked.map_err(|failure| failure.about_lease("end lease of", Some(lease)))?;
        Ok(())
    }
}

/// Why a request failed: what etcd said, or that it could not be asked.
enum Failure {
    Told(Status),
    Other(MetadataError),
}

impl Failure {
    fn of(self, operation: &'static str) -> MetadataError {
        match self {
            Self::Told(status) => told(operation, &status),
            Self::Other(error) => error,
        }
    }

    /// The same, of a request that named a lease.
    fn about_lease(self, operation: &'static str, lease: Option<LeaseId>) -> MetadataError {
        match (&self, lease) {
            (Self::Told(status), Some(lease)) if status.code() == Code::NotFound => {
                MetadataError::LeaseExpired(lease)
            }
            _ => self.of(operation),
        }
    }
}

impl MetadataStore for EtcdMetadata {
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Option<Entry>, MetadataError>> {
        let request = RangeRequest {
            key: self.inner.full_key(key),
            ..RangeRequest::default()
        };
        async move {
            let found = self.inner.read(request).await?.kvs.into_iter().next();
            found.map(|found| self.inner.entry(found)).transpose()
        }
        .boxed()
    }

    fn range(&self, prefix: &str) -> BoxFuture<'_, Result<(Vec<Entry>, Revision), MetadataError>> {
        let prefix = prefix.to_owned();
        async move { self.inner.range(&prefix).await }.boxed()
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Expected,
        value: Option<Bytes>,
        lease: Option<LeaseId>,
    ) -> BoxFuture<'_, Result<Revision, MetadataError>> {
        let key = key.to_owned();
        async move {
            let inner = &self.inner;
            inner.compare_and_set(&key, expected, value, lease).await
        }
        .boxed()
    }

    fn watch(&self, prefix: &str, revision: Revision) -> Watch {
        watch::stream(Arc::clone(&self.inner), prefix, revision)
    }

    /// etcd counts in seconds, and not in fewer than a few elections of its own take.
    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseId, MetadataError>> {
        self.inner.grant(ttl).boxed()
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>> {
        self.inner.keep_alive(lease).boxed()
    }

    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>> {
        self.inner.revoke(lease).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_behind_the_last_key_of_its_prefix() {
        assert_eq!(end_of(b"a/"), b"a0");
        assert_eq!(end_of(b"a\xff\xff"), b"b");
        assert_eq!(end_of(b"\xff"), b"\0");
        assert_eq!(end_of(b""), b"\0");
    }
}
