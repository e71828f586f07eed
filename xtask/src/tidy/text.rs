//! Rules about the lines of a file.

use super::wrap::is_drawn;
use super::{Finding, SourceFile};

/// Lines beyond which a source file holds two ideas.
const FILE_LINES_MAX: usize = 600;

/// Files that may be longer, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[
    (
        "crates/broker/src/receive.rs",
        "the verb with its tests; the tests go to a sibling once the verb settles",
    ),
    (
        "crates/gateway/tests/it/remoting.rs",
        "one scenario a verb over one set-up; goes into modules by verb",
    ),
    (
        "crates/sim/src/ledger.rs",
        "the checkers with the state they share",
    ),
    (
        "crates/store/src/log/local/recover.rs",
        "recovery with the tests of every kind of damage",
    ),
];

/// Characters of a line of Rust.
pub(super) const LINE_COLUMNS_MAX: usize = 100;

/// Folders of machines that developers happen to have. In two parts, so as not to find themselves.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tm", "p/"),
    concat!("/Use", "rs/"),
];

/// Hosts of package registries: which one a machine uses is its own matter.
const REGISTRY_HOSTS: &[&str] = &[
    concat!("registry.npm", "js.org"),
    concat!("repo1.mav", "en.org"),
    concat!("repo.mav", "en.apache.org"),
    concat!("proxy.gol", "ang.org"),
    concat!("sum.gol", "ang.org"),
    concat!("files.pythonh", "osted.org"),
    concat!("pypi", ".org/simple"),
    concat!("index.cra", "tes.io"),
    concat!("static.cra", "tes.io"),
    concat!("deb.deb", "ian.org"),
    concat!("artifac", "tory"),
];

/// First line of a licence header that is not ours: text of that project must not be copied.
const FOREIGN_HEADER: &str = concat!("Licensed to the Apache Software ", "Foundation");

/// Ends of files whose lines are not written by hand, or whose format wants tabs.
const NOT_WRITTEN_BY_HAND: &[&str] = &[
    ".lock",
    "package-lock.json",
    "go.sum",
    "go.mod",
    ".go",
    ".hex",
];

/// Inputs of the fuzz targets: any byte may matter.
const CORPUS: &str = "fuzz/corpus/";

/// Applies every rule to one file.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |line: usize, what: String| findings.push(Finding::new(&file.path, line, what));
    for (number, line) in file.lines() {
        for path in MACHINE_PATHS.iter().filter(|path| names_path(line, path)) {
            add(number, format!("names a folder of one machine: `{path}`"));
        }
        for host in REGISTRY_HOSTS.iter().filter(|host| line.contains(**host)) {
            add(number, format!("names a package registry: `{host}`"));
        }
        if line.contains(FOREIGN_HEADER) {
            add(
                number,
                "carries the licence header of another project".to_owned(),
            );
        }
        if unowned_note(line) {
            add(
                number,
                "a note of work to do names no issue or owner: `TODO(#12)`".to_owned(),
            );
        }
    }
    let by_hand = !NOT_WRITTEN_BY_HAND
        .iter()
        .any(|end| file.path.ends_with(end));
    if by_hand && !file.path.starts_with(CORPUS) {
        check_white_space(file, &mut add);
    }
    if file.is_rust() {
        check_rust(file, &mut add);
    }
    findings
}

/// Whether `line` names a path below `folder`; `a/folder/b` is another path.
fn names_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || "_-.}/~*".contains(before))
    })
}

fn unowned_note(line: &str) -> bool {
    [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ]
    .iter()
    .flat_map(|word| {
        line.match_indices(word)
            .map(move |(at, _)| (at, word.len()))
    })
    .any(|(at, len)| {
        let alone = !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
        let after = &line[at + len..];
        let word = !after.starts_with(|next: char| next.is_alphanumeric() || next == '_');
        let owned = after.starts_with('(') && !after.starts_with("()");
        alone && word && !owned
    })
}

fn check_white_space(file: &SourceFile, add: &mut impl FnMut(usize, String)) {
    for (number, line) in file.lines() {
        if line.ends_with([' ', '\t', '\r']) {
            add(number, "white space at the end of the line".to_owned());
        }
        if line.starts_with('\t') {
            add(number, "indented by a tab".to_owned());
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        add(0, "no line feed at the end".to_owned());
    }
}

fn check_rust(file: &SourceFile, add: &mut impl FnMut(usize, String)) {
    let count = file.text.lines().count();
    let listed = LONG_FILES.iter().any(|(path, _)| *path == file.path);
    if count > FILE_LINES_MAX && !listed {
        add(
            0,
            format!("{count} lines, expected at most {FILE_LINES_MAX}: split it by idea"),
        );
    }
    let first = file.text.lines().find(|line| !line.trim().is_empty());
    // What a module of tests is for, its parent says.
    let of_tests = file.path.ends_with("/tests.rs");
    if !of_tests && first.is_some_and(|line| !line.starts_with("//!")) {
        add(
            1,
            "does not start with `//!`: say what the module is for".to_owned(),
        );
    }
    for (number, line) in file.lines() {
        let columns = line.chars().count();
        // Code is rustfmt's matter: what it leaves longer is a string, an attribute or a macro.
        let wrappable = is_comment(line) && !line.contains("https://") && !is_drawn(line);
        if columns > LINE_COLUMNS_MAX && wrappable {
            add(
                number,
                format!("{columns} columns, expected at most {LINE_COLUMNS_MAX}"),
            );
        }
        if line.trim_start().starts_with(concat!("#[ign", "ore")) {
            add(
                number,
                "an ignored test: fix it, or assert what it does today".to_owned(),
            );
        }
    }
    for number in unreasoned_allows(&file.text) {
        add(
            number,
            "`allow` without `reason`; prefer `expect`".to_owned(),
        );
    }
}

/// Whether a line is nothing but a comment.
pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Lines of `allow` attributes that give no reason.
fn unreasoned_allows(text: &str) -> Vec<usize> {
    ["#[allow(", "#![allow("]
        .iter()
        .flat_map(|start| text.match_indices(start))
        .filter(|(at, _)| {
            let line = text[..*at].rfind('\n').map_or(0, |end| end + 1);
            // Not in a string or a comment: nothing but space stands before an attribute.
            let alone = text[line..*at].trim().is_empty();
            let attribute = text[*at..].split(")]").next().unwrap_or_default();
            alone && !attribute.contains("reason")
        })
        .map(|(at, _)| text[..at].lines().count() + usize::from(text[..at].ends_with('\n')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&file)
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    fn rust(text: &str) -> Vec<String> {
        found("crates/base/src/sample.rs", &format!("//! Sample.\n{text}"))
    }

    #[test]
    fn a_proper_file_passes() {
        let text = "#[allow(dead_code, reason = \"a sample\")]\nfn f() {} // TODO(#12): more\n";
        assert_eq!(rust(text), [""; 0]);
    }

    #[test]
    fn long_files_and_lines_are_found() {
        assert_eq!(rust(&"\n".repeat(FILE_LINES_MAX)).len(), 1);
        assert_eq!(rust(&"\n".repeat(FILE_LINES_MAX - 1)).len(), 0);
        assert_eq!(
            rust(&format!("// {}\n", "x".repeat(LINE_COLUMNS_MAX))).len(),
            1
        );
        assert_eq!(
            found("README.md", &format!("{}\n", "x".repeat(200))).len(),
            0
        );
    }

    #[test]
    fn notes_of_work_need_an_owner() {
        for word in [
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("XX", "X"),
        ] {
            assert_eq!(rust(&format!("// {word}: later\n")).len(), 1, "{word}");
            assert_eq!(rust(&format!("// {word}(): later\n")).len(), 1, "{word}");
            assert_eq!(rust(&format!("// {word}(#3): later\n")).len(), 0, "{word}");
            assert_eq!(rust(&format!("// see {word}S\n")).len(), 0, "{word}");
        }
    }

    #[test]
    fn ignored_tests_and_unreasoned_allows_are_found() {
        assert_eq!(rust(concat!("#[ign", "ore]\nfn f() {}\n")).len(), 1);
        assert_eq!(rust("#[allow(dead_code)]\nfn f() {}\n").len(), 1);
        assert_eq!(rust("#![allow(\n    dead_code\n)]\n").len(), 1);
        assert_eq!(unreasoned_allows("\n\n#[allow(dead_code)]\n"), [3]);
    }

    #[test]
    fn modules_say_what_they_are_for() {
        assert_eq!(
            found("crates/base/src/sample.rs", "use std::io;\n").len(),
            1
        );
        assert_eq!(found("crates/base/src/sample.rs", "").len(), 0);
    }

    #[test]
    fn machines_and_registries_stay_unnamed() {
        for path in MACHINE_PATHS {
            assert_eq!(
                found("README.md", &format!("see {path}thing\n")).len(),
                1,
                "{path}"
            );
            assert_eq!(
                found("README.md", &format!("see x{path}thing\n")).len(),
                0,
                "{path}"
            );
        }
        for host in REGISTRY_HOSTS {
            let lock = format!("\"resolved\": \"https://{host}/a\"\n");
            assert_eq!(found("package-lock.json", &lock).len(), 1, "{host}");
        }
    }

    #[test]
    fn copied_headers_are_found() {
        assert_eq!(
            found("protos/a.proto", &format!("// {FOREIGN_HEADER}\n")).len(),
            1
        );
    }

    #[test]
    fn white_space_is_kept_clean() {
        assert_eq!(found("README.md", "a \n").len(), 1);
        assert_eq!(found("README.md", "\ta\n").len(), 1);
        assert_eq!(found("README.md", "a").len(), 1);
        assert_eq!(found("main.go", "\ta\n").len(), 0);
    }
}
