//! What an operator can set of the sources of sound.

use std::{path::PathBuf, time::Duration};

use boot::{Key, Reader, Size};
use places::Places;

use crate::resolver::QUERY;

const SOUNDS: Key = Key::new(
    "VOICE_SOUNDS",
    "The directory of the files that tracks can name; without it they can name none.",
);
const SOURCE_SIZE: Key = Key::new(
    "VOICE_SOURCE_SIZE",
    "How large a file may be that is played, wherever it comes from. What has no length has no bound.",
)
.with_default("1GiB");
const SOURCE_TIMEOUT: Key = Key::new(
    "VOICE_SOURCE_TIMEOUT",
    "How long a source may take until its first sound, and its server between two pieces of it.",
)
.with_default("15s");
const READ_AHEAD: Key = Key::new(
    "VOICE_READ_AHEAD",
    "How much of a source is read before it is played.",
)
.with_default("512KiB");

const URLS: Key = Key::new(
    "VOICE_URLS",
    "From which addresses tracks are read: from `public` ones, from `any`, those of this machine and network included, or \
     from `none`.",
)
.with_default("public");
const RESOLVER: Key = Key::new(
    "VOICE_RESOLVER",
    "A command that makes an address of a track's query, its arguments separated by commas, with `{query}` where the query \
     belongs. It is run without a shell; the last line that it writes is the address, and the first of several the title. It \
     reads by itself from where the query leads it. Without it tracks can have no queries.",
);
const RESOLVER_TIMEOUT: Key = Key::new(
    "VOICE_RESOLVER_TIMEOUT",
    "How long that command may take; then it is killed.",
)
.with_default("20s");

/// The keys that [`Config::read`] reads, in the order of the documentation.
pub const KEYS: &[Key] = &[
    URLS,
    SOUNDS,
    SOURCE_SIZE,
    SOURCE_TIMEOUT,
    READ_AHEAD,
    RESOLVER,
    RESOLVER_TIMEOUT,
];

/// Where sound may come from, and how much of it is held.
#[derive(Clone, Debug)]
pub struct Config {
    /// From which addresses tracks are read.
    pub urls: Places,
    /// The directory of the files that tracks can name.
    pub sounds: Option<PathBuf>,
    /// How large a file may be.
    pub source_size: Size,
    /// How long a source may take until its first sound, and its server between two pieces.
    pub source_timeout: Duration,
    /// How much is read before it is played.
    pub read_ahead: Size,
    /// The command that makes addresses of queries; empty: there is none.
    pub resolver: Vec<String>,
    /// How long it may take.
    pub resolver_timeout: Duration,
}

impl Config {
    /// Reads [`KEYS`]. Mistakes stay with the reader.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let urls = reader.or_default(&URLS);
        let sounds = reader.optional(&SOUNDS);
        let source_size = reader.or_default(&SOURCE_SIZE);
        let source_timeout = reader.or_default(&SOURCE_TIMEOUT);
        let read_ahead = reader.in_range(&READ_AHEAD, Size(64 << 10)..=Size(64 << 20));
        let resolver = reader
            .optional::<Vec<String>>(&RESOLVER)
            .unwrap_or_default();
        if !resolver.is_empty() && !resolver.iter().skip(1).any(|it| it.contains(QUERY)) {
            reader.mistake(&RESOLVER, "has no argument with {query}");
        }
        let resolver_timeout = reader.or_default(&RESOLVER_TIMEOUT);
        Some(Self {
            urls: urls?,
            sounds,
            source_size: source_size?,
            source_timeout: source_timeout?,
            read_ahead: read_ahead?,
            resolver,
            resolver_timeout: resolver_timeout?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn read(environment: &[(&str, &str)]) -> Result<Config, String> {
        let pairs = environment.iter();
        let pairs = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut reader = Reader::new(&[KEYS], pairs, None);
        let config = Config::read(&mut reader);
        reader.finish(config).map_err(|error| error.to_string())
    }

    /// What is set when nothing is.
    pub(crate) fn config() -> Config {
        read(&[]).unwrap()
    }

    #[test]
    fn nothing_but_public_addresses_is_allowed_unless_it_is_asked_for() {
        let config = config();
        assert_eq!(config.urls, Places::Public);
        assert_eq!(config.sounds, None);
        assert!(config.resolver.is_empty());
    }

    #[test]
    fn a_command_is_a_list() {
        let command = "yt-dlp, --get-url, --, ytsearch1:{query}";
        let config = read(&[("VOICE_RESOLVER", command)]).unwrap();
        let command = ["yt-dlp", "--get-url", "--", "ytsearch1:{query}"];
        assert_eq!(config.resolver, command);
    }

    #[test]
    fn mistakes_are_named() {
        for (key, value, said) in [
            ("VOICE_URLS", "all", "public, any or none"),
            ("VOICE_READ_AHEAD", "1KiB", "out of range"),
            ("VOICE_RESOLVER", "yt-dlp,--get-url", "{query}"),
            ("VOICE_RESOLVER", "{query}", "{query}"),
        ] {
            let mistake = read(&[(key, value)]).unwrap_err();
            assert!(mistake.starts_with(key), "{mistake}");
            assert!(mistake.contains(said), "{mistake}");
        }
    }
}
