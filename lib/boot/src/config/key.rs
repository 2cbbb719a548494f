//! One configuration key, as the tables of the documentation list it.

/// A configuration key: an environment variable, and in lower case a key of the TOML file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name of the environment variable, for example `AMQP_URL`.
    pub name: &'static str,
    /// What is used when nothing is set; shown by `--help`.
    pub default: Option<&'static str>,
    /// Whether the value must never be shown; such a key can also be read from `NAME_FILE`.
    pub secret: bool,
    /// One sentence for `--help`.
    pub help: &'static str,
}

impl Key {
    /// A key without default that is no secret.
    #[must_use]
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            default: None,
            secret: false,
            help,
        }
    }

    /// The same key with a default.
    #[must_use]
    pub const fn with_default(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    /// The same key as a secret.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self {
            secret: true,
            ..self
        }
    }

    /// The name in the TOML file, for example `amqp_url`.
    #[must_use]
    pub fn toml_name(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// The environment variable that names a file with the value, for example `AMQP_URL_FILE`.
    pub(crate) fn file_name(&self) -> String {
        format!("{}_FILE", self.name)
    }
}
