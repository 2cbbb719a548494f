//! Where values come from: the environment, over the TOML file, and files that hold secrets.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read as _},
};

use super::{
    file::{File, Value},
    key::Key,
    mistake::{Mistake, Origin},
    suggest::nearest,
};

/// A file that holds a secret is never larger than this.
const SECRET_FILE_BYTES: u64 = 64 * 1024;

/// The environment and the TOML file.
pub(super) struct Sources {
    /// Without the variables that are empty.
    environment: HashMap<String, String>,
    file: File,
}

/// A value that a source gave.
pub(super) struct Found {
    /// The name as the operator wrote it.
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) value: Value,
}

impl Sources {
    pub(super) fn new(
        environment: impl IntoIterator<Item = (String, String)>,
        file: Option<(&str, &str)>,
    ) -> Self {
        let environment = environment.into_iter();
        let environment = environment.filter(|(_, value)| !value.trim().is_empty());
        Self {
            environment: environment.collect(),
            file: file.map_or_else(File::default, |(path, text)| File::parse(path, text)),
        }
    }

    /// The path of the file, or nothing when there is none.
    pub(super) fn path(&self) -> Option<&str> {
        Some(self.file.path.as_str()).filter(|path| !path.is_empty())
    }

    /// The value of a key in the highest source that has one.
    pub(super) fn find(&self, key: &Key) -> Result<Option<Found>, Mistake> {
        let variable = self.variable(key.name);
        let entry = self.entry(&key.toml_name());
        if !key.secret {
            return Ok(variable.or(entry));
        }
        let variable_file = self.variable(&key.file_name());
        let entry_file = self.entry(&key.file_name().to_ascii_lowercase());
        match either(variable, variable_file)? {
            Some(found) => Ok(Some(found)),
            None => either(entry, entry_file),
        }
    }

    /// Which source sets the key.
    pub(super) fn origin(&self, key: &Key) -> Origin {
        let names = [
            Some(key.name.to_owned()),
            key.secret.then(|| key.file_name()),
        ];
        let names = || names.iter().flatten();
        let variable = names().find_map(|name| self.variable(name));
        let entry = || names().find_map(|name| self.entry(&name.to_ascii_lowercase()));
        let found = variable.or_else(entry);
        found.map_or(Origin::NotSet, |found| found.origin)
    }

    /// What makes the file no TOML.
    pub(super) fn syntax_mistakes(&self) -> Vec<Mistake> {
        let errors = self.file.errors.iter();
        let mistake = |(line, error): &(usize, String)| Mistake {
            name: "TOML".to_owned(),
            origin: self.line(*line),
            message: format!("cannot be read: {error}"),
        };
        errors.map(mistake).collect()
    }

    /// The names in the file that are no keys, in the order of their names.
    pub(super) fn unknown_names(&self, keys: &[Key]) -> Vec<Mistake> {
        let known: Vec<String> = keys.iter().flat_map(toml_names).collect();
        let entries = self.file.entries.iter();
        let unknown = entries.filter(|(name, _)| !known.contains(name));
        let mistake = unknown.map(|(name, entry)| {
            let nested = match entry.value {
                Value::Unfit("a table") => "; keys are flat, tables have no meaning here",
                _ => "",
            };
            let hint = match nearest(name, known.iter().cloned()) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "--help lists all keys".to_owned(),
            };
            Mistake {
                name: name.clone(),
                origin: self.line(entry.line),
                message: format!("is not a known key{nested}; {hint}"),
            }
        });
        mistake.collect()
    }

    fn variable(&self, name: &str) -> Option<Found> {
        self.environment.get(name).map(|text| Found {
            name: name.to_owned(),
            origin: Origin::Environment,
            value: Value::Text(text.trim().to_owned()),
        })
    }

    /// An entry of the file that is not empty.
    fn entry(&self, name: &str) -> Option<Found> {
        let entry = self.file.entries.get(name)?;
        let value = match &entry.value {
            Value::Text(text) if text.trim().is_empty() => return None,
            Value::Text(text) => Value::Text(text.trim().to_owned()),
            Value::List(items) => Value::List(items.clone()),
            Value::Unfit(what) => Value::Unfit(what),
        };
        Some(Found {
            name: name.to_owned(),
            origin: self.line(entry.line),
            value,
        })
    }

    fn line(&self, line: usize) -> Origin {
        Origin::File {
            path: self.file.path.clone(),
            line,
        }
    }
}

fn toml_names(key: &Key) -> Vec<String> {
    let mut names = vec![key.toml_name()];
    if key.secret {
        names.push(key.file_name().to_ascii_lowercase());
    }
    names
}

/// A secret given directly or through a file, but not both.
fn either(direct: Option<Found>, file: Option<Found>) -> Result<Option<Found>, Mistake> {
    match (direct, file) {
        (direct, None) => Ok(direct),
        (None, Some(file)) => open(file).map(Some),
        (Some(direct), Some(file)) => Err(Mistake {
            message: format!("is set as well as {}; set only one", file.name),
            name: direct.name,
            origin: direct.origin,
        }),
    }
}

/// Replaces the path of a file by what is in it.
fn open(found: Found) -> Result<Found, Mistake> {
    let text = match &found.value {
        Value::Text(path) => {
            let text = read_secret(path);
            text.map_err(|error| format!("the file {path} cannot be read: {error}"))
        }
        Value::List(_) | Value::Unfit(_) => Err("is not the path of a file".to_owned()),
    };
    match text {
        Ok(text) => Ok(Found {
            value: Value::Text(text),
            ..found
        }),
        Err(message) => Err(Mistake {
            name: found.name,
            origin: found.origin,
            message,
        }),
    }
}

fn read_secret(path: &str) -> io::Result<String> {
    let mut text = String::new();
    let mut file = fs::File::open(path)?.take(SECRET_FILE_BYTES + 1);
    let length = file.read_to_string(&mut text)?;
    match text.trim() {
        "" => Err(io::Error::other("it is empty")),
        _ if length as u64 > SECRET_FILE_BYTES => {
            Err(io::Error::other("it is larger than a secret can be"))
        }
        text => Ok(text.to_owned()),
    }
}
