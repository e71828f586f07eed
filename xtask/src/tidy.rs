//! `cargo xtask tidy`: rules of the repository that neither the compiler nor clippy knows.
//!
//! Each rule is a function over file contents or manifests, with a sample that breaks it among its
//! tests. Files are those that git tracks, and new ones that it does not ignore.

mod layers;
mod licences;
mod modules;
mod secrets;
mod text;
mod wrap;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace;

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; 0 if it is about the whole file.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path, self.what),
            line => write!(formatter, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// A file of the repository.
struct SourceFile {
    /// From the top folder, with forward slashes.
    path: String,
    text: String,
}

impl SourceFile {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }
}

/// Runs the command; `fix` wraps long comments first. Fails if anything was found.
pub(crate) fn run(fix: bool) -> Result<()> {
    let root = workspace::root();
    let mut files = repository_files(&root)?;
    if fix {
        for file in files.iter_mut().filter(|file| file.is_rust()) {
            let wrapped = wrap::wrap_comments(&file.text);
            if wrapped != file.text {
                fs::write(root.join(&file.path), &wrapped)
                    .with_context(|| format!("write {}", file.path))?;
                println!("wrapped comments of {}", file.path);
                file.text = wrapped;
            }
        }
    }
    let metadata = metadata(&root)?;
    let mut findings = Vec::new();
    for file in &files {
        findings.extend(text::check(file));
        findings.extend(secrets::check(file));
    }
    findings.extend(modules::check(&files));
    findings.extend(layers::check(&metadata)?);
    findings.extend(layers::check_manifests(&files));
    let policy = fs::read_to_string(root.join("deny.toml")).context("read deny.toml")?;
    findings.extend(licences::check(&metadata, &policy)?);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    println!("{} files are tidy", files.len());
    Ok(())
}

/// Every text file that is tracked, or new and not ignored.
fn repository_files(root: &Path) -> Result<Vec<SourceFile>> {
    let output = Command::new("git")
        .current_dir(root)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("list files with git")?;
    if !output.status.success() {
        bail!("git ls-files ended with {}", output.status);
    }
    let names = String::from_utf8(output.stdout).context("file names that are not UTF-8")?;
    let mut files = Vec::new();
    for path in names.split('\0').filter(|name| !name.is_empty()) {
        // A file may be deleted but still tracked, and binary ones have no lines.
        let Ok(bytes) = fs::read(root.join(path)) else {
            continue;
        };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(SourceFile {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(files)
}

/// What cargo knows of the workspace and of all packages that a Linux build uses.
fn metadata(root: &Path) -> Result<serde_json::Value> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["metadata", "--format-version", "1", "--filter-platform"])
        .arg(concat!("x86_64", "-unknown-linux-gnu"))
        .output()
        .context("run cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    serde_json::from_slice(&output.stdout).context("read the answer of cargo metadata")
}
