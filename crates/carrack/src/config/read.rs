//! Reading settings: defaults, then the file, the environment and the flags over them.

use std::{io, path::Path, path::PathBuf};

use super::{Settings, flags::ServerFlags, value::Source};

/// Largest settings file. All settings with their documentation have a few KiB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why there are no settings to start with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("read settings file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("settings file `{}` is not valid TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// The file sets something that does not exist.
    #[error("settings file `{}` sets `{name}`, which is no setting{hint}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The name there.
        name: String,
        /// What may have been meant, ready to follow.
        hint: String,
    },
    /// A value is not what it should be.
    #[error("{place}: setting `{name}` {reason}")]
    Value {
        /// File, environment variable or flag.
        place: String,
        /// The setting.
        name: &'static str,
        /// What it is and what is expected.
        reason: String,
    },
    /// Two settings contradict each other.
    #[error("{0}")]
    Together(String),
}

/// The settings that the given flags, this environment and the file (if a flag names one) make.
///
/// # Errors
/// The first thing that is wrong, with the place where it stands.
pub(crate) fn load(
    flags: &ServerFlags,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default();
    if let Some(path) = &flags.config {
        let text = read_file(path)?;
        apply_file(&mut settings, path, &text)?;
    }
    for setting in Settings::ALL {
        let variable = setting.environment();
        if let Some(text) = environment(&variable) {
            let place = format!("environment variable {variable}");
            apply(
                &mut settings,
                setting.name,
                &Source::Environment(&text),
                place,
            )?;
        }
        if let (Some(texts), Some((flag, _))) = (flags.given(setting.name), setting.flag) {
            let place = format!("flag --{flag}");
            apply(&mut settings, setting.name, &Source::Flag(texts), place)?;
        }
    }
    check(&settings)?;
    Ok(settings)
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let read = || {
        let length = std::fs::metadata(path)?.len();
        if length > FILE_BYTES_MAX {
            return Err(io::Error::other(format!(
                "it has {length} bytes, expected at most {FILE_BYTES_MAX}"
            )));
        }
        std::fs::read_to_string(path)
    };
    read().map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

fn apply_file(settings: &mut Settings, path: &Path, text: &str) -> Result<(), ConfigError> {
    let table: toml::Table =
        text.parse()
            .map_err(|error: toml::de::Error| ConfigError::Syntax {
                path: path.to_owned(),
                reason: error.to_string().trim_end().to_owned(),
            })?;
    for (name, value) in &table {
        let Some(setting) = Settings::ALL.iter().find(|setting| setting.name == name) else {
            return Err(ConfigError::Unknown {
                path: path.to_owned(),
                name: name.clone(),
                hint: hint(name),
            });
        };
        let place = format!("settings file `{}`", path.display());
        apply(settings, setting.name, &Source::File(value), place)?;
    }
    Ok(())
}

fn apply(
    settings: &mut Settings,
    name: &'static str,
    source: &Source<'_>,
    place: String,
) -> Result<(), ConfigError> {
    let done = settings
        .set(name, source)
        .expect("the name comes from the list of settings");
    done.map_err(|reason| ConfigError::Value {
        place,
        name,
        reason,
    })
}

const REGION_BYTES_MAX: usize = 64;

fn check(settings: &Settings) -> Result<(), ConfigError> {
    if settings.tls_certificate_file.is_some() != settings.tls_key_file.is_some() {
        return Err(ConfigError::Together(
            "one of the settings `tls_certificate_file` and `tls_key_file` is set, expected both or \
             neither"
                .into(),
        ));
    }
    if settings.segment_bytes_min > settings.segment_bytes_max {
        return Err(ConfigError::Together(format!(
            "setting `segment_bytes_min` is {}, expected at most `segment_bytes_max`, which is {}",
            settings.segment_bytes_min, settings.segment_bytes_max
        )));
    }
    // It becomes part of a topic's name.
    if base::TopicName::new(&settings.region).is_err() || settings.region.len() > REGION_BYTES_MAX {
        return Err(ConfigError::Together(format!(
            "setting `region` is `{}`, expected up to {REGION_BYTES_MAX} letters, digits, `-` and `_`",
            settings.region
        )));
    }
    Ok(())
}

/// ", did you mean `x`?" for a near miss, else where to find all names.
fn hint(name: &str) -> String {
    let nearest = Settings::ALL
        .iter()
        .map(|setting| (distance(name, setting.name), setting.name))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, nearest)) if distance <= 2.max(name.len() / 3) => {
            format!("; did you mean `{nearest}`?")
        }
        _ => "; `carrack config sample` lists all settings".to_owned(),
    }
}

/// Letters to insert, remove or replace to get from one name to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    // A name of the file may be as long as the file; past the longest name it is no near miss.
    let from: Vec<char> = from.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.chars().enumerate() {
            let replaced = diagonal + usize::from(*a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LogFormat, LogLevel};

    fn from_file(text: &str) -> Result<Settings, ConfigError> {
        let mut settings = Settings::default();
        apply_file(&mut settings, Path::new("carrack.toml"), text)?;
        check(&settings)?;
        Ok(settings)
    }

    #[test]
    fn a_file_sets_every_form_of_value() {
        let settings = from_file(
            "data = '/var/lib/carrack'\nlisten = ['0.0.0.0:8081']\nadvertise = 'mq:1'\n\
             create_automatically = true\nretention_bytes_max = 50_000_000\nlog_format = 'json'\n",
        )
        .unwrap();
        assert_eq!(settings.data, Path::new("/var/lib/carrack"));
        assert_eq!(settings.listen, ["0.0.0.0:8081"]);
        assert_eq!(settings.advertise.as_deref(), Some("mq:1"));
        assert_eq!(settings.create_automatically, Some(true));
        assert_eq!(settings.retention_bytes_max, Some(50_000_000));
        assert_eq!(settings.log_format, LogFormat::Json);
        assert_eq!(settings.log_level, LogLevel::Info);
    }

    #[test]
    fn settings_are_written_as_they_are_read() {
        let text = "data = '/d'\nlisten = ['0.0.0.0:8081']\nadvertise = 'mq:1'\n\
             create_automatically = true\nretention_bytes_max = 50_000_000\n\
             log_format = 'json'\nadmin_access_key = 'a'\nadmin_secret_key = 'b'\n";
        let settings = from_file(text).unwrap();
        let table = settings.table();
        for (name, value) in text.parse::<toml::Table>().unwrap() {
            assert_eq!(table.get(&name), Some(&value), "{name}");
        }
        assert_eq!(table.get("tls_key_file"), None);
        let again = from_file(&table.to_string()).unwrap();
        assert_eq!(again.table(), table);
    }

    #[test]
    fn wrong_values_say_what_is_expected() {
        let message = |text: &str| from_file(text).unwrap_err().to_string();
        assert_eq!(
            message("retention_hour = 3"),
            "settings file `carrack.toml` sets `retention_hour`, which is no setting; did you mean \
             `retention_hours`?"
        );
        assert!(message("zzz = 3").ends_with("`carrack config sample` lists all settings"));
        assert_eq!(
            message("automatic_queues = 0"),
            "settings file `carrack.toml`: setting `automatic_queues` is 0, expected 1 to 1024"
        );
        assert_eq!(
            message("automatic_queues = '8'"),
            "settings file `carrack.toml`: setting `automatic_queues` is \"8\", expected a whole \
             number"
        );
        assert!(message("automatic_queues = -1").ends_with("is -1, expected a whole number"));
        assert!(message("listen = []").ends_with("is [], expected a list of texts"));
        assert!(message("log_level = 'loud'").contains("expected error, warn, info"));
        assert!(message("listen = [").contains("is not valid TOML"));
        assert!(message("tls_key_file = 'k'").contains("expected both or neither"));
        assert!(
            message("segment_bytes_min = 33_554_432\nsegment_bytes_max = 16_777_216")
                .contains("expected at most `segment_bytes_max`")
        );
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("carrack.toml");
        std::fs::write(
            &path,
            "data = 'f'\nlog_level = 'warn'\nretention_hours = 5\n",
        )
        .unwrap();
        let mut flags = ServerFlags::default();
        flags.config = Some(path);
        flags.give("data", vec!["flag".into()]);
        let environment = |name: &str| match name {
            "CARRACK_DATA" => Some("environment".to_owned()),
            "CARRACK_LOG_LEVEL" => Some("debug".to_owned()),
            "CARRACK_LISTEN" => Some("127.0.0.1:1, 127.0.0.1:2".to_owned()),
            _ => None,
        };
        let settings = load(&flags, environment).unwrap();
        assert_eq!(settings.data, Path::new("flag"));
        assert_eq!(settings.log_level, LogLevel::Debug);
        assert_eq!(settings.listen, ["127.0.0.1:1", "127.0.0.1:2"]);
        assert_eq!(settings.retention_hours, 5);

        let bad = |name: &str| (name == "CARRACK_RETENTION_HOURS").then(|| "x".to_owned());
        assert_eq!(
            load(&flags, bad).unwrap_err().to_string(),
            "environment variable CARRACK_RETENTION_HOURS: setting `retention_hours` is `x`, \
             expected a whole number"
        );
    }

    #[test]
    fn distances_count_changed_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("lisen", "listen"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
