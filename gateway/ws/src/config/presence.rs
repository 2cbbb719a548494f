//! Status and activities that a bot has from its first moment.

use boot::{Parse, config::Invalid};
use serde::Deserialize;
use twilight_model::gateway::{
    payload::outgoing::update_presence::UpdatePresencePayload,
    presence::{Activity, ActivityType, MinimalActivity, Status},
};

/// What Identify carries as the presence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Presence(pub(crate) UpdatePresencePayload);

/// Discord's Update Presence, as far as a bot may fill it.
///
/// See [Discord Docs/Update Presence](https://docs.discord.com/developers/events/gateway-events#update-presence).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    activities: Vec<WrittenActivity>,
    #[serde(default)]
    afk: bool,
    since: Option<u64>,
    #[serde(default = "online")]
    status: Status,
}

/// What bots may set of an activity.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenActivity {
    name: String,
    state: Option<String>,
    r#type: u8,
    url: Option<String>,
}

impl Parse for Presence {
    fn expected() -> String {
        "a presence as JSON, for example {\"status\":\"idle\",\"activities\":[{\"name\":\"chess\",\
         \"type\":0}]}"
            .to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let written: Written = serde_json::from_str(text).map_err(Invalid::because)?;
        Ok(Self(UpdatePresencePayload {
            activities: written.activities.into_iter().map(Into::into).collect(),
            afk: written.afk,
            since: written.since,
            status: written.status,
        }))
    }
}

impl From<WrittenActivity> for Activity {
    fn from(written: WrittenActivity) -> Self {
        let minimal = MinimalActivity {
            kind: ActivityType::from(written.r#type),
            name: written.name,
            url: written.url,
        };
        Self {
            state: written.state,
            ..minimal.into()
        }
    }
}

fn online() -> Status {
    Status::Online
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
        let sent = serde_json::to_value(presence.0).unwrap();
        assert_eq!(sent["status"], "dnd");
        assert_eq!(sent["activities"][0]["state"], "busy");
        assert_eq!(sent["activities"][0]["type"], 4);
        let usual = serde_json::to_value(Presence::parse("{}").unwrap().0).unwrap();
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
