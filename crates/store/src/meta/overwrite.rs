//! Changes of entries that nobody keeps in memory: whatever they hold, or once for ever.

use bytes::Bytes;

use super::{Entry, Expected, MetadataError, MetadataStore};

/// The entry of a key that is set once and stays: the one that is there, or else one with the value
/// that `make` gives, of whoever is first. `None` where there is none and `make` has nothing.
///
/// # Errors
/// [`MetadataError::Conflict`] if somebody removes it in the moment in which it is made.
pub async fn made_once(
    metadata: &dyn MetadataStore,
    key: &str,
    make: impl FnOnce() -> Option<Bytes>,
) -> Result<Option<Entry>, MetadataError> {
    if let Some(entry) = metadata.get(key).await? {
        return Ok(Some(entry));
    }
    let Some(value) = make() else {
        return Ok(None);
    };
    let put = metadata.compare_and_set(key, Expected::Absent, Some(value.clone()), None);
    match put.await {
        Ok(revision) => Ok(Some(Entry {
            key: key.to_owned(),
            value,
            revision,
        })),
        Err(error @ MetadataError::Conflict { .. }) => {
            metadata.get(key).await?.map(Some).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

/// Sets a key to a value, or removes it, whatever it was; what is to be removed and is not there
/// is a success. Durable when it returns.
///
/// # Errors
/// [`MetadataError::Conflict`] if somebody else changes the key meanwhile.
pub async fn overwrite(
    metadata: &dyn MetadataStore,
    key: &str,
    value: Option<Bytes>,
) -> Result<(), MetadataError> {
    let entry = metadata.get(key).await?;
    if entry.is_none() && value.is_none() {
        return Ok(());
    }
    let expected = entry.map_or(Expected::Absent, |entry| Expected::At(entry.revision));
    metadata.compare_and_set(key, expected, value, None).await?;
    Ok(())
}

/// Removes entries one after the other, each as it was read; one that is gone by now is a success.
/// The first that cannot be removed ends it, so that the same can be tried again.
///
/// # Errors
/// [`MetadataError::Conflict`] if somebody else has changed one since.
pub async fn erase_all(
    metadata: &dyn MetadataStore,
    entries: impl IntoIterator<Item = Entry, IntoIter: Send>,
) -> Result<(), MetadataError> {
    for entry in entries {
        let found = Expected::At(entry.revision);
        match metadata
            .compare_and_set(&entry.key, found, None, None)
            .await
        {
            Ok(_) | Err(MetadataError::Conflict { found: None, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
