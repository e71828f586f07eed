//! Builds the drivers, each with the ordinary package manager of its language and from its lock
//! file.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::clients::Language;

/// Builds the drivers of one folder; all products stay below `target/`, but for `node_modules`.
pub(crate) fn build(root: &Path, language: Language, folder: &str) -> Result<()> {
    let sources = root.join("conformance");
    let products = root.join("target/conformance");
    fs::create_dir_all(products.join("home")).context("create the drivers' home folder")?;
    match language {
        Language::Java => {
            let maven = |extra: &[&str]| {
                let mut command = Command::new("mvn");
                command
                    .args(["--quiet", "--batch-mode"])
                    .args(extra)
                    .arg("package");
                command.current_dir(sources.join("java"));
                command
            };
            // Without the network first: it is faster, and works where everything was fetched once.
            if !maven(&["--offline"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?
                .success()
            {
                run(&mut maven(&[]))?;
            }
        }
        Language::Python => once(
            &sources.join(folder).join("requirements.txt"),
            &products.join(folder),
            || {
                let environment = products.join(folder);
                run(Command::new("python3")
                    .args(["-m", "venv", "--clear"])
                    .arg(&environment))?;
                run(Command::new(environment.join("bin/python"))
                    .args([
                        "-m",
                        "pip",
                        "install",
                        "--quiet",
                        "--disable-pip-version-check",
                    ])
                    .args(["--no-deps", "--requirement"])
                    .arg(sources.join(folder).join("requirements.txt")))
            },
        )?,
        Language::Nodejs => {
            let folder = sources.join(folder);
            once(
                &folder.join("package-lock.json"),
                &folder.join("node_modules"),
                || {
                    run(Command::new("npm")
                        .args(["ci", "--silent"])
                        .current_dir(&folder))
                },
            )?;
        }
        Language::Go => run(Command::new("go")
            .args(["build", "-trimpath", "-o"])
            // The separator at its end makes it a folder.
            .arg(products.join(folder).join(""))
            .args(["./grpc", "./remoting"])
            .current_dir(sources.join(folder)))?,
        Language::Rust => run(Command::new("cargo")
            .args(["build", "--quiet", "--locked"])
            .env("CARGO_TARGET_DIR", products.join(folder))
            .current_dir(sources.join(folder)))?,
    }
    Ok(())
}

/// Runs `install` unless `folder` was installed from a lock file like `lock`; a copy kept inside
/// tells.
fn once(lock: &Path, folder: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = fs::read(lock).with_context(|| format!("read {}", lock.display()))?;
    let installed = folder.join(".installed-from");
    if fs::read(&installed).is_ok_and(|from| from == wanted) {
        return Ok(());
    }
    install()?;
    fs::write(&installed, wanted).with_context(|| format!("write {}", installed.display()))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_repeated_only_when_its_lock_file_changed() {
        let folder = tempfile::tempdir().expect("folder");
        let lock = folder.path().join("lock");
        let products = folder.path().join("products");
        fs::create_dir(&products).expect("create");
        let mut runs = 0;
        for content in ["one", "one", "two"] {
            fs::write(&lock, content).expect("write");
            once(&lock, &products, || {
                runs += 1;
                Ok(())
            })
            .expect("install");
        }
        assert_eq!(runs, 2);
    }
}
