//! How what this crate keeps is written into the metadata store: JSON, times as milliseconds.

use base::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use store::meta::{Entry, MetadataError};

/// The JSON of something that always has one.
pub(crate) fn write<T: Serialize>(value: &T) -> Result<Bytes, MetadataError> {
    let written = serde_json::to_vec(value).map_err(|error| MetadataError::Unavailable {
        operation: "write",
        reason: error.to_string(),
    })?;
    Ok(written.into())
}

/// What an entry holds.
pub(crate) fn read<T: DeserializeOwned>(entry: &Entry) -> Result<T, MetadataError> {
    serde_json::from_slice(&entry.value).map_err(|error| entry.unreadable(error))
}

/// For `#[serde(with)]`: a time as milliseconds since 1970.
pub(crate) mod time {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Timestamp};

    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        at.ms().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_ms)
    }
}

/// For `#[serde(with)]`: a time that may be missing.
pub(crate) mod time_or_none {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Timestamp};

    pub(crate) fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::ms).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(from)?.map(Timestamp::from_ms))
    }
}

/// For `#[serde(with)]`: the id of an instance.
pub(crate) mod instance {
    use base::InstanceId;
    use serde::de::Error as _;

    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(id: &InstanceId, to: S) -> Result<S::Ok, S::Error> {
        id.as_str().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<InstanceId, D::Error> {
        InstanceId::new(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// For `#[serde(with)]`: the id of an instance, or none.
pub(crate) mod instance_or_none {
    use base::InstanceId;
    use serde::de::Error as _;

    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        id: &Option<InstanceId>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        id.as_ref().map(InstanceId::as_str).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<InstanceId>, D::Error> {
        let id = Option::<String>::deserialize(from)?;
        let id = id.as_deref().map(InstanceId::new).transpose();
        id.map_err(D::Error::custom)
    }
}
