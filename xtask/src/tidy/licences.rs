//! Licences and duplicate versions of what a Linux build uses, by the policy in `deny.toml`.
//!
//! A quick form of what `cargo deny` checks in `cargo xtask verify`: it needs no other program.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Finding;

/// Checks every package that the lock file resolves to.
pub(super) fn check(metadata: &Value, policy: &str) -> Result<Vec<Finding>> {
    let policy: toml::Table = policy.parse().context("read deny.toml")?;
    let allowed = strings(&policy, "licenses", "allow")?;
    let twice = names(&policy, "bans", "skip");
    let used = used_packages(metadata)?;
    let mut findings = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata["packages"].as_array().context("packages")? {
        let id = package["id"].as_str().context("id of a package")?;
        if !used.contains(id) || package["source"].is_null() {
            continue;
        }
        let name = package["name"].as_str().context("name of a package")?;
        let version = package["version"]
            .as_str()
            .context("version of a package")?;
        versions.entry(name).or_default().insert(version);
        let accepted = package["license"]
            .as_str()
            .is_some_and(|expression| is_allowed(expression, &allowed));
        if !accepted {
            let what = format!("{name} {version} has the licence {}", package["license"]);
            findings.push(Finding::new("Cargo.lock", 0, what));
        }
    }
    for (name, versions) in &versions {
        if versions.len() > 1 && !twice.iter().any(|skipped| skipped == name) {
            let list = versions.iter().copied().collect::<Vec<_>>().join(", ");
            let what = format!("{name} is there in several versions: {list}");
            findings.push(Finding::new("Cargo.lock", 0, what));
        }
    }
    Ok(findings)
}

/// Ids of the packages in the resolved graph; others stand in the lock file for other platforms.
fn used_packages(metadata: &Value) -> Result<BTreeSet<&str>> {
    let nodes = metadata["resolve"]["nodes"].as_array().context("nodes")?;
    Ok(nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect())
}

fn strings(policy: &toml::Table, table: &str, key: &str) -> Result<Vec<String>> {
    let list = policy
        .get(table)
        .and_then(|table| table.get(key))
        .and_then(toml::Value::as_array)
        .with_context(|| format!("deny.toml: no list `{key}` in [{table}]"))?;
    Ok(list
        .iter()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect())
}

/// Names of crates in a list such as `skip`, each given as `crate = "name"` or `"name"`.
fn names(policy: &toml::Table, table: &str, key: &str) -> Vec<String> {
    let list = policy.get(table).and_then(|table| table.get(key));
    let items = list.and_then(toml::Value::as_array).into_iter().flatten();
    items
        .filter_map(|item| {
            item.get("crate")
                .or(Some(item))
                .and_then(toml::Value::as_str)
        })
        .map(|name| name.split(['@', ':']).next().unwrap_or(name).to_owned())
        .collect()
}

/// Whether an SPDX expression can be satisfied with the allowed licences. `/` is an old form of
/// `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser {
        words: &words,
        allowed,
    };
    let accepted = parser.any();
    accepted && parser.words.is_empty()
}

struct Parser<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl Parser<'_> {
    fn next_is(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn any(&mut self) -> bool {
        let mut accepted = self.all();
        while self.next_is("OR") {
            // Both sides are read, whatever the first one was.
            accepted |= self.all();
        }
        accepted
    }

    fn all(&mut self) -> bool {
        let mut accepted = self.one();
        while self.next_is("AND") {
            accepted &= self.one();
        }
        accepted
    }

    fn one(&mut self) -> bool {
        if self.next_is("(") {
            let accepted = self.any();
            return self.next_is(")") && accepted;
        }
        let Some((first, rest)) = self.words.split_first() else {
            return false;
        };
        self.words = rest;
        let mut name = (*first).to_owned();
        if self.next_is("WITH") {
            let Some((exception, rest)) = self.words.split_first() else {
                return false;
            };
            self.words = rest;
            name = format!("{name} WITH {exception}");
        }
        self.allowed.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POLICY: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
        [bans]
        skip = [{ crate = "twice@1.0.0", reason = "a sample" }]
    "#;

    #[test]
    fn expressions_are_satisfied_or_not() {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        for expression in [
            "MIT",
            "MIT/GPL-3.0",
            "GPL-3.0 OR MIT",
            "MIT AND (GPL-3.0 OR Apache-2.0)",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(is_allowed(expression, &allowed), "{expression}");
        }
        for expression in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT",
            "MIT MIT",
            "",
            "MIT WITH LLVM-exception",
            "GPL-3.0 OR (MIT AND GPL-3.0)",
        ] {
            assert!(!is_allowed(expression, &allowed), "{expression}");
        }
    }

    fn package(name: &str, version: &str, licence: &str) -> Value {
        json!({
            "id": format!("{name} {version}"), "name": name, "version": version,
            "license": licence, "source": "registry",
        })
    }

    fn found(packages: &[Value]) -> usize {
        let nodes: Vec<Value> = packages
            .iter()
            .map(|one| json!({"id": one["id"]}))
            .collect();
        let metadata = json!({"packages": packages, "resolve": {"nodes": nodes}});
        check(&metadata, POLICY).expect("metadata").len()
    }

    #[test]
    fn foreign_licences_and_duplicates_are_found() {
        assert_eq!(
            found(&[package("a", "1.0.0", "MIT"), package("b", "1.0.0", "MIT")]),
            0
        );
        assert_eq!(found(&[package("a", "1.0.0", "GPL-3.0")]), 1);
        assert_eq!(
            found(&[package("a", "1.0.0", "MIT"), package("a", "2.0.0", "MIT")]),
            1
        );
        assert_eq!(
            found(&[
                package("twice", "1.0.0", "MIT"),
                package("twice", "2.0.0", "MIT")
            ]),
            0
        );
    }
}
