//! Status and activities that a bot has from its first moment.

use boot::{Parse, config::Invalid};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What Identify carries as the presence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Presence(pub(crate) Value);

/// Discord's Update Presence, as far as a bot may fill it.
///
/// See [Discord Docs/Update Presence](https://docs.discord.com/developers/events/gateway-events#update-presence).
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    activities: Vec<WrittenActivity>,
    #[serde(default)]
    afk: bool,
    since: Option<u64>,
    #[serde(default)]
    status: Status,
}

/// What bots may set of an activity.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenActivity {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    r#type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// A status that a bot may have.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Dnd,
    Idle,
    Invisible,
    Offline,
    #[default]
    Online,
}

impl Parse for Presence {
    fn expected() -> String {
        "a presence as JSON, for example {\"status\":\"idle\",\"activities\":[{\"name\":\"chess\",\
         \"type\":0}]}"
            .to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let written: Written = serde_json::from_str(text).map_err(Invalid::because)?;
        let value = serde_json::to_value(written).map_err(Invalid::because)?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::Presence;
    use boot::Parse as _;
    use serde_json::json;

    #[test]
    fn what_identify_carries() {
        let written =
            r#"{"status":"dnd","activities":[{"name":"Custom Status","type":4,"state":"busy"}]}"#;
        let presence = Presence::parse(written).unwrap();
        let sent = presence.0;
        assert_eq!(sent["status"], "dnd");
        assert_eq!(sent["activities"][0]["state"], "busy");
        assert_eq!(sent["activities"][0]["type"], 4);
        let usual = Presence::parse("{}").unwrap().0;
        let online = json!({"activities": [], "afk": false, "since": null, "status": "online"});
        assert_eq!(usual, online);
    }

    #[test]
    fn what_discord_would_not_take_is_refused() {
        for (bad, reason) in [
            ("online", "expected value"),
            (r#"{"status":"busy"}"#, "unknown variant `busy`"),
            (r#"{"activity":{}}"#, "unknown field `activity`"),
            (r#"{"activities":[{"type":0}]}"#, "missing field `name`"),
            (r#"{"activities":[{"name":"x"}]}"#, "missing field `type`"),
        ] {
            let invalid = Presence::parse(bad).unwrap_err();
            assert!(format!("{invalid:?}").contains(reason), "{invalid:?}");
        }
    }
}
