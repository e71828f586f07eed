//! The inputs to start from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Longest corpus file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The files of a target's folder, in the order of their names.
pub(crate) fn load(target: &str) -> Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        if entry
            .metadata()
            .is_ok_and(|data| data.is_file() && data.len() <= FILE_BYTES_MAX)
        {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let read =
        |path: &PathBuf| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    paths.iter().map(read).collect()
}

/// Keeps an input that made a target fail.
pub(crate) fn keep(target: &str, input: &[u8]) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let digest = crate::targets::digest(input);
    let path = folder.join(format!("{target}-{digest:016x}"));
    std::fs::write(&path, input).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
