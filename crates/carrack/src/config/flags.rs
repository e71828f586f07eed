//! The flags of `carrack server`, made from the settings that have one.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::Settings;

/// What the command line said of settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerFlags {
    /// The file to read, if one was named.
    pub(crate) config: Option<PathBuf>,
    given: BTreeMap<&'static str, Vec<String>>,
}

impl ServerFlags {
    /// The texts that the flag of a setting was given with.
    pub(super) fn given(&self, name: &str) -> Option<&[String]> {
        self.given.get(name).map(Vec::as_slice)
    }

    #[cfg(test)]
    pub(super) fn give(&mut self, name: &'static str, texts: Vec<String>) {
        self.given.insert(name, texts);
    }
}

impl clap::FromArgMatches for ServerFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.config = matches.get_one::<PathBuf>("config").cloned();
        for setting in Settings::ALL
            .iter()
            .filter(|setting| setting.flag.is_some())
        {
            if let Some(texts) = matches.get_many::<String>(setting.name) {
                self.given.insert(setting.name, texts.cloned().collect());
            }
        }
        Ok(())
    }
}

impl clap::Args for ServerFlags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .value_hint(clap::ValueHint::FilePath)
            .help("Settings file to read; `carrack config sample` prints one to start from");
        let mut command = command.arg(config);
        for setting in Settings::ALL {
            let Some((flag, placeholder)) = setting.flag else {
                continue;
            };
            let action = if setting.form == <Vec<String> as super::value::Value>::FORM {
                ArgAction::Append
            } else {
                ArgAction::Set
            };
            let help = format!(
                "{} [default: {}] [env: {}]",
                one_line(setting.sentence),
                setting.default,
                setting.environment()
            );
            let arg = Arg::new(setting.name)
                .long(flag)
                .value_name(placeholder)
                .action(action)
                .help(help);
            command = command.arg(arg);
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// A sentence without the line breaks of its source.
pub(super) fn one_line(sentence: &str) -> String {
    sentence.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What `carrack server --help` says after the flags: the settings that have none.
pub(crate) fn server_help() -> String {
    let mut help = String::from(
        "Further settings, in the file or as environment variables (CARRACK_ and the name in \
         capitals):\n",
    );
    for setting in Settings::ALL
        .iter()
        .filter(|setting| setting.flag.is_none())
    {
        write!(
            help,
            "\n  {}\n      {} [default: {}]\n",
            setting.name,
            one_line(setting.sentence),
            setting.default
        )
        .expect("writing to a string cannot fail");
    }
    help.push_str(
        "\nExit codes: 0 stopped when asked to, 1 could not start or failed, 2 wrong usage or \
         settings.",
    );
    help
}
