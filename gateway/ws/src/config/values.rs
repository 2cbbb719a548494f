//! What the values of keys have to be.

use boot::{Parse, config::Invalid};
use std::{collections::BTreeSet, sync::Arc};

/// The name of an event, as Discord writes it.
pub(super) struct EventName(String);

impl EventName {
    /// The names as a set.
    pub(super) fn set(names: Vec<Self>) -> Arc<BTreeSet<String>> {
        Arc::new(names.into_iter().map(|name| name.0).collect())
    }
}

impl Parse for EventName {
    fn expected() -> String {
        "the name of an event, for example MESSAGE_CREATE".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let name = text.to_ascii_uppercase();
        let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if name.bytes().all(fits) && !name.is_empty() {
            Ok(Self(name))
        } else {
            Err(Invalid::new())
        }
    }
}

/// How many shards there are.
#[derive(Clone, Copy)]
pub(super) struct ShardCount(pub(super) Option<u32>);

impl Parse for ShardCount {
    fn expected() -> String {
        "`auto`, or a number from 1 to 65535".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self(None));
        }
        match text.parse::<u16>() {
            Ok(count) if count > 0 => Ok(Self(Some(count.into()))),
            _ => Err(Invalid::new()),
        }
    }
}

/// One shard, or several in a row.
pub(super) struct ShardRange(u16, u16);

impl ShardRange {
    /// Every shard of the ranges.
    pub(super) fn ids(ranges: Vec<Self>) -> BTreeSet<u32> {
        ranges
            .into_iter()
            .flat_map(|Self(first, last)| first..=last)
            .map(u32::from)
            .collect()
    }
}

impl Parse for ShardRange {
    fn expected() -> String {
        "a shard, or a range of shards such as 0-3".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.trim().parse::<u16>().map_err(|_| Invalid::new());
        let range = Self(number(first)?, number(last)?);
        if range.0 <= range.1 {
            Ok(range)
        } else {
            Err(Invalid::new())
        }
    }
}
