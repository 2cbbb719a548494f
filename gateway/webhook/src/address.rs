//! Which webhook a request is for: by its address, or by id and token.
//!
//! Nothing is ever sent to where an address leads: id and token are read from it, and what is sent goes to Discord's API
//! as it is configured. An address of another host is refused all the same, as it can be no webhook's.

use http::Uri;
use outbound::Failure;
use wire::gateway::v1::WebhookAddress;

/// The hosts of Discord's own, with those of its test versions.
const DISCORD: [&str; 6] = [
    "canary.discord.com",
    "canary.discordapp.com",
    "discord.com",
    "discordapp.com",
    "ptb.discord.com",
    "ptb.discordapp.com",
];
/// The longest token; Discord's have 68 characters, those of interactions some hundreds.
const LONGEST: usize = 1000;

/// Where webhooks may be.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    /// Scheme and host of the API that is spoken to, and its path.
    api: Option<(String, String, String)>,
}

/// A webhook. Its token is a secret, so nothing of it is shown.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Address {
    pub(crate) id: u64,
    pub(crate) token: String,
}

impl Hosts {
    /// Those of Discord, and of the API at this base.
    pub(crate) fn new(api_url: &str) -> Self {
        let api = api_url.parse().ok();
        Self {
            api: api.as_ref().and_then(pieces),
        }
    }

    /// Whether it is an address below an API that is Discord's; the rest of its path then.
    fn below(&self, scheme: &str, host: &str, path: &str) -> Option<String> {
        if let Some((own_scheme, own_host, base)) = &self.api
            && (scheme, host) == (own_scheme, own_host)
        {
            let rest = path.strip_prefix(base.trim_end_matches('/'));
            return Some(rest.unwrap_or(path).to_owned());
        }
        let host = host.strip_suffix(":443").unwrap_or(host);
        (scheme == "https" && DISCORD.contains(&host)).then(|| path.to_owned())
    }
}

impl Address {
    /// The webhook that a request names.
    ///
    /// # Errors
    /// Which field is wrong; its value is not repeated.
    pub(crate) fn read(asked: Option<&WebhookAddress>, hosts: &Hosts) -> Result<Self, Failure> {
        let named = asked.filter(|it| **it != WebhookAddress::default());
        let Some(asked) = named else {
            let why = "it is missing: name the webhook by `url`, or by `id` and `token`";
            return Err(Failure::invalid("webhook", why));
        };
        let has_parts = asked.id != 0 || !asked.token.is_empty();
        match (asked.url.is_empty(), has_parts) {
            (false, true) => {
                let why = "it stands beside `id` or `token`: name the webhook by one of the two";
                Err(Failure::invalid("webhook.url", why))
            }
            (false, false) => Self::of_url(&asked.url, hosts),
            (true, _) => Self::of_parts(asked.id, &asked.token),
        }
    }

    fn of_parts(id: u64, token: &str) -> Result<Self, Failure> {
        if id == 0 {
            return Err(Failure::invalid("webhook.id", "it is missing"));
        }
        if token.is_empty() {
            return Err(Failure::invalid("webhook.token", "it is missing"));
        }
        if !is_token(token) {
            let why = "it has characters that no token of a webhook has";
            return Err(Failure::invalid("webhook.token", why));
        }
        Ok(Self {
            id,
            token: token.to_owned(),
        })
    }

    fn of_url(text: &str, hosts: &Hosts) -> Result<Self, Failure> {
        let none = || {
            let why = "it is no address of a webhook, such as \
                       https://discord.com/api/webhooks/<id>/<token>: nothing may stand behind the token";
            Failure::invalid("webhook.url", why)
        };
        if text.contains(['?', '#', '@']) {
            return Err(none());
        }
        let url: Uri = text.parse().map_err(|_| none())?;
        let (scheme, host, path) = pieces(&url).ok_or_else(none)?;
        let below = hosts.below(&scheme, &host, &path);
        let below = below.ok_or_else(|| {
            let why = "its host is neither one of Discord's nor that of DISCORD_API_URL";
            Failure::invalid("webhook.url", why)
        })?;
        let segments: Vec<&str> = below.split('/').skip(1).collect();
        let (id, token) = match segments[..] {
            ["webhooks", id, token] | ["api", "webhooks", id, token] => (id, token),
            ["api", version, "webhooks", id, token] if is_version(version) => (id, token),
            _ => return Err(none()),
        };
        // A sign in front is a number to Rust, and none to Discord.
        let digits = id.bytes().all(|byte| byte.is_ascii_digit());
        let id = id.parse().ok().filter(|id| *id != 0 && digits);
        Ok(Self {
            id: id.ok_or_else(none)?,
            token: Some(token)
                .filter(|it| is_token(it))
                .ok_or_else(none)?
                .to_owned(),
        })
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").finish_non_exhaustive()
    }
}

/// Scheme, host with port, and path of an address.
fn pieces(url: &Uri) -> Option<(String, String, String)> {
    let (scheme, host) = (url.scheme_str()?, url.authority()?);
    let (scheme, host) = (scheme.to_ascii_lowercase(), host.as_str());
    Some((scheme, host.to_ascii_lowercase(), url.path().to_owned()))
}

/// Whether it is a version of Discord's API, such as `v10`.
fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or_default();
    (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether it can be a token: it stands in a path as it is.
fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=~.".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(fits) && !matches!(text, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::{Address, Hosts};
    use outbound::Failure;
    use wire::gateway::v1::WebhookAddress;

    const TOKEN: &str = "s3cret-of_68";

    fn read(asked: &WebhookAddress) -> Result<Address, Failure> {
        let hosts = Hosts::new("http://127.0.0.1:4000/sim/api/v10/");
        Address::read(Some(asked), &hosts)
    }

    fn url(url: &str) -> WebhookAddress {
        WebhookAddress {
            url: url.to_owned(),
            ..WebhookAddress::default()
        }
    }

    #[test]
    fn a_webhook_is_named_by_its_address_or_by_id_and_token() {
        let expected = Address {
            id: 55,
            token: TOKEN.to_owned(),
        };
        let parts = WebhookAddress {
            id: 55,
            token: TOKEN.to_owned(),
            ..WebhookAddress::default()
        };
        assert_eq!(read(&parts).unwrap(), expected);
        for start in [
            "https://discord.com/api",
            "https://discord.com:443/api/v10",
            "HTTPS://PTB.Discord.com/api/v9",
            "https://canary.discordapp.com/api",
            "http://127.0.0.1:4000/sim/api/v10",
            "http://127.0.0.1:4000/api/v10",
        ] {
            let asked = url(&format!("{start}/webhooks/55/{TOKEN}"));
            assert_eq!(read(&asked).unwrap(), expected, "{start}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_webhook_is_refused_and_not_repeated() {
        for wrong in [
            "discord.com/api/webhooks/55/TOKEN",
            "http://discord.com/api/webhooks/55/TOKEN",
            "https://discord.com.evil.example/api/webhooks/55/TOKEN",
            "https://evil.example/api/webhooks/55/TOKEN",
            "https://discord.com@evil.example/api/webhooks/55/TOKEN",
            "https://user:pw@discord.com/api/webhooks/55/TOKEN",
            "https://discord.com:8443/api/webhooks/55/TOKEN",
            "https://127.0.0.1:4000/api/v10/webhooks/55/TOKEN",
            "http://127.0.0.1:4001/api/v10/webhooks/55/TOKEN",
            "https://discord.com/api/webhooks/55/TOKEN/slack",
            "https://discord.com/api/webhooks/55/TOKEN?wait=true",
            "https://discord.com/api/webhooks/55/TOKEN#a",
            "https://discord.com/api/webhooks/55/",
            "https://discord.com/api/webhooks/55",
            "https://discord.com/api/webhooks/0/TOKEN",
            "https://discord.com/api/webhooks/-5/TOKEN",
            "https://discord.com/api/webhooks/+5/TOKEN",
            "https://discord.com/api/webhooks/99999999999999999999/TOKEN",
            "https://discord.com/api/webhooks/55/..",
            "https://discord.com/api/webhooks/55/%2e%2e",
            "https://discord.com/api//webhooks/55/TOKEN",
            "https://discord.com/api/v10x/webhooks/55/TOKEN",
            "https://discord.com/api/../webhooks/55/TOKEN",
            "https://discord.com/",
            "file:///etc/passwd",
            "https://",
            "\r\n",
        ] {
            let asked = url(&wrong.replace("TOKEN", TOKEN));
            let error = read(&asked).unwrap_err().to_string();
            assert!(error.starts_with("`webhook.url`"), "{wrong}: {error}");
            assert!(!error.contains(TOKEN), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let of = |url: &str, id, token: &str| WebhookAddress {
            url: url.to_owned(),
            id,
            token: token.to_owned(),
        };
        for (asked, field) in [
            (of("", 0, ""), "`webhook`"),
            (of("", 0, TOKEN), "`webhook.id`"),
            (of("", 55, ""), "`webhook.token`"),
            (of("", 55, "a/b"), "`webhook.token`"),
            (of("", 55, ".."), "`webhook.token`"),
            (of("", 55, "a\r\nb"), "`webhook.token`"),
            (of("", 55, &"x".repeat(1001)), "`webhook.token`"),
            (
                of("https://discord.com/api/webhooks/5/t", 5, ""),
                "`webhook.url`",
            ),
        ] {
            let error = read(&asked).unwrap_err().to_string();
            assert!(error.starts_with(field), "{field}: {error}");
            assert!(!error.contains(TOKEN), "{error}");
        }
        let hosts = Hosts::new("https://discord.com/api/v10");
        let error = Address::read(None, &hosts).unwrap_err().to_string();
        assert!(error.starts_with("`webhook`"), "{error}");
        let shown = format!("{:?}", read(&of("", 55, TOKEN)).unwrap());
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}
