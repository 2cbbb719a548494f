//! From arguments, environment and file to a configured service, or to an answer for the operator.

use std::{ffi::OsString, net::SocketAddr, time::Duration};

use crate::{
    cli::Options,
    config::{Key, Mistakes, Reader},
    log::{Filter, Format},
    orders::{Order, Orders},
    probe,
    redact::Redactor,
    trace, webhook,
};

/// The configuration, or the command line, is wrong (`EX_USAGE` of sysexits.h).
const EXIT_CONFIGURATION: u8 = 64;

const ADMIN_ADDRESS: Key = Key::new(
    "ADMIN_ADDRESS",
    "Where /healthz, /readyz and /metrics are served",
)
.with_default("127.0.0.1:9090");

const LOG: Key = Key::new(
    "LOG",
    "What is logged: a level, or levels by module, for example warn,gateway_ws=debug",
)
.with_default("info,lapin=off");

const LOG_FORMAT: Key =
    Key::new("LOG_FORMAT", "How log lines look: text or json").with_default("text");

const SHUTDOWN_GRACE: Key = Key::new(
    "SHUTDOWN_GRACE",
    "How long a stop may take before what still runs is aborted",
)
.with_default("20s");

const THREADS: Key = Key::new(
    "THREADS",
    "How many threads share the work: with one it takes the least CPU time",
)
.with_default("1");

const MOST_THREADS: u16 = 1_024;

const OWN: &[Key] = &[ADMIN_ADDRESS, LOG, LOG_FORMAT, SHUTDOWN_GRACE, THREADS];

/// The keys that every service has; [`main`](crate::main) adds them by itself.
pub const KEYS: &[&[Key]] = &[OWN, webhook::KEYS, trace::KEYS];

/// What boot itself is configured with.
pub(crate) struct Settings {
    pub(crate) admin_address: SocketAddr,
    pub(crate) filter: Filter,
    pub(crate) format: Format,
    pub(crate) grace: Duration,
    pub(crate) threads: u16,
    pub(crate) traces: Option<trace::Settings>,
    pub(crate) webhook: Option<webhook::Settings>,
}

/// A service that is ready to run.
pub(crate) struct Plan<C> {
    pub(crate) settings: Settings,
    pub(crate) config: C,
    pub(crate) redactor: Redactor,
    /// What is to be done in place of running.
    pub(crate) orders: Orders,
    /// Whether log lines may have colours.
    pub(crate) colour: bool,
}

/// There is nothing to run: print the text and exit with the status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) status: u8,
}

impl<C> Plan<C> {
    pub(crate) fn new(
        name: &'static str,
        version: &'static str,
        keys: &[&[Key]],
        orders: &[Order],
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (String, String)>,
        read: fn(&mut Reader) -> Option<C>,
    ) -> Result<Self, Answer> {
        let keys = [keys, KEYS].concat();
        let options = Options::parse(name, version, &keys, orders, arguments)?;
        let environment: Vec<_> = environment.into_iter().collect();
        let colour = !environment.iter().any(|(name, _)| name == "NO_COLOR");
        let mut reader = reader(name, &keys, &options, environment);
        if let Some(probe) = options.probe {
            let address = reader.or_default(&ADMIN_ADDRESS);
            let asked = reader.finish(address).map(|at| probe::ask(at, probe));
            return Err(asked.unwrap_or_else(|mistakes| Answer::mistakes(name, &mistakes)));
        }
        let settings = Settings::read(&mut reader);
        let config = read(&mut reader);
        let redactor = reader.redactor();
        match reader.finish(settings.zip(config)) {
            Err(mistakes) => Err(Answer::mistakes(name, &mistakes)),
            Ok(_) if options.check => Err(Answer {
                text: "configuration is valid\n".to_owned(),
                status: 0,
            }),
            Ok((settings, config)) => Ok(Self {
                settings,
                config,
                redactor,
                orders: options.orders,
                colour,
            }),
        }
    }
}

impl Answer {
    fn mistakes(name: &str, mistakes: &Mistakes) -> Self {
        Self {
            text: format!("{name}: the configuration is not valid:\n{mistakes}\n"),
            status: EXIT_CONFIGURATION,
        }
    }
}

impl Settings {
    fn read(reader: &mut Reader) -> Option<Self> {
        let admin_address = reader.or_default(&ADMIN_ADDRESS);
        let filter = reader.or_default(&LOG);
        let format = reader.or_default(&LOG_FORMAT);
        let grace = reader.or_default(&SHUTDOWN_GRACE);
        let threads = reader.in_range(&THREADS, 1..=MOST_THREADS);
        let webhook = webhook::Settings::read(reader);
        let traces = trace::Settings::read(reader);
        Some(Self {
            admin_address: admin_address?,
            filter: filter?,
            format: format?,
            grace: grace?,
            threads: threads?,
            traces: traces?,
            webhook: webhook?,
        })
    }
}

/// `--help` and `--version` are answers too.
impl From<clap::Error> for Answer {
    fn from(error: clap::Error) -> Self {
        Self {
            text: format!("{}\n", error.to_string().trim_end()),
            status: match error.use_stderr() {
                true => EXIT_CONFIGURATION,
                false => 0,
            },
        }
    }
}

fn reader(
    name: &str,
    keys: &[&[Key]],
    options: &Options,
    environment: Vec<(String, String)>,
) -> Reader {
    // The table of gateway-ws is [ws].
    let service = name.strip_prefix("gateway-").unwrap_or(name);
    let Some(file) = options.file() else {
        return Reader::of(service, keys, environment, None);
    };
    match file.text {
        Ok(text) => Reader::of(service, keys, environment, Some((&file.path, &text))),
        Err(error) => {
            let mut reader = Reader::of(service, keys, environment, None);
            reader.unreadable(&file.path, &error);
            reader
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Plan, Reader};

    fn plan(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Plan<()>, Answer> {
        let arguments = ["gateway-test"].iter().chain(arguments);
        let arguments = arguments.map(Into::into);
        let environment = environment.iter();
        let environment =
            environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let read = |_: &mut Reader| Some(());
        Plan::new(
            "gateway-test",
            "1.2.3",
            &[],
            &[],
            arguments,
            environment,
            read,
        )
    }

    #[test]
    fn the_defaults_are_valid() {
        let plan = plan(&[], &[]).unwrap();
        assert_eq!(plan.settings.grace.as_secs(), 20);
        assert!(plan.colour);
        assert!(!self::plan(&[], &[("NO_COLOR", "1")]).unwrap().colour);
    }

    /// Arguments, environment, and the status and a part of the answer.
    type Case<'c> = (&'c [&'c str], &'c [(&'c str, &'c str)], u8, &'c str);

    #[test]
    fn answers() {
        let cases: &[Case<'_>] = &[
            (&["--version"], &[], 0, "gateway-test 1.2.3\n"),
            (&["--help"], &[], 0, "ADMIN_ADDRESS"),
            (&["--check"], &[], 0, "configuration is valid\n"),
            (&["--chek"], &[], 64, "--check"),
            (
                &[],
                &[("LOG", "gateway_ws=loud")],
                64,
                "LOG (environment): ",
            ),
            (&["--check"], &[("LOG_FORMAT", "xml")], 64, "LOG_FORMAT"),
        ];
        for (arguments, environment, status, text) in cases {
            let answer = plan(arguments, environment).err().unwrap();
            assert_eq!(answer.status, *status, "{answer:?}");
            assert!(answer.text.contains(text), "{answer:?}");
        }
    }
}
