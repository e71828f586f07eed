//! One request as every verb sees it: who asks, over which connection, and until when.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use base::{InstanceId, Timestamp, limits};
use broker::{ClientIdentity, Instance};
use tonic::metadata::MetadataMap;
use wire::grpc_v2::{self as v2, Code};

use super::{digest::DigestForm, status::Refusal, time::parse_grpc_timeout};
use crate::{ConnectionInfo, Front, series::Family};

const CLIENT_ID: &str = "x-mq-client-id";
const LANGUAGE: &str = "x-mq-language";
const CLIENT_VERSION: &str = "x-mq-client-version";
const NAMESPACE: &str = "x-mq-namespace";
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// Longest language and version that are kept of a client.
const KEPT_TEXT_BYTES_MAX: usize = 64;

/// One request, without its message.
pub(crate) struct Call {
    /// What all front ends share.
    pub(crate) front: Arc<Front>,
    /// Where the request came in.
    pub(crate) connection: ConnectionInfo,
    metadata: MetadataMap,
    /// The instance that an administration request is about, if it names one.
    deployment: Option<String>,
    /// The client, where its message names it (protocol v1).
    client: OnceLock<String>,
    /// The family of its client, where not every instance takes that.
    family: Option<Family>,
}

impl Call {
    pub(crate) fn new(
        front: Arc<Front>,
        connection: ConnectionInfo,
        metadata: MetadataMap,
    ) -> Self {
        Self {
            front,
            connection,
            metadata,
            deployment: None,
            client: OnceLock::new(),
            family: None,
        }
    }

    /// The same, from a client of that family.
    pub(crate) fn of_family(self, family: Family) -> Self {
        Self {
            family: Some(family),
            ..self
        }
    }

    /// Checks that the instance takes clients like this one.
    pub(crate) fn check_family(&self, instance: &Instance) -> Result<(), Refusal> {
        let refusal = self.family.and_then(|family| family.refusal(instance));
        refusal.map_or(Ok(()), |text| {
            Err(Refusal::new(Code::PreconditionFailed, text))
        })
    }

    /// The same, about the instance of that id.
    pub(crate) fn about(self, deployment: &InstanceId) -> Self {
        Self {
            deployment: Some(deployment.as_str().to_owned()),
            ..self
        }
    }

    /// The message says that it comes from the client of that id. Only the first word counts.
    pub(crate) fn named_client(&self, id: &str) {
        if check_client_id(id).is_ok() {
            let _ = self.client.set(id.to_owned());
        }
    }

    /// The id that the client gave itself.
    pub(crate) fn client_id(&self) -> Result<&str, Refusal> {
        if let Some(id) = self.client.get() {
            return Ok(id);
        }
        check_client_id(self.text(CLIENT_ID).trim()).map_err(|refusal| {
            let text = format!("{} in header `{CLIENT_ID}`", refusal.text());
            Refusal::new(refusal.code(), text)
        })
    }

    /// The client as the core keeps it. The headers say what `agent` does not.
    pub(crate) fn identity(&self, agent: Option<&v2::Ua>) -> Result<ClientIdentity, Refusal> {
        let mut identity = self.identity_of(self.client_id()?);
        if let Some(agent) = agent {
            if agent.language() != v2::Language::Unspecified {
                identity.language = kept(agent.language().as_str_name());
            }
            if !agent.version.is_empty() {
                identity.version = kept(&agent.version);
            }
        }
        Ok(identity)
    }

    /// The client of that id as the core keeps it, by what the headers say.
    pub(crate) fn identity_of(&self, client: &str) -> ClientIdentity {
        ClientIdentity {
            id: client.to_owned(),
            connection: self.connection.id,
            address: self.connection.peer,
            language: kept(self.text(LANGUAGE)),
            version: kept(self.text(CLIENT_VERSION)),
        }
    }

    /// The namespace that the client works in, empty if it has none.
    pub(crate) fn namespace(&self) -> &str {
        match &self.deployment {
            Some(deployment) => deployment,
            None => self.text(NAMESPACE),
        }
    }

    /// The checksum that this client understands.
    pub(crate) fn digest_form(&self) -> DigestForm {
        DigestForm::for_language(self.text(LANGUAGE))
    }

    /// How long after the request was sent its client gives up, if it says so.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        parse_grpc_timeout(self.text(GRPC_TIMEOUT))
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        self.front.clock.now()
    }

    /// The value of a header, empty where it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.metadata
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Checks an id that a client gave itself.
pub(crate) fn check_client_id(id: &str) -> Result<&str, Refusal> {
    let max = limits::CLIENT_ID_BYTES_MAX;
    if id.is_empty() || id.len() > max {
        let length = id.len();
        return Err(Refusal::new(
            Code::ClientIdRequired,
            format!("client id has {length} bytes, expected 1 to {max}"),
        ));
    }
    Ok(id)
}

/// As much of a client's words as is kept of them.
fn kept(text: &str) -> String {
    let end = text.floor_char_boundary(KEPT_TEXT_BYTES_MAX);
    text[..end].to_owned()
}
