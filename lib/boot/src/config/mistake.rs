//! What is wrong with a configuration, one line for each mistake.

use std::fmt;

use crate::redact::Redactor;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The default of the key.
    Default,
    /// An environment variable.
    Environment,
    /// A line of the configuration file.
    File { path: String, line: usize },
    /// Nowhere.
    NotSet,
    /// The configuration file as a whole.
    WholeFile,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment => f.write_str("environment"),
            Self::File { path, line } => write!(f, "{path} line {line}"),
            Self::NotSet => f.write_str("not set"),
            Self::WholeFile => f.write_str("configuration file"),
        }
    }
}

/// One mistake: which key, from where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The name as the operator wrote it; the file's own path when the file is at fault.
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name, self.origin, self.message)
    }
}

/// All mistakes of a configuration; shown as one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    lines: Vec<String>,
}

impl Mistakes {
    /// Makes one line of each mistake, free of secrets and control characters.
    pub(super) fn new(mistakes: &[Mistake], redactor: &Redactor) -> Self {
        let line = |mistake: &Mistake| one_line(&redactor.clean(&mistake.to_string()));
        Self {
            lines: mistakes.iter().map(line).collect(),
        }
    }

    /// The lines, in the order in which the keys were read.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// Replaces what would break the line or drive a terminal.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}
