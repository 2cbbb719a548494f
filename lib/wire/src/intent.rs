//! Gateway intents by name and by bit.

use std::sync::LazyLock;

use prost_reflect::{EnumDescriptor, EnumValueDescriptor};

use crate::descriptors;
use crate::discord::v1::Intent;

const PREFIX: &str = "INTENT_";

/// The bits of the intent called `name`, whichever case it is written in and with or without the
/// prefix `INTENT_`.
pub fn parse(name: &str) -> Option<u64> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix(PREFIX).unwrap_or(&name);
    let intent = Intent::from_str_name(&format!("{PREFIX}{name}"))?;
    Some(bits(intent)).filter(|bits| *bits != 0)
}

/// The bits of one intent.
pub fn bits(intent: Intent) -> u64 {
    // Every number of the enum is a single bit that an `i32` holds.
    u64::from((intent as i32).unsigned_abs())
}

/// The name of the intent whose single bit is set in `bit`, without the prefix.
pub fn name(bit: u64) -> Option<&'static str> {
    let intent = Intent::try_from(i32::try_from(bit).ok()?).ok()?;
    (bit != 0).then(|| short(intent))
}

/// The names of all intents in `bits`, lowest first. Bits without a name are left out.
pub fn names(bits: u64) -> Vec<&'static str> {
    (0..u64::BITS)
        .filter_map(|shift| name(bits & (1 << shift)))
        .collect()
}

/// All bits that the contract knows.
pub fn all() -> u64 {
    static ALL: LazyLock<u64> = LazyLock::new(|| sum(|_| true));
    *ALL
}

/// The bits of the intents that must be switched on in Discord's Developer Portal before a
/// connection may ask for them.
pub fn privileged() -> u64 {
    static PRIVILEGED: LazyLock<u64> = LazyLock::new(|| {
        let option = descriptors()
            .get_extension_by_name("discord.v1.privileged")
            .expect("the option is part of the contract");
        sum(|value| value.options().get_extension(&option).as_bool() == Some(true))
    });
    *PRIVILEGED
}

fn short(intent: Intent) -> &'static str {
    let name = intent.as_str_name();
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// The bits of all values that `wanted` picks.
fn sum(wanted: impl Fn(&EnumValueDescriptor) -> bool) -> u64 {
    descriptor()
        .values()
        .filter(wanted)
        .filter_map(|value| u64::try_from(value.number()).ok())
        .fold(0, |bits, bit| bits | bit)
}

fn descriptor() -> EnumDescriptor {
    descriptors()
        .get_enum_by_name("discord.v1.Intent")
        .expect("the intents are part of the contract")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_in_any_case_with_and_without_prefix() {
        for (text, bits) in [
            ("GUILDS", Some(1)),
            ("guild_messages", Some(512)),
            ("Intent_Guild_Messages", Some(512)),
            ("INTENT_DIRECT_MESSAGE_POLLS", Some(33_554_432)),
            ("INTENT_UNSPECIFIED", None),
            ("INTENT_INTENT_GUILDS", None),
            ("GUILD MESSAGES", None),
            ("", None),
        ] {
            assert_eq!(parse(text), bits, "{text}");
        }
    }

    #[test]
    fn bits_have_names() {
        assert_eq!(name(32_768), Some("MESSAGE_CONTENT"));
        for unnamed in [0, 3, 1 << 17, 1 << 31, 1 << 40, u64::MAX] {
            assert_eq!(name(unnamed), None, "{unnamed}");
        }
        assert_eq!(
            names(1 | 512 | 1 << 17 | 1 << 63),
            ["GUILDS", "GUILD_MESSAGES"]
        );
    }

    #[test]
    fn masks_are_those_of_discord() {
        assert_eq!(all(), 53_608_447);
        assert_eq!(privileged(), 33_026);
        assert_eq!(
            names(privileged()),
            ["GUILD_MEMBERS", "GUILD_PRESENCES", "MESSAGE_CONTENT"]
        );
        assert_eq!(
            names(all())
                .iter()
                .filter_map(|name| parse(name))
                .sum::<u64>(),
            all()
        );
    }
}
