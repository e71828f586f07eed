//! Layers: a crate depends only on crates of a lower number, and on versions named at the root.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Finding, SourceFile};

/// Number of every crate that is shipped or simulated. Two crates of one number do not see each
/// other.
const LAYERS: &[(&str, u8)] = &[
    ("base", 0),
    ("wire", 1),
    ("store", 1),
    ("broker", 2),
    ("control", 2),
    ("client", 2),
    ("gateway", 3),
    ("carrack", 4),
    ("sim", 5),
];

/// Developer tools: they may use every crate, and no crate may use them.
const TOOLS: &[&str] = &["xtask", "fuzz"];

/// Tables of a manifest that name dependencies.
const DEPENDENCY_TABLES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// What was declared of the broker: it knows the layout of stored messages, and no protocol.
const BROKER_MUST_NOT_NAME: &[&str] = &["wire::remoting", "wire::grpc", "tonic::"];

fn layer(name: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, layer)| *layer)
}

/// Checks the dependencies between the workspace's own crates, dev and build ones included.
pub(super) fn check(metadata: &Value) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let packages = metadata["packages"].as_array().context("packages")?;
    for package in packages
        .iter()
        .filter(|package| package["source"].is_null())
    {
        let name = package["name"].as_str().context("name of a package")?;
        let path = format!("{name}/Cargo.toml");
        let tool = TOOLS.contains(&name);
        let own = layer(name);
        if own.is_none() && !tool {
            findings.push(Finding::new(
                &path,
                0,
                format!("crate `{name}` has no layer"),
            ));
            continue;
        }
        let dependencies = package["dependencies"].as_array().context("dependencies")?;
        for dependency in dependencies.iter().filter(|one| !one["path"].is_null()) {
            let target = dependency["name"]
                .as_str()
                .context("name of a dependency")?;
            let lower = match (own, layer(target)) {
                (Some(own), Some(target)) => target < own,
                (None, Some(_)) => tool,
                (_, None) => tool && TOOLS.contains(&target),
            };
            if !lower {
                let what =
                    format!("`{name}` must not depend on `{target}`: its layer is not lower");
                findings.push(Finding::new(&path, 0, what));
            }
        }
    }
    Ok(findings)
}

/// Checks that members inherit lints and versions, and that the broker stays free of protocols.
pub(super) fn check_manifests(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        if is_member_manifest(&file.path) {
            findings.extend(check_manifest(file));
        }
        if file.path.starts_with("crates/broker/src/") {
            for (number, line) in file.lines() {
                for name in BROKER_MUST_NOT_NAME
                    .iter()
                    .filter(|name| line.contains(**name))
                {
                    let what = format!("the broker knows no protocol, but names `{name}`");
                    findings.push(Finding::new(&file.path, number, what));
                }
            }
        }
    }
    findings
}

/// Members of the root workspace; the conformance drivers are workspaces of their own.
fn is_member_manifest(path: &str) -> bool {
    let folder = path.strip_suffix("/Cargo.toml");
    folder.is_some_and(|folder| {
        TOOLS.contains(&folder)
            || folder
                .strip_prefix("crates/")
                .is_some_and(|name| !name.contains('/'))
    })
}

fn check_manifest(file: &SourceFile) -> Vec<Finding> {
    let manifest: toml::Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::new(&file.path, 0, error.to_string())],
    };
    let mut findings = Vec::new();
    let inherits = |table: Option<&toml::Value>| {
        table.and_then(|table| table.get("workspace")) == Some(&toml::Value::Boolean(true))
    };
    if !inherits(manifest.get("lints")) {
        findings.push(Finding::new(
            &file.path,
            0,
            "lints are not those of the workspace",
        ));
    }
    for table in DEPENDENCY_TABLES {
        let Some(dependencies) = manifest.get(*table).and_then(toml::Value::as_table) else {
            continue;
        };
        for (name, dependency) in dependencies {
            if !inherits(Some(dependency)) {
                let what = format!("the version of `{name}` belongs to the root manifest");
                findings.push(Finding::new(&file.path, 0, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edge(from: &str, to: &str) -> Vec<Finding> {
        let metadata = json!({"packages": [
            {"name": from, "source": null, "dependencies": [{"name": to, "path": "somewhere"}]},
        ]});
        check(&metadata).expect("metadata")
    }

    #[test]
    fn dependencies_point_down() {
        assert_eq!(edge("gateway", "broker"), []);
        assert_eq!(edge("broker", "wire"), []);
        assert_eq!(edge("xtask", "client"), []);
        for (from, to) in [
            ("wire", "store"),
            ("store", "wire"),
            ("broker", "gateway"),
            ("client", "broker"),
            ("base", "base"),
            ("carrack", "xtask"),
            ("gateway", "unheard-of"),
        ] {
            assert_eq!(edge(from, to).len(), 1, "{from} -> {to}");
        }
        assert_eq!(edge("unheard-of", "base").len(), 1);
    }

    fn manifest(text: &str) -> Vec<Finding> {
        check_manifests(&[SourceFile {
            path: "crates/base/Cargo.toml".to_owned(),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn members_inherit_versions_and_lints() {
        let lints = "[lints]\nworkspace = true\n";
        assert_eq!(manifest(lints), []);
        assert_eq!(manifest("[package]\nname = \"base\"\n").len(), 1);
        assert_eq!(
            manifest(&format!("{lints}[dependencies]\nbytes.workspace = true\n")),
            []
        );
        for table in DEPENDENCY_TABLES {
            assert_eq!(
                manifest(&format!("{lints}[{table}]\nbytes = \"1\"\n")).len(),
                1
            );
        }
        assert_eq!(manifest("not a manifest").len(), 1);
    }

    #[test]
    fn the_broker_names_no_protocol() {
        let file = |text: &str| SourceFile {
            path: "crates/broker/src/send.rs".to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(
            check_manifests(&[file("use wire::message::StoredMessage;\n")]),
            []
        );
        assert_eq!(
            check_manifests(&[file("use wire::remoting::Command;\n")]).len(),
            1
        );
    }
}
