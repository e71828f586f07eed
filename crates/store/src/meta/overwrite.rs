//! Changes of entries whatever they hold: for those that nobody keeps in memory.

use bytes::Bytes;

use super::{Entry, Expected, MetadataError, MetadataStore};

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

/// Removes entries one after the other, each as it was read. The first that cannot be removed ends
/// it, so that the same can be tried again.
///
/// # Errors
/// [`MetadataError::Conflict`] if somebody else has changed one since.
pub async fn erase_all(
    metadata: &dyn MetadataStore,
    entries: impl IntoIterator<Item = Entry, IntoIter: Send>,
) -> Result<(), MetadataError> {
    for entry in entries {
        let found = Expected::At(entry.revision);
        metadata
            .compare_and_set(&entry.key, found, None, None)
            .await?;
    }
    Ok(())
}
