//! Where values come from: the environment, over the TOML file, and files that hold secrets.
//!
//! Within the file the table of the service wins over what all services share. Within a table of
//! an array, such as `[[applications]]`, that table wins over everything else.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read as _},
};

use super::{
    file::{File, Table, Value},
    key::Key,
    mistake::{Mistake, Origin},
    names::Names,
};

/// A file that holds a secret is never larger than this.
const SECRET_FILE_BYTES: u64 = 64 * 1024;

/// The environment and the TOML file.
pub(super) struct Sources {
    /// The name of the service's own table.
    service: String,
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

/// A table of an array, for whose sake keys are looked for.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    pub(super) list: &'static str,
    pub(super) index: usize,
}

/// One of the places where a key may stand.
struct Place<'s> {
    /// The table; without one it is the environment.
    table: Option<&'s Table>,
    /// What comes before the name in messages, for example `applications[0].`.
    path: String,
    /// The name of the key there.
    name: String,
}

impl Sources {
    pub(super) fn new(
        service: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        file: Option<(&str, &str)>,
    ) -> Self {
        let environment = environment.into_iter();
        let environment = environment.filter(|(_, value)| !value.trim().is_empty());
        Self {
            service: service.to_owned(),
            environment: environment.collect(),
            file: file.map_or_else(File::default, |(path, text)| File::parse(path, text)),
        }
    }

    /// The path of the file, or nothing when there is none.
    pub(super) fn path(&self) -> Option<&str> {
        Some(self.file.path.as_str()).filter(|path| !path.is_empty())
    }

    /// How many tables the array has, if the file has such an array.
    pub(super) fn tables(&self, list: &str) -> Option<usize> {
        let (_, value) = self.list(list)?;
        match value {
            Value::Tables(tables) => Some(tables.len()),
            _ => Some(0),
        }
    }

    /// The value of a key in the highest source that has one.
    pub(super) fn find(&self, key: &Key, scope: Option<Scope>) -> Result<Option<Found>, Mistake> {
        for place in self.places(key, scope) {
            let direct = self.at(&place, &place.name);
            let file = match key.secret {
                true => self.at(&place, &place.file_name()),
                false => None,
            };
            if let Some(found) = either(direct, file)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Which source sets the key, and under which name there.
    pub(super) fn origin(&self, key: &Key, scope: Option<Scope>) -> Option<(String, Origin)> {
        let places = self.places(key, scope);
        let found = places.iter().find_map(|place| {
            let direct = self.at(place, &place.name);
            direct.or_else(|| self.at(place, &place.file_name()).filter(|_| key.secret))
        })?;
        Some((found.name, found.origin))
    }

    /// The name and the place that a key would have in a table of an array.
    pub(super) fn home(&self, key: &Key, scope: Scope) -> Option<(String, Origin)> {
        let each = key.each.filter(|each| each.list == scope.list)?;
        let (path, table) = self.table(scope)?;
        Some((format!("{path}{}", each.name), self.line(table.line)))
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
        let service = &self.service;
        let strangers = Names { keys, service }.strangers(&self.file.top);
        let mistake = strangers.into_iter().map(|(name, line, message)| Mistake {
            name,
            origin: self.line(line),
            message,
        });
        mistake.collect()
    }

    /// Where the key may stand, the highest first.
    fn places(&self, key: &Key, scope: Option<Scope>) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        let each = key.each.zip(scope);
        if let Some((each, scope)) = each.filter(|(each, scope)| each.list == scope.list) {
            if let Some((path, table)) = self.table(scope) {
                self.layers(table, &path, each.name, &mut places);
            }
            if each.unique {
                return places;
            }
        }
        places.push(Place {
            table: None,
            path: String::new(),
            name: key.name.to_owned(),
        });
        self.layers(&self.file.top, "", &key.toml_name(), &mut places);
        places
    }

    /// The service's own part of a table, then the table itself.
    fn layers<'s>(&self, table: &'s Table, path: &str, name: &str, places: &mut Vec<Place<'s>>) {
        if let Some(own) = self.own(table) {
            places.push(Place {
                table: Some(own),
                path: format!("{path}{}.", self.service),
                name: name.to_owned(),
            });
        }
        places.push(Place {
            table: Some(table),
            path: path.to_owned(),
            name: name.to_owned(),
        });
    }

    fn own<'s>(&self, table: &'s Table) -> Option<&'s Table> {
        match &table.entries.get(&self.service)?.value {
            Value::Table(own) => Some(own),
            _ => None,
        }
    }

    /// An array of tables, and what comes before its name.
    fn list(&self, list: &str) -> Option<(String, &Value)> {
        let top = &self.file.top;
        let own = self.own(top).and_then(|own| own.entries.get(list));
        match own {
            Some(entry) => Some((format!("{}.", self.service), &entry.value)),
            None => Some((String::new(), &top.entries.get(list)?.value)),
        }
    }

    /// A table of an array, and what comes before the names in it.
    fn table(&self, scope: Scope) -> Option<(String, &Table)> {
        let Scope { list, index } = scope;
        let (path, value) = self.list(list)?;
        match value {
            Value::Tables(tables) => Some((format!("{path}{list}[{index}]."), tables.get(index)?)),
            _ => None,
        }
    }

    /// What stands in one place under this name, if it is not empty.
    fn at(&self, place: &Place<'_>, name: &str) -> Option<Found> {
        let Some(table) = place.table else {
            return self.variable(name);
        };
        let entry = table.entries.get(name)?;
        let value = match &entry.value {
            Value::Text(text) if text.trim().is_empty() => return None,
            Value::Text(text) => Value::Text(text.trim().to_owned()),
            Value::Table(_) => Value::Unfit("a table"),
            Value::Tables(_) => Value::Unfit("a list of tables"),
            other => other.clone(),
        };
        Some(Found {
            name: format!("{}{name}", place.path),
            origin: self.line(entry.line),
            value,
        })
    }

    fn variable(&self, name: &str) -> Option<Found> {
        self.environment.get(name).map(|text| Found {
            name: name.to_owned(),
            origin: Origin::Environment,
            value: Value::Text(text.trim().to_owned()),
        })
    }

    fn line(&self, line: usize) -> Origin {
        Origin::File {
            path: self.file.path.clone(),
            line,
        }
    }
}

impl Place<'_> {
    /// The name of the key whose value is the path of a file with the secret.
    fn file_name(&self) -> String {
        match self.table {
            None => format!("{}_FILE", self.name),
            Some(_) => format!("{}_file", self.name),
        }
    }
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
        Value::List(_) | Value::Table(_) | Value::Tables(_) | Value::Unfit(_) => {
            Err("is not the path of a file".to_owned())
        }
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
