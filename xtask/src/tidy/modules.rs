//! Dead files: sources that no module declares are compiled by nobody.

use std::collections::HashMap;

use super::{Finding, SourceFile};

/// Files that cargo finds by their name.
const ROOTS: &[&str] = &["lib.rs", "main.rs", "mod.rs"];

/// Checks that a parent declares every Rust file below a `src` folder.
pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let by_path: HashMap<&str, &SourceFile> = files
        .iter()
        .map(|file| (file.path.as_str(), file))
        .collect();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let Some((folder, name)) = file.path.rsplit_once('/') else {
            continue;
        };
        let in_sources = folder.ends_with("/src") || folder.contains("/src/");
        if !in_sources || folder.contains("/src/bin") || (ROOTS.contains(&name) && name != "mod.rs")
        {
            continue;
        }
        let (module, folder) = if name == "mod.rs" {
            let (parent, module) = folder.rsplit_once('/').unwrap_or(("", folder));
            (module, parent)
        } else {
            (name.trim_end_matches(".rs"), folder)
        };
        let parents = [
            format!("{folder}.rs"),
            format!("{folder}/mod.rs"),
            format!("{folder}/lib.rs"),
            format!("{folder}/main.rs"),
        ];
        let declared = parents
            .iter()
            .filter_map(|parent| by_path.get(parent.as_str()))
            .any(|parent| declares(&parent.text, module));
        if !declared {
            findings.push(Finding::new(&file.path, 0, "no module declares this file"));
        }
    }
    findings
}

fn declares(text: &str, module: &str) -> bool {
    let declaration = format!("mod {module};");
    text.lines().any(|line| {
        let line = line.trim();
        line == declaration
            || line
                .strip_suffix(&declaration)
                .is_some_and(|visibility| visibility.starts_with("pub"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<SourceFile> = files
            .iter()
            .map(|(path, text)| SourceFile {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        check(&files)
            .into_iter()
            .map(|finding| finding.path)
            .collect()
    }

    #[test]
    fn files_need_a_declaration() {
        let mut files = vec![
            ("crates/a/src/lib.rs", "pub mod b;\nmod c;\n"),
            ("crates/a/src/b.rs", "pub(crate) mod d;\n"),
            ("crates/a/src/b/d.rs", ""),
            ("crates/a/src/c/mod.rs", "    mod e;\n"),
            ("crates/a/src/c/e.rs", ""),
            ("crates/a/tests/it/f.rs", ""),
        ];
        assert_eq!(found(&files), [""; 0]);
        files.push(("crates/a/src/dead.rs", ""));
        files.push(("crates/a/src/b/dead.rs", ""));
        files.push(("crates/a/src/dead/mod.rs", ""));
        assert_eq!(found(&files).len(), 3);
    }
}
