//! Reads typed values out of the sources and remembers every mistake on the way.

use std::{fmt, io, ops::RangeInclusive};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    file::Value,
    key::Key,
    mistake::{Mistake, Mistakes, Origin},
    parse::Parse,
    sources::{Found, Scope, Sources},
};
use crate::redact::Redactor;

/// As much of a value as a message shows.
const SHOWN_CHARACTERS: usize = 200;

/// The merged sources: the environment over the TOML file over the defaults.
///
/// A service reads every value first and puts its configuration together at the end, so that
/// one run reports all mistakes and not only the first.
pub struct Reader {
    keys: Vec<Key>,
    sources: Sources,
    /// There is a file, but nobody knows what it says.
    file_unusable: bool,
    secrets: Vec<SecretString>,
    mistakes: Vec<Mistake>,
    /// The table that values are read for, if it is one of several.
    scope: Option<Scope>,
    /// Values that no two tables may have in common.
    unique: Vec<Unique>,
}

/// A value that no two tables may have in common.
struct Unique {
    key: &'static str,
    index: usize,
    value: SecretString,
}

impl Reader {
    /// Merges the environment with the file, given as its path and its text.
    ///
    /// Keys of the file that are not in `keys`, and that no other service has, are mistakes.
    pub fn new(
        keys: &[&[Key]],
        environment: impl IntoIterator<Item = (String, String)>,
        file: Option<(&str, &str)>,
    ) -> Self {
        Self::of("", keys, environment, file)
    }

    /// Like [`Reader::new`], for a service that may have a table of its own in the file: `[ws]`.
    pub fn of(
        service: &str,
        keys: &[&[Key]],
        environment: impl IntoIterator<Item = (String, String)>,
        file: Option<(&str, &str)>,
    ) -> Self {
        let keys: Vec<Key> = keys.iter().flat_map(|part| part.iter().copied()).collect();
        let sources = Sources::new(service, environment, file);
        let mut mistakes = sources.syntax_mistakes();
        let file_unusable = !mistakes.is_empty();
        mistakes.extend(sources.unknown_names(&keys));
        Self {
            keys,
            sources,
            file_unusable,
            secrets: Vec::new(),
            mistakes,
            scope: None,
            unique: Vec::new(),
        }
    }

    /// The value of a key that must be set.
    pub fn required<T: Parse>(&mut self, key: &Key) -> Option<T> {
        match self.find(key)? {
            Some(found) => self.parse(key, &found),
            None => {
                self.note_missing(key);
                None
            }
        }
    }

    /// The value of a key that may be absent.
    ///
    /// `None` also stands for a mistake, which [`Reader::finish`] reports.
    pub fn optional<T: Parse>(&mut self, key: &Key) -> Option<T> {
        let found = self.find(key)??;
        self.parse(key, &found)
    }

    /// The value of a key, or its default; without a default the key must be set.
    pub fn or_default<T: Parse>(&mut self, key: &Key) -> Option<T> {
        let Some(default) = key.default else {
            return self.required(key);
        };
        let found = self.find(key)?.unwrap_or_else(|| Found {
            name: key.name.to_owned(),
            origin: Origin::Default,
            value: Value::Text(default.to_owned()),
        });
        self.parse(key, &found)
    }

    /// Like [`Reader::or_default`], for a value that must lie in a range.
    pub fn in_range<T>(&mut self, key: &Key, range: RangeInclusive<T>) -> Option<T>
    where
        T: Parse + PartialOrd + fmt::Debug,
    {
        let value = self.or_default::<T>(key)?;
        if range.contains(&value) {
            return Some(value);
        }
        let shown = match key.secret {
            true => "the value".to_owned(),
            false => format!("{value:?}"),
        };
        let (low, high) = (range.start(), range.end());
        self.mistake(
            key,
            format!("{shown} is out of range; expected {low:?} to {high:?}"),
        );
        None
    }

    /// Reads once for each table of the array `[[list]]`, or once for all when the file has none.
    ///
    /// Within `read` a key that names the array ([`Key::in_each`]) is looked for in the table
    /// first. `None` when one of them is not complete.
    pub fn each<T>(
        &mut self,
        list: &'static str,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(count) = self.sources.tables(list) else {
            return Some(vec![read(self)?]);
        };
        self.refuse_outside(list);
        let mut all = Vec::new();
        for index in 0..count {
            self.scope = Some(Scope { list, index });
            all.push(read(self));
        }
        self.scope = None;
        all.into_iter().collect()
    }

    /// Notes a mistake that only the caller can see, for example a contradiction of two keys.
    pub fn mistake(&mut self, key: &Key, message: impl fmt::Display) {
        let (name, origin) = self.whence(key);
        self.note(&name, origin, message);
    }

    /// Whether one of the sources sets the key.
    #[must_use]
    pub fn is_set(&self, key: &Key) -> bool {
        self.sources.origin(key, self.scope).is_some()
    }

    /// The configuration, or everything that is wrong with it.
    ///
    /// # Errors
    /// When a mistake was noted, even if there is a configuration.
    pub fn finish<C>(mut self, config: Option<C>) -> Result<C, Mistakes> {
        if config.is_none() && self.mistakes.is_empty() {
            self.note("configuration", Origin::NotSet, "is incomplete");
        }
        match config {
            Some(config) if self.mistakes.is_empty() => Ok(config),
            _ => Err(Mistakes::new(&self.mistakes, &self.redactor())),
        }
    }

    /// Hides the secrets that were read so far.
    pub(crate) fn redactor(&self) -> Redactor {
        Redactor::new(&self.secrets)
    }

    /// Notes that the configuration file itself cannot be used.
    pub(crate) fn unreadable(&mut self, path: &str, error: &io::Error) {
        let message = format!("cannot be read: {error}");
        self.note(path, Origin::WholeFile, message);
        self.file_unusable = true;
    }

    /// What the sources have for the key; the outer `None` is a mistake, now noted.
    fn find(&mut self, key: &Key) -> Option<Option<Found>> {
        debug_assert!(self.keys.contains(key), "{} is not listed", key.name);
        match self.sources.find(key, self.scope) {
            Ok(found) => {
                if let Some(found) = &found {
                    self.refuse_again(key, found);
                }
                Some(found)
            }
            Err(mistake) => {
                self.mistakes.push(mistake);
                None
            }
        }
    }

    fn parse<T: Parse>(&mut self, key: &Key, found: &Found) -> Option<T> {
        if key.secret {
            self.remember(&found.value);
        }
        let result = match &found.value {
            Value::List(items) => T::parse_list(items),
            Value::Text(text) if text.contains(char::REPLACEMENT_CHARACTER) => {
                self.note(&found.name, found.origin.clone(), "is not valid UTF-8");
                return None;
            }
            Value::Text(text) => T::parse(text),
            Value::Table(_) | Value::Tables(_) => return None,
            Value::Unfit(what) => {
                let message = format!("is {what}; expected {}", T::expected());
                self.note(&found.name, found.origin.clone(), message);
                return None;
            }
        };
        let invalid = match result {
            Ok(value) => return Some(value),
            Err(invalid) => invalid,
        };
        let shown = match &found.value {
            Value::Text(text) if !key.secret => format!("{:?}", shorten(text)),
            _ => "the value".to_owned(),
        };
        let mut message = format!("{shown} is not {}", T::expected());
        // The reason may quote the value, or a part of it that no redaction would find.
        if let (Some(detail), false) = (invalid.detail, key.secret) {
            message.push_str(": ");
            message.push_str(shorten(&detail));
        }
        self.note(&found.name, found.origin.clone(), message);
        None
    }

    /// Keeps a secret, so that it can be found in what is written.
    fn remember(&mut self, value: &Value) {
        match value {
            Value::List(items) => {
                let items = items.iter().map(|item| item.as_str().into());
                self.secrets.extend(items);
            }
            Value::Text(text) => self.secrets.push(text.as_str().into()),
            Value::Table(_) | Value::Tables(_) | Value::Unfit(_) => {}
        }
    }

    /// The name of a key in messages, and which source sets it.
    fn whence(&self, key: &Key) -> (String, Origin) {
        let found = self.sources.origin(key, self.scope);
        // Outside of arrays a key is called by its one name, wherever it is set.
        match found {
            Some((name, origin)) if name.contains('[') => (name, origin),
            Some((_, origin)) => (key.name.to_owned(), origin),
            None => (key.name.to_owned(), Origin::NotSet),
        }
    }

    /// Notes what each table has to have for itself and is set elsewhere.
    fn refuse_outside(&mut self, list: &'static str) {
        for key in self.keys.clone() {
            let each = key.each.filter(|each| each.list == list && each.unique);
            let Some(each) = each.filter(|_| self.is_set(&key)) else {
                continue;
            };
            let message = format!(
                "stands outside of [[{list}]]; write it into one of these tables, as {}",
                each.name
            );
            self.mistake(&key, message);
        }
    }

    /// Notes a value that another table has too and may not have.
    fn refuse_again(&mut self, key: &Key, found: &Found) {
        let (Some(scope), Value::Text(value)) = (self.scope, &found.value) else {
            return;
        };
        if !key.each.is_some_and(|each| each.unique) {
            return;
        }
        let same = |other: &&Unique| {
            other.index != scope.index
                && other.key == key.name
                && other.value.expose_secret() == value.as_str()
        };
        if let Some(other) = self.unique.iter().find(same) {
            let message = format!("is the same as that of {}[{}]", scope.list, other.index);
            self.note(&found.name, found.origin.clone(), message);
            return;
        }
        self.unique.push(Unique {
            key: key.name,
            index: scope.index,
            value: value.as_str().into(),
        });
    }

    fn note(&mut self, name: &str, origin: Origin, message: impl fmt::Display) {
        self.mistakes.push(Mistake {
            name: name.to_owned(),
            origin,
            message: message.to_string(),
        });
    }

    fn note_missing(&mut self, key: &Key) {
        // What an unusable file would have set is unknown.
        if self.file_unusable {
            return;
        }
        let home = self.scope.and_then(|scope| self.sources.home(key, scope));
        let path = self.sources.path().unwrap_or("the configuration file");
        let (name, origin, place) = match (home, key.each) {
            (Some((name, origin)), Some(each)) if each.unique => {
                let place = format!("{} in this table", each.name);
                let file = format!("{}_file", each.name);
                (name, origin, or_file(key, &place, &file))
            }
            (Some((name, origin)), Some(each)) => {
                let place = format!("{} in this table, or {} for all", each.name, key.name);
                (name, origin, place)
            }
            _ => {
                let variable = format!("the environment variable {}", key.name);
                let variable = or_file(key, &variable, &key.file_name());
                let place = format!("{variable}, or {} in {path}", key.toml_name());
                (key.name.to_owned(), Origin::NotSet, place)
            }
        };
        self.note(&name, origin, format!("is required; set {place}"));
    }
}

/// Where a key can be set, and that a secret can be given as a file.
fn or_file(key: &Key, place: &str, file: &str) -> String {
    match key.secret {
        true => format!("{place} or {file} (the path of a file with it)"),
        false => place.to_owned(),
    }
}

/// Shows neither values nor secrets.
impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("file", &self.sources.path())
            .field("mistakes", &self.mistakes.len())
            .finish_non_exhaustive()
    }
}

/// Enough of a value to recognise it.
fn shorten(text: &str) -> &str {
    text.char_indices()
        .nth(SHOWN_CHARACTERS)
        .map_or(text, |(end, _)| &text[..end])
}
