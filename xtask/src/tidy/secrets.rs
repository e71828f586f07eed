//! Strings that look like secrets. Prefixes are written in two parts, so as not to find themselves.

use super::{Finding, SourceFile};

/// Beginnings of keys that services hand out, and how many letters and digits follow at least.
const KEY_STARTS: &[(&str, usize)] = &[
    (concat!("AK", "IA"), 16),
    (concat!("LT", "AI"), 12),
    (concat!("gh", "p_"), 30),
    (concat!("github_", "pat_"), 30),
    (concat!("xox", "b-"), 20),
    (concat!("npm", "_"), 36),
    (concat!("AI", "za"), 35),
];

/// First words of a private key in PEM.
const PEM_START: &str = concat!("-----BE", "GIN ");

/// Looks for keys in one file.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        if line.contains(PEM_START) && line.contains("PRIVATE KEY") {
            findings.push(Finding::new(&file.path, number, "holds a private key"));
        }
        for (start, rest) in KEY_STARTS {
            if line
                .match_indices(start)
                .any(|(at, _)| is_key(line, at, start, *rest))
            {
                let what = format!("looks like a secret: `{start}...`");
                findings.push(Finding::new(&file.path, number, what));
            }
        }
    }
    findings
}

fn is_key(line: &str, at: usize, start: &str, rest: usize) -> bool {
    let alone = !line[..at].ends_with(|before: char| before.is_ascii_alphanumeric());
    let letters = line[at + start.len()..]
        .chars()
        .take_while(|next| next.is_ascii_alphanumeric() || "-_".contains(*next))
        .count();
    alone && letters >= rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: String) -> usize {
        let path = "sample.toml".to_owned();
        check(&SourceFile { path, text }).len()
    }

    #[test]
    fn keys_are_found_and_words_are_not() {
        for (start, rest) in KEY_STARTS {
            assert_eq!(
                count(format!("key = \"{start}{}\"\n", "A1".repeat(rest / 2 + 1))),
                1
            );
            assert_eq!(count(format!("key = \"{start}\"\n")), 0);
            assert_eq!(count(format!("QWERTZ{start}{}\n", "A1".repeat(*rest))), 0);
        }
        assert_eq!(count(format!("{PEM_START}EC PRIVATE KEY-----\n")), 1);
        assert_eq!(count(format!("{PEM_START}CERTIFICATE-----\n")), 0);
    }
}
