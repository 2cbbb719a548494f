//! The net under the secrets: replaces them in everything that boot writes.

use std::{borrow::Cow, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};

/// Shorter values are not replaced: they would be found in ordinary words.
const SHORTEST: usize = 6;
const REPLACEMENT: &str = "[secret]";

/// Knows the secrets and replaces them in text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redactor {
    secrets: Arc<[SecretString]>,
}

impl Redactor {
    pub(crate) fn new(secrets: &[SecretString]) -> Self {
        let mut all: Vec<String> = Vec::new();
        for secret in secrets {
            let secret = secret.expose_secret();
            all.push(secret.to_owned());
            all.extend(password(secret).map(str::to_owned));
            all.extend(webhook_token(secret).map(str::to_owned));
        }
        let escaped: Vec<String> = all.iter().map(|text| escape(text)).collect();
        all.extend(escaped);
        all.retain(|text| text.len() >= SHORTEST);
        // The longest first, so that a URL goes as a whole before the password in it.
        all.sort_by_key(|text| std::cmp::Reverse(text.len()));
        all.dedup();
        Self {
            secrets: all.into_iter().map(SecretString::from).collect(),
        }
    }

    /// The text without the secrets.
    pub(crate) fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut clean = Cow::Borrowed(text);
        for secret in self.secrets.iter() {
            if clean.contains(secret.expose_secret()) {
                clean = Cow::Owned(clean.replace(secret.expose_secret(), REPLACEMENT));
            }
        }
        clean
    }
}

/// The password of `scheme://user:password@host`.
fn password(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (user, _) = rest.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    Some(password)
}

/// The token of `https://discord.com/api/webhooks/<id>/<token>`.
fn webhook_token(url: &str) -> Option<&str> {
    let (_, id_and_token) = url.split_once("/webhooks/")?;
    let (_, token) = id_and_token.split_once('/')?;
    token.split(['?', '/']).next()
}

/// The text as it stands between the quotes of a JSON string.
fn escape(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::Redactor;

    fn redactor(secrets: &[&str]) -> Redactor {
        let secrets: Vec<_> = secrets.iter().map(|text| (*text).into()).collect();
        Redactor::new(&secrets)
    }

    #[test]
    fn secrets_and_passwords_are_replaced() {
        let redactor = redactor(&[
            "token-1234",
            "amqp://bot:hunter22@rabbit/vhost",
            "https://discord.com/api/webhooks/123/abc-def?thread_id=5",
        ]);
        let cases = [
            ("nothing to hide", "nothing to hide"),
            ("Bot token-1234.", "Bot [secret]."),
            ("to amqp://bot:hunter22@rabbit/vhost", "to [secret]"),
            ("password hunter22", "password [secret]"),
            ("POST /webhooks/123/abc-def", "POST /webhooks/123/[secret]"),
        ];
        for (text, clean) in cases {
            assert_eq!(redactor.clean(text), clean);
        }
        assert!(!format!("{redactor:?}").contains("1234"));
    }

    #[test]
    fn escaped_and_short_secrets() {
        let redactor = redactor(&["quote\"inside", "abc"]);
        assert_eq!(
            redactor.clean(r#"{"a":"quote\"inside"}"#),
            r#"{"a":"[secret]"}"#
        );
        assert_eq!(redactor.clean("abc"), "abc");
    }
}
