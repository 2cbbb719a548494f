//! What an operator says of an application and of Discord's API, whichever service it is for.

use boot::{Key, Parse, Reader, SecretString, config::Invalid};
use http::Uri;

/// The array of tables in which several applications stand.
pub const LIST: &str = "applications";

/// The bot's token, as a [`Token`].
pub const TOKEN: Key = Key::new("DISCORD_TOKEN", "The bot's token.")
    .secret()
    .unique_in_each(LIST, "token");

/// The application's id, as an [`Id`].
pub const APPLICATION_ID: Key = Key::new(
    "DISCORD_APPLICATION_ID",
    "The application's id. Asked from Discord when it is not set.",
)
.unique_in_each(LIST, "application_id");

/// The same for services that cannot ask for it.
pub const OWN_ID: Key = Key::new(
    "DISCORD_APPLICATION_ID",
    "The application's id. It has to be set.",
)
.unique_in_each(LIST, "application_id");

/// The base of Discord's API, as an [`ApiUrl`].
pub const API_URL: Key = Key::new(
    "DISCORD_API_URL",
    "Base of Discord's HTTP API, version included.",
)
.with_default("https://discord.com/api/v10");

/// Reads the applications of a service, which are those with this key: `read` returns `None` for the others, and for
/// mistakes. When there is none, `missing` is the mistake.
pub fn read_those_with<T>(
    reader: &mut Reader,
    key: &Key,
    missing: &str,
    mut read: impl FnMut(&mut Reader) -> Option<T>,
) -> Option<Vec<T>> {
    let all = reader.each(LIST, |reader| Some(read(reader)))?;
    let those: Vec<T> = all.into_iter().flatten().collect();
    if those.is_empty() && !reader.is_set(key) {
        reader.mistake(key, missing);
    }
    Some(those)
}

/// A bot token.
#[derive(Clone, Debug)]
pub struct Token(pub SecretString);

impl Parse for Token {
    fn expected() -> String {
        "a bot token: one word of letters, digits, dots, dashes and underscores, without \"Bot \" \
         in front"
            .to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new())
        }
    }
}

/// The id of an application.
#[derive(Clone, Copy, Debug)]
pub struct Id(pub u64);

impl Parse for Id {
    fn expected() -> String {
        "an application's id, for example 1234567890123456789".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        // One way to write it, so that two that are the same look the same.
        match text.parse() {
            Ok(id) if !text.starts_with(['0', '+']) => Ok(Self(id)),
            _ => Err(Invalid::new()),
        }
    }
}

/// The base of an HTTP API.
#[derive(Clone, Debug)]
pub struct ApiUrl(pub String);

impl Parse for ApiUrl {
    fn expected() -> String {
        "an http or https URL, for example https://discord.com/api/v10".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let uri: Uri = text.parse().map_err(|_| Invalid::new())?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(Self(text.to_owned())),
            _ => Err(Invalid::new()),
        }
    }
}
