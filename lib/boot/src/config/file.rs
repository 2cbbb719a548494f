//! The TOML file: keys in tables, with the line of each for the messages.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

/// What the file says.
#[derive(Default)]
pub(super) struct File {
    /// The path as the operator wrote it.
    pub(super) path: String,
    /// The keys that stand before all tables, and the tables.
    pub(super) top: Table,
    /// Syntax errors: line and what is wrong.
    pub(super) errors: Vec<(usize, String)>,
}

/// A table of the file.
#[derive(Clone, Default)]
pub(super) struct Table {
    /// Where it begins.
    pub(super) line: usize,
    pub(super) entries: BTreeMap<String, Entry>,
}

/// One key of the file.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// A value as the file gives it.
#[derive(Clone)]
pub(super) enum Value {
    List(Vec<String>),
    Table(Table),
    Tables(Vec<Table>),
    Text(String),
    /// Dates and lists of lists, which no key takes.
    Unfit(&'static str),
}

impl Table {
    fn new(text: &str, line: usize, table: &DeTable<'_>) -> Self {
        let entries = table.iter().map(|(key, entry)| {
            let line = self::line(text, key.span().start);
            let value = value(text, line, entry.get_ref());
            (key.get_ref().to_string(), Entry { line, value })
        });
        Self {
            line,
            entries: entries.collect(),
        }
    }
}

impl File {
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let errors = errors.iter().map(|error| {
            let start = error.span().map_or(0, |span| span.start);
            (line(text, start), error.message().to_owned())
        });
        let errors: Vec<_> = errors.collect();
        let top = match errors.is_empty() {
            true => Table::new(text, 1, table.get_ref()),
            false => Table::default(),
        };
        Self {
            path: path.to_owned(),
            top,
            errors,
        }
    }
}

fn value(text: &str, at: usize, value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Array(items) => {
            let tables = items.iter().map(|item| match item.get_ref() {
                DeValue::Table(table) => {
                    Some(Table::new(text, line(text, item.span().start), table))
                }
                _ => None,
            });
            let scalars = items.iter().map(|item| scalar(item.get_ref()));
            if let Some(items) = scalars.collect() {
                return Value::List(items);
            }
            match tables.collect() {
                Some(tables) => Value::Tables(tables),
                None => Value::Unfit("a list of lists or tables"),
            }
        }
        DeValue::Table(table) => Value::Table(Table::new(text, at, table)),
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
