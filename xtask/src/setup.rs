//! What the tests need beyond the compiler: checked, and installed where it is missing.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A thing the tests need, how to see that it is there, and the Debian package that brings it.
struct Need {
    what: &'static str,
    probe: &'static [&'static str],
    package: &'static str,
}

const NEEDS: &[Need] = &[
    Need {
        what: "a C compiler, for ring and the memory allocator",
        probe: &["cc", "--version"],
        package: "build-essential",
    },
    Need {
        what: "strace, which shows that data is durable before a reply",
        probe: &["strace", "--version"],
        package: "strace",
    },
    Need {
        what: "valgrind, which counts the instructions that a message costs",
        probe: &["valgrind", "--version"],
        package: "valgrind",
    },
    Need {
        what: "unshare, for a small disk of the full-disk test's own",
        probe: &["unshare", "--version"],
        package: "util-linux",
    },
    Need {
        what: "etcd, the metadata store of several nodes",
        probe: &["etcd", "--version"],
        package: "etcd-server",
    },
    Need {
        what: "git",
        probe: &["git", "--version"],
        package: "git",
    },
    Need {
        what: "a Java compiler",
        probe: &["javac", "-version"],
        package: "default-jdk-headless",
    },
    Need {
        what: "Maven",
        probe: &["mvn", "--version"],
        package: "maven",
    },
    Need {
        what: "Node",
        probe: &["node", "--version"],
        package: "nodejs",
    },
    Need {
        what: "npm",
        probe: &["npm", "--version"],
        package: "npm",
    },
    Need {
        what: "Go",
        probe: &["go", "version"],
        package: "golang-go",
    },
    Need {
        what: "Python with virtual environments",
        probe: &["python3", "-c", "import ensurepip, venv"],
        package: "python3-venv",
    },
];

/// Installs what is missing.
///
/// # Errors
/// When something is missing and cannot be installed; the error names the packages.
pub(crate) fn run() -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !succeeds(need.probe)).collect();
    if missing.is_empty() {
        println!("everything is there");
        return Ok(());
    }
    for need in &missing {
        println!("missing: {} (package {})", need.what, need.package);
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if !rustix::process::geteuid().is_root() {
        bail!("install these packages first: {}", packages.join(" "));
    }
    apt_get(&["update", "-q"])?;
    let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
    install.extend(&packages);
    apt_get(&install)?;
    if let Some(need) = missing.iter().find(|need| !succeeds(need.probe)) {
        bail!(
            "{} is still missing after installing {}",
            need.what,
            need.package
        );
    }
    Ok(())
}

fn succeeds(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .context("start apt-get")?;
    if !status.success() {
        bail!("apt-get {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}
