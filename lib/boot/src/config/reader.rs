//! Reads typed values out of the sources and remembers every mistake on the way.

use std::{fmt, io, ops::RangeInclusive};

use secrecy::SecretString;

use super::{
    file::Value,
    key::Key,
    mistake::{Mistake, Mistakes, Origin},
    parse::Parse,
    sources::{Found, Sources},
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
}

impl Reader {
    /// Merges the environment with the file, given as its path and its text.
    ///
    /// Keys of the file that are not in `keys` are mistakes.
    pub fn new(
        keys: &[&[Key]],
        environment: impl IntoIterator<Item = (String, String)>,
        file: Option<(&str, &str)>,
    ) -> Self {
        let keys: Vec<Key> = keys.iter().flat_map(|part| part.iter().copied()).collect();
        let sources = Sources::new(environment, file);
        let mut mistakes = sources.syntax_mistakes();
        let file_unusable = !mistakes.is_empty();
        mistakes.extend(sources.unknown_names(&keys));
        Self {
            keys,
            sources,
            file_unusable,
            secrets: Vec::new(),
            mistakes,
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

    /// Notes a mistake that only the caller can see, for example a contradiction of two keys.
    pub fn mistake(&mut self, key: &Key, message: impl fmt::Display) {
        let origin = self.sources.origin(key);
        self.note(key.name, origin, message);
    }

    /// Whether one of the sources sets the key.
    #[must_use]
    pub fn is_set(&self, key: &Key) -> bool {
        self.sources.origin(key) != Origin::NotSet
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
        match self.sources.find(key) {
            Ok(found) => Some(found),
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
            Value::Unfit(_) => {}
        }
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
        let or_file = match key.secret {
            true => format!(" or {} (the path of a file with it)", key.file_name()),
            false => String::new(),
        };
        let path = self.sources.path().unwrap_or("the configuration file");
        let message = format!(
            "is required; set the environment variable {}{or_file}, or {} in {path}",
            key.name,
            key.toml_name(),
        );
        self.note(key.name, Origin::NotSet, message);
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
