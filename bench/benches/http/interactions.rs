//! Interactions as Discord sends them, signed beforehand.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde_json::{Value, json};

/// The application that all are for.
pub(crate) const APPLICATION: u64 = 1_100_000_000_000_000_001;

/// The command that all are of.
pub(crate) const COMMAND: &str = "greet";

/// No two interactions have one id.
static IDS: AtomicU64 = AtomicU64::new(1_456_000_000_000_000_000);

/// What makes them.
pub(crate) struct Interactions {
    key: SigningKey,
    other: SigningKey,
}

/// Whose signature they have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Signed {
    /// Discord's.
    Right,
    /// Somebody else's.
    Wrong,
}

/// One of them.
pub(crate) struct Interaction {
    /// The whole request.
    pub(crate) request: Vec<u8>,
    /// The moment and the body, which are signed, in the request.
    moment: String,
    length: usize,
    pub(crate) signature: Signature,
}

impl Interaction {
    pub(crate) fn body(&self) -> &[u8] {
        &self.request[self.request.len() - self.length..]
    }

    /// What is signed.
    pub(crate) fn message(&self) -> Vec<u8> {
        [self.moment.as_bytes(), self.body()].concat()
    }
}

impl Interactions {
    /// Always with the same keys.
    pub(crate) fn new() -> Self {
        Self {
            key: SigningKey::from_bytes(&[7; 32]),
            other: SigningKey::from_bytes(&[8; 32]),
        }
    }

    pub(crate) fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// Interactions of this moment.
    pub(crate) fn sign(&self, count: usize, signed: Signed) -> Vec<Interaction> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let moment = now.unwrap_or_default().as_secs().to_string();
        let key = match signed {
            Signed::Right => &self.key,
            Signed::Wrong => &self.other,
        };
        (0..count)
            .map(|_| interaction(key, moment.clone()))
            .collect()
    }
}

fn interaction(key: &SigningKey, moment: String) -> Interaction {
    let body = body(IDS.fetch_add(1, Ordering::Relaxed)).to_string();
    let signature = key.sign(format!("{moment}{body}").as_bytes());
    let digits = hex(&signature.to_bytes());
    let length = body.len();
    let request = format!(
        "POST /interactions HTTP/1.1\r\nhost: bot.example.com\r\ncontent-type: application/json\r\n\
         user-agent: Discord-Interactions/1.0 (+https://discord.com)\r\ncontent-length: {length}\r\n\
         x-signature-ed25519: {digits}\r\nx-signature-timestamp: {moment}\r\n\r\n{body}"
    );
    Interaction {
        request: request.into_bytes(),
        moment,
        length,
        signature,
    }
}

/// Bytes as a header or a setting has them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A command with a user, a role and a channel as options: 2.4 kB.
fn body(id: u64) -> Value {
    let (guild, channel, role) = (
        "81384788765712384",
        "849074769100800001",
        "81384788765712999",
    );
    let user = |id: &str| {
        json!({
            "id": id, "username": "somebody", "discriminator": "0", "public_flags": 64, "bot": false,
            "avatar": "8342729096ea3675442027381ff50dfe", "avatar_decoration_data": null, "clan": null,
            "collectibles": null, "display_name_styles": null, "global_name": "Somebody", "primary_guild": null,
        })
    };
    let member = json!({
        "user": user("53908232506183680"), "roles": [role, "81384788765713000", "81384788765713001"],
        "permissions": "2248473465835073", "deaf": false, "mute": false, "pending": false, "avatar": null, "banner": null,
        "joined_at": "2020-01-02T03:04:05.678000+00:00", "flags": 0, "nick": null, "premium_since": null,
        "communication_disabled_until": null, "unusual_dm_activity_until": null,
    });
    json!({
        "id": id.to_string(), "application_id": APPLICATION.to_string(), "type": 2, "version": 1,
        "token": format!("aW50ZXJhY3Rpb246{id}{}", "Zm9vYmFyYmF6".repeat(11)),
        "guild_id": guild, "channel_id": channel, "member": member, "locale": "de", "guild_locale": "en-US",
        "guild": {"id": guild, "locale": "en-US", "features": ["COMMUNITY", "NEWS", "INVITE_SPLASH", "ANIMATED_ICON"]},
        "channel": {
            "id": channel, "type": 0, "name": "general", "guild_id": guild, "position": 3, "nsfw": false, "flags": 0,
            "topic": "Everything that fits nowhere else", "parent_id": "849074769100800000", "rate_limit_per_user": 0,
            "last_message_id": "1456000000000000000", "permissions": "2248473465835073",
        },
        "app_permissions": "2251799813685247", "entitlements": [], "entitlement_sku_ids": [], "context": 0,
        "authorizing_integration_owners": {"0": guild}, "attachment_size_limit": 10_485_760,
        "data": {
            "id": "1100000000000000101", "name": COMMAND, "type": 1,
            "options": [
                {"name": "who", "type": 6, "value": "53908232506183681"},
                {"name": "role", "type": 8, "value": role},
                {"name": "words", "type": 3, "value": "Good morning, and welcome to everybody who has come!"},
                {"name": "times", "type": 4, "value": 3},
            ],
            "resolved": {
                "users": {"53908232506183681": user("53908232506183681")},
                "roles": {role: {
                    "id": role, "name": "Friends", "color": 3_447_003, "hoist": true, "icon": null, "position": 7,
                    "permissions": "66321471", "managed": false, "mentionable": true, "flags": 0,
                }},
            },
        },
    })
}
