//! Gateway intents: read from the configuration, and explained when Discord refuses them.

use boot::{Parse, config::Invalid};
use discord::Rest;
use wire::intent;

/// What `application.flags` says of the privileged intents: the intent, and the flags of which
/// either is enough (the second stands for bots in few guilds).
///
/// See [Discord Docs/Application Flags](https://docs.discord.com/developers/resources/application#application-object-application-flags).
const ALLOWED: [(&str, u64); 3] = [
    ("GUILD_MEMBERS", 1 << 14 | 1 << 15),
    ("GUILD_PRESENCES", 1 << 12 | 1 << 13),
    ("MESSAGE_CONTENT", 1 << 18 | 1 << 19),
];

/// Whether these are enough for Discord to tell which guilds a session serves.
pub(crate) fn tell_guilds(intents: u64) -> bool {
    intent::parse("GUILDS").is_some_and(|bit| intents & bit != 0)
}

/// The bitfield of intents.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Bits(pub(crate) u64);

impl Parse for Bits {
    fn expected() -> String {
        "a list of intents, for example GUILDS,GUILD_MESSAGES, or the number of the bitfield"
            .to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text.parse() {
            Ok(number) => Ok(Self(number)),
            Err(_) => union(
                text.split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty()),
            ),
        }
    }

    fn parse_list(items: &[String]) -> Result<Self, Invalid> {
        union(items.iter().map(|item| item.trim()))
    }
}

/// The bits of all these intents.
fn union<'a>(names: impl Iterator<Item = &'a str>) -> Result<Bits, Invalid> {
    let mut bits = 0;
    for name in names {
        bits |= intent::parse(name)
            .ok_or_else(|| Invalid::because(format!("{name:?} is not the name of an intent")))?;
    }
    Ok(Bits(bits))
}

/// The names of the privileged intents that were asked for and are not allowed, as far as Discord
/// tells; all privileged ones that were asked for when it does not.
pub(crate) async fn disallowed(rest: &Rest, intents: u64) -> String {
    let flags = match rest.application().await {
        Ok(application) => application.flags,
        Err(error) => {
            tracing::debug!(%error, "Discord does not tell which intents are allowed");
            0
        }
    };
    let asked = intent::names(intents & intent::privileged());
    missing(&asked, flags).join(", ")
}

/// The intents that these flags do not allow.
fn missing<'a>(asked: &[&'a str], flags: u64) -> Vec<&'a str> {
    let allowed = |name: &str| {
        ALLOWED
            .iter()
            .any(|(allowed, bits)| *allowed == name && flags & bits != 0)
    };
    asked
        .iter()
        .copied()
        .filter(|name| !allowed(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Bits, missing};
    use boot::Parse;

    #[test]
    fn intents_are_names_or_a_number() {
        let table = [
            ("513", 513),
            ("GUILDS,GUILD_MESSAGES", 513),
            (" guilds , INTENT_GUILD_MESSAGES,", 513),
            ("0", 0),
        ];
        for (text, bits) in table {
            assert_eq!(Bits::parse(text), Ok(Bits(bits)), "{text}");
        }
        assert!(Bits::parse("GUILDS,GUILD_MESAGES").is_err());
        assert!(Bits::parse("-1").is_err());
        let list = ["GUILDS".to_owned(), "GUILD_PRESENCES".to_owned()];
        assert_eq!(Bits::parse_list(&list), Ok(Bits(257)));
    }

    #[test]
    fn only_the_intents_that_are_not_allowed_are_named() {
        let asked = ["GUILD_MEMBERS", "GUILD_PRESENCES", "MESSAGE_CONTENT"];
        assert_eq!(missing(&asked, 0), asked);
        assert_eq!(missing(&asked, 1 << 15 | 1 << 18), ["GUILD_PRESENCES"]);
        assert!(missing(&["MESSAGE_CONTENT"], 1 << 19).is_empty());
    }
}
