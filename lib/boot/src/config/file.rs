//! The TOML file: flat keys, with the line of each for the messages.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

/// What the file says, by key.
#[derive(Default)]
pub(super) struct File {
    /// The path as the operator wrote it.
    pub(super) path: String,
    pub(super) entries: BTreeMap<String, Entry>,
    /// Syntax errors: line and what is wrong.
    pub(super) errors: Vec<(usize, String)>,
}

/// One key of the file.
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// A value as the file gives it.
pub(super) enum Value {
    List(Vec<String>),
    Text(String),
    /// Tables, dates and lists of lists, which no key takes.
    Unfit(&'static str),
}

impl File {
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let errors = errors.iter().map(|error| {
            let start = error.span().map_or(0, |span| span.start);
            (line(text, start), error.message().to_owned())
        });
        let mut file = Self {
            path: path.to_owned(),
            entries: BTreeMap::new(),
            errors: errors.collect(),
        };
        if file.errors.is_empty() {
            for (key, entry) in table.get_ref() {
                let line = line(text, key.span().start);
                let value = value(entry.get_ref());
                let name = key.get_ref().to_string();
                file.entries.insert(name, Entry { line, value });
            }
        }
        file
    }
}

fn value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Array(items) => {
            let items = items.iter().map(|item| scalar(item.get_ref()));
            match items.collect() {
                Some(items) => Value::List(items),
                None => Value::Unfit("a list of lists or tables"),
            }
        }
        DeValue::Table(_) => Value::Unfit("a table"),
        other => match scalar(other) {
            Some(text) => Value::Text(text),
            None => Value::Unfit("a date or a number out of range"),
        },
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Float(value) => Some(value.as_str().to_owned()),
        DeValue::Integer(value) => i128::from_str_radix(value.as_str(), value.radix())
            .ok()
            .map(|value| value.to_string()),
        DeValue::String(value) => Some(value.to_string()),
        DeValue::Array(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// The number of the line, from 1, that holds this byte.
fn line(text: &str, position: usize) -> usize {
    let before = text.as_bytes().iter().take(position);
    before.filter(|byte| **byte == b'\n').count() + 1
}
