//! The command line, the same for every service.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Arg, ArgAction, Command, value_parser};

use crate::{
    config::Key,
    orders::{Order, Orders},
    probe::Probe,
};

/// Read when no other file is named, if it is there.
const DEFAULT_FILE: &str = "gateway.toml";

/// What the operator asked for.
#[derive(Debug)]
pub(crate) struct Options {
    config: Option<PathBuf>,
    pub(crate) check: bool,
    /// Ask the service that runs beside this, and exit.
    pub(crate) probe: Option<Probe>,
    pub(crate) orders: Orders,
}

/// A configuration file: its path and its text, or why it cannot be read.
pub(crate) struct ConfigFile {
    pub(crate) path: String,
    pub(crate) text: io::Result<String>,
}

impl Options {
    pub(crate) fn parse(
        name: &'static str,
        version: &'static str,
        keys: &[&[Key]],
        orders: &[Order],
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let flags = orders.iter().map(|order| {
            Arg::new(order.name)
                .long(order.name)
                .value_name(order.value)
                .help(order.help)
        });
        let matches = Command::new(name)
            .version(version)
            .arg(
                Arg::new("config")
                    .long("config")
                    .value_name("PATH")
                    .value_parser(value_parser!(PathBuf))
                    .help("The configuration file [default: gateway.toml, if it is there]"),
            )
            .arg(
                Arg::new("check")
                    .long("check")
                    .action(ArgAction::SetTrue)
                    .help("Check the configuration and exit"),
            )
            .args(Probe::ALL.map(|probe| {
                Arg::new(probe.flag())
                    .long(probe.flag())
                    .action(ArgAction::SetTrue)
                    .help(probe.help())
            }))
            .args(flags)
            .after_help(table(keys))
            .try_get_matches_from(arguments)?;
        let ordered = orders.iter().filter_map(|order| {
            let value = matches.get_one::<String>(order.name)?;
            Some((order.name, value.clone()))
        });
        Ok(Self {
            orders: Orders(Arc::new(ordered.collect())),
            config: matches.get_one::<PathBuf>("config").cloned(),
            check: matches.get_flag("check"),
            probe: Probe::ALL
                .into_iter()
                .find(|probe| matches.get_flag(probe.flag())),
        })
    }

    /// The file to read: the one that was named, or the usual one if it exists.
    pub(crate) fn file(&self) -> Option<ConfigFile> {
        let named = self.config.as_deref();
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let text = fs::read_to_string(path);
        let absent = matches!(&text, Err(error) if error.kind() == io::ErrorKind::NotFound);
        if named.is_none() && absent {
            return None;
        }
        Some(ConfigFile {
            path: path.display().to_string(),
            text,
        })
    }
}

/// All keys with their defaults, for the end of `--help`.
fn table(keys: &[&[Key]]) -> String {
    let mut table = String::from(
        "Configuration, as environment variables, or in lower case as keys of the file:\n",
    );
    for part in keys {
        table.push('\n');
        for key in *part {
            let file = match key.secret {
                true => format!(", {}", key.file_name()),
                false => String::new(),
            };
            let default = match key.default {
                Some(default) => format!(" [default: {default}]"),
                None => String::new(),
            };
            let each = match key.each {
                Some(each) => format!(" ([[{}]]: {})", each.list, each.name),
                None => String::new(),
            };
            // Writing to a string cannot fail.
            writeln!(
                table,
                "  {}{file}{each}\n          {}{default}",
                key.name, key.help
            )
            .ok();
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::error::ErrorKind;

    use super::Options;
    use crate::{config::Key, orders::Order, probe::Probe};

    const KEYS: &[Key] = &[
        Key::new("TOKEN", "The token").secret(),
        Key::new("COLOUR", "The colour").with_default("blue"),
    ];

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        let arguments = ["gateway-test"].iter().chain(arguments);
        let arguments = arguments.map(OsString::from);
        Options::parse("gateway-test", "1.2.3", &[KEYS], ORDERS, arguments)
    }

    const ORDERS: &[Order] = &[Order {
        name: "greet",
        value: "NAME",
        help: "Greet somebody",
    }];

    #[test]
    fn orders() {
        let orders = parse(&["--greet", "Ada"]).unwrap().orders;
        assert_eq!(orders.get(&ORDERS[0]), Some("Ada"));
        assert!(parse(&[]).unwrap().orders.is_empty());
        let nobody = parse(&["--greet"]).unwrap_err();
        assert!(nobody.to_string().contains("--greet <NAME>"), "{nobody}");
    }

    #[test]
    fn options() {
        let options = parse(&["--config", "/etc/gateway.toml", "--check"]).unwrap();
        assert!(options.check);
        assert_eq!(options.config.unwrap().to_str(), Some("/etc/gateway.toml"));
        assert!(!parse(&[]).unwrap().check);
    }

    #[test]
    fn probes() {
        for (flag, probe) in [("--health", Probe::Health), ("--ready", Probe::Ready)] {
            assert_eq!(parse(&[flag]).unwrap().probe, Some(probe));
        }
        assert_eq!(parse(&[]).unwrap().probe, None);
    }

    #[test]
    fn help_lists_all_keys() {
        let help = parse(&["--help"]).unwrap_err();
        assert_eq!(help.kind(), ErrorKind::DisplayHelp);
        let help = help.to_string();
        for text in [
            "--config <PATH>",
            "--check",
            "TOKEN, TOKEN_FILE",
            "The token",
            "The colour [default: blue]",
        ] {
            assert!(help.contains(text), "{text}\n{help}");
        }
    }

    #[test]
    fn version_and_mistakes() {
        let version = parse(&["--version"]).unwrap_err();
        assert_eq!(version.to_string(), "gateway-test 1.2.3\n");
        let mistake = parse(&["--chekc"]).unwrap_err();
        assert_eq!(mistake.kind(), ErrorKind::UnknownArgument);
        assert!(mistake.to_string().contains("--check"), "{mistake}");
    }

    #[test]
    fn a_named_file_must_exist() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent.toml");
        let options = parse(&["--config", path.to_str().unwrap()]).unwrap();
        assert!(options.file().unwrap().text.is_err());
    }
}
