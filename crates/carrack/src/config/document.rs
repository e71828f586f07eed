//! The sample file and the reference page, written from the declarations.

use std::fmt::Write as _;

use super::{Settings, flags::one_line};

/// Columns that comments of the sample file keep to.
const COLUMNS: usize = 90;

/// A settings file that explains itself: every setting with its default, commented out.
pub(crate) fn sample() -> String {
    let mut out = String::from(
        "# Settings of the Carrack server. Start it with `carrack server --config FILE`.\n\
         #\n\
         # A value is taken from the first of: command line, environment (CARRACK_ and the name in\n\
         # capitals), this file, default. Unknown names are refused.\n",
    );
    for setting in Settings::ALL {
        out.push('\n');
        let mut text = one_line(setting.sentence);
        if let Some(bounds) = &setting.bounds {
            write!(
                text,
                " {} to {}.",
                number(*bounds.start()),
                number(*bounds.end())
            )
            .expect("writing to a string cannot fail");
        }
        write!(text, " Default: {}.", setting.default).expect("writing to a string cannot fail");
        for line in wrapped(&text) {
            writeln!(out, "# {line}").expect("writing to a string cannot fail");
        }
        writeln!(out, "#{} = {}", setting.name, setting.example)
            .expect("writing to a string cannot fail");
    }
    out
}

/// The reference page, in Markdown.
pub(crate) fn reference() -> String {
    let mut out = String::from(
        "# Settings of the server\n\n\
         Written by `carrack config reference`; edit the declarations, not this page.\n\n\
         A value is taken from the first of: command line, environment, file (`carrack server \
         --config FILE`, TOML), default. Unknown names in the file are refused. `carrack config \
         sample` prints a file to start from.\n",
    );
    for setting in Settings::ALL {
        write!(
            out,
            "\n## `{}`\n\n{}\n\n",
            setting.name,
            one_line(setting.sentence)
        )
        .expect("writing to a string cannot fail");
        let mut fact = |name: &str, value: String| {
            writeln!(out, "- {name}: {value}").expect("writing to a string cannot fail");
        };
        fact("value", setting.form.to_owned());
        if let Some(bounds) = &setting.bounds {
            fact(
                "bounds",
                format!("{} to {}", number(*bounds.start()), number(*bounds.end())),
            );
        }
        fact("default", setting.default.to_owned());
        fact(
            "example",
            format!("`{} = {}`", setting.name, setting.example),
        );
        if let Some((flag, placeholder)) = setting.flag {
            fact("flag", format!("`--{flag} {placeholder}`"));
        }
        fact("environment", format!("`{}`", setting.environment()));
        let effect = if setting.restart {
            "at the next start"
        } else {
            "at once"
        };
        fact("takes effect", effect.to_owned());
    }
    out
}

/// A number with its digits in groups of three, as TOML allows.
fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    grouped
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() + 3 <= COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_names_every_setting_and_stays_narrow() {
        let sample = sample();
        for setting in Settings::ALL {
            assert!(
                sample.contains(&format!("\n#{} = ", setting.name)),
                "{}",
                setting.name
            );
        }
        assert!(sample.lines().all(|line| line.len() <= 100), "{sample}");
    }

    #[test]
    fn numbers_are_grouped_as_toml_reads_them() {
        assert_eq!(number(0), "0");
        assert_eq!(number(1_024), "1_024");
        assert_eq!(number(281_474_976_710_655), "281_474_976_710_655");
    }
}
