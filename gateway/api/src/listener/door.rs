//! Who may come in, and with whose token Discord is called.

use boot::{ExposeSecret as _, SecretString};
use http::{
    HeaderMap,
    header::{AUTHORIZATION, ORIGIN},
};
use subtle::ConstantTimeEq as _;

use super::{config::Tokens, reply::Reply};

/// The header in which a caller may say the secret.
const SECRET: &str = "x-gateway-secret";

/// What a caller has to know.
#[derive(Debug)]
pub(super) struct Door {
    /// Absent: whoever can connect may come in.
    secret: Option<SecretString>,
    /// Whether a caller's own token counts.
    tokens: Tokens,
}

impl Door {
    pub(super) fn new(secret: Option<SecretString>, tokens: Tokens) -> Self {
        Self { secret, tokens }
    }

    /// Lets a caller in, or not.
    ///
    /// # Errors
    ///
    /// The answer for a stranger.
    pub(super) fn admit(&self, headers: &HeaderMap, in_path: Option<&str>) -> Result<(), Reply> {
        // Pages in a browser could otherwise use a listener that asks for no secret. Libraries never send it.
        if headers.contains_key(ORIGIN) {
            return Err(Reply::from_a_page());
        }
        let Some(secret) = &self.secret else {
            // A word that nobody asked for is a mistake in the base URL.
            return in_path.map_or(Ok(()), |_| Err(Reply::no_route()));
        };
        let secret = secret.expose_secret().as_bytes();
        let is_it = |said: &str| bool::from(secret.ct_eq(said.as_bytes()));
        let in_header = headers.get(SECRET).and_then(|said| said.to_str().ok());
        let as_token = match self.tokens {
            Tokens::Ignore => authorization(headers).map(without_scheme),
            Tokens::Own => None,
        };
        let said = in_path.or(in_header).or(as_token);
        match said.is_some_and(is_it) {
            true => Ok(()),
            false => Err(Reply::stranger()),
        }
    }

    /// The caller's own credentials, when they are what Discord is to see.
    pub(super) fn own(&self, headers: &HeaderMap) -> Option<SecretString> {
        match self.tokens {
            Tokens::Ignore => None,
            Tokens::Own => authorization(headers).map(SecretString::from),
        }
    }
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()
}

/// `Bot <token>` and `Bearer <token>` without the first word.
fn without_scheme(value: &str) -> &str {
    let schemes = ["Bot ", "Bearer "];
    let token = schemes.iter().find_map(|scheme| value.strip_prefix(scheme));
    token.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use boot::ExposeSecret as _;
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::{Door, Tokens};

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_secret_may_be_said_in_three_ways() {
        let door = Door::new(Some("correct-horse".into()), Tokens::Ignore);
        for (headers, in_path, admitted) in [
            (map(&[("x-gateway-secret", "correct-horse")]), None, true),
            (map(&[("authorization", "Bot correct-horse")]), None, true),
            (
                map(&[("authorization", "Bearer correct-horse")]),
                None,
                true,
            ),
            (map(&[]), Some("correct-horse"), true),
            // Libraries send their token along.
            (
                map(&[("authorization", "Bot MTA.x.y")]),
                Some("correct-horse"),
                true,
            ),
            (map(&[]), None, false),
            (map(&[("x-gateway-secret", "correct-hors")]), None, false),
            (
                map(&[("authorization", "Bot Bot correct-horse")]),
                None,
                false,
            ),
            (
                map(&[("x-gateway-secret", "correct-horse")]),
                Some("wrong"),
                false,
            ),
            (map(&[]), Some("correct-horse2"), false),
        ] {
            let answer = door
                .admit(&headers, in_path)
                .map_err(|reply| reply.status());
            let expected = if admitted {
                Ok(())
            } else {
                Err(StatusCode::UNAUTHORIZED)
            };
            assert_eq!(answer, expected, "{headers:?} {in_path:?}");
        }
        let debug = format!("{door:?}");
        assert!(!debug.contains("correct-horse"), "{debug}");
    }

    #[test]
    fn with_tokens_of_their_own_callers_say_the_secret_elsewhere() {
        let door = Door::new(Some("correct-horse".into()), Tokens::Own);
        let as_token = map(&[("authorization", "Bot correct-horse")]);
        assert!(door.admit(&as_token, None).is_err());
        assert!(door.admit(&as_token, Some("correct-horse")).is_ok());
        let own = door.own(&as_token).unwrap();
        assert_eq!(own.expose_secret(), "Bot correct-horse");
        assert!(door.own(&map(&[])).is_none());
        let ours = Door::new(None, Tokens::Ignore);
        assert!(ours.own(&as_token).is_none(), "it is ignored");
    }

    #[test]
    fn pages_in_a_browser_stay_outside() {
        for secret in [None, Some("correct-horse".into())] {
            let door = Door::new(secret, Tokens::Ignore);
            let page = map(&[
                ("origin", "https://example.com"),
                ("x-gateway-secret", "correct-horse"),
            ]);
            let answer = door.admit(&page, None).map_err(|reply| reply.status());
            assert_eq!(answer, Err(StatusCode::FORBIDDEN));
        }
        assert!(
            Door::new(None, Tokens::Ignore)
                .admit(&map(&[]), None)
                .is_ok()
        );
    }
}
