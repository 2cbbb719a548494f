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
    /// The array of tables in each of which the key may stand as well.
    pub each: Option<Each>,
}

/// The place of a key in an array of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Each {
    /// The array, for example `applications`.
    pub list: &'static str,
    /// The name of the key there, for example `intents`.
    pub name: &'static str,
    /// Whether every table has to have a value of its own, which no other has.
    pub unique: bool,
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
            each: None,
        }
    }

    /// The same key, which may stand in each table of `[[list]]` under this name. What stands
    /// elsewhere is the default for the tables that do not have it.
    #[must_use]
    pub const fn in_each(self, list: &'static str, name: &'static str) -> Self {
        let unique = false;
        let each = Some(Each { list, name, unique });
        Self { each, ..self }
    }

    /// Like [`Key::in_each`], for what no two tables may have in common, and what therefore is
    /// no default for them when it stands elsewhere.
    #[must_use]
    pub const fn unique_in_each(self, list: &'static str, name: &'static str) -> Self {
        let unique = true;
        let each = Some(Each { list, name, unique });
        Self { each, ..self }
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
