//! Which gateway intents unlock which event.

/// All bits that Discord defines.
pub const ALL: u64 = 53_608_447;
/// The bits that must be enabled for the application: members, presences and message content.
pub const PRIVILEGED: u64 = 33_026;

pub(crate) const GUILDS: u64 = 1;
pub(crate) const GUILD_MEMBERS: u64 = 1 << 1;
pub(crate) const GUILD_PRESENCES: u64 = 1 << 8;
pub(crate) const MESSAGE_CONTENT: u64 = 1 << 15;

/// The intents of which a session needs one to get the event; 0 when everybody gets it.
pub(crate) fn required(name: &str, in_guild: bool) -> u64 {
    let either = |guild: u32, direct: u32| 1 << if in_guild { guild } else { direct };
    match name {
        "CHANNEL_CREATE"
        | "CHANNEL_DELETE"
        | "CHANNEL_UPDATE"
        | "GUILD_CREATE"
        | "GUILD_DELETE"
        | "GUILD_ROLE_CREATE"
        | "GUILD_ROLE_DELETE"
        | "GUILD_ROLE_UPDATE"
        | "GUILD_UPDATE"
        | "STAGE_INSTANCE_CREATE"
        | "STAGE_INSTANCE_DELETE"
        | "STAGE_INSTANCE_UPDATE"
        | "THREAD_CREATE"
        | "THREAD_DELETE"
        | "THREAD_LIST_SYNC"
        | "THREAD_MEMBER_UPDATE"
        | "THREAD_UPDATE"
        | "VOICE_CHANNEL_START_TIME_UPDATE"
        | "VOICE_CHANNEL_STATUS_UPDATE" => GUILDS,
        "THREAD_MEMBERS_UPDATE" => GUILDS | GUILD_MEMBERS,
        "GUILD_MEMBER_ADD" | "GUILD_MEMBER_REMOVE" | "GUILD_MEMBER_UPDATE" => GUILD_MEMBERS,
        "GUILD_AUDIT_LOG_ENTRY_CREATE" | "GUILD_BAN_ADD" | "GUILD_BAN_REMOVE" => 1 << 2,
        "GUILD_EMOJIS_UPDATE"
        | "GUILD_SOUNDBOARD_SOUNDS_UPDATE"
        | "GUILD_SOUNDBOARD_SOUND_CREATE"
        | "GUILD_SOUNDBOARD_SOUND_DELETE"
        | "GUILD_SOUNDBOARD_SOUND_UPDATE"
        | "GUILD_STICKERS_UPDATE" => 1 << 3,
        "GUILD_INTEGRATIONS_UPDATE"
        | "INTEGRATION_CREATE"
        | "INTEGRATION_DELETE"
        | "INTEGRATION_UPDATE" => 1 << 4,
        "WEBHOOKS_UPDATE" => 1 << 5,
        "INVITE_CREATE" | "INVITE_DELETE" => 1 << 6,
        "VOICE_CHANNEL_EFFECT_SEND" | "VOICE_STATE_UPDATE" => 1 << 7,
        "PRESENCE_UPDATE" => GUILD_PRESENCES,
        "MESSAGE_CREATE" | "MESSAGE_DELETE" | "MESSAGE_UPDATE" => either(9, 12),
        "MESSAGE_DELETE_BULK" => 1 << 9,
        "MESSAGE_REACTION_ADD"
        | "MESSAGE_REACTION_REMOVE"
        | "MESSAGE_REACTION_REMOVE_ALL"
        | "MESSAGE_REACTION_REMOVE_EMOJI" => either(10, 13),
        "TYPING_START" => either(11, 14),
        "CHANNEL_PINS_UPDATE" => either(0, 12),
        "GUILD_SCHEDULED_EVENT_CREATE"
        | "GUILD_SCHEDULED_EVENT_DELETE"
        | "GUILD_SCHEDULED_EVENT_UPDATE"
        | "GUILD_SCHEDULED_EVENT_USER_ADD"
        | "GUILD_SCHEDULED_EVENT_USER_REMOVE" => 1 << 16,
        "AUTO_MODERATION_RULE_CREATE"
        | "AUTO_MODERATION_RULE_DELETE"
        | "AUTO_MODERATION_RULE_UPDATE" => 1 << 20,
        "AUTO_MODERATION_ACTION_EXECUTION" => 1 << 21,
        "MESSAGE_POLL_VOTE_ADD" | "MESSAGE_POLL_VOTE_REMOVE" => either(24, 25),
        _ => 0,
    }
}

/// Whether a session with these intents gets the event.
pub(crate) fn allow(intents: u64, name: &str, in_guild: bool) -> bool {
    let required = required(name, in_guild);
    required == 0 || intents & required != 0
}

/// The application's flags that tell which privileged intents are enabled.
pub(crate) fn application_flags(allowed_intents: u64) -> u64 {
    [
        (GUILD_PRESENCES, 1 << 12),
        (GUILD_MEMBERS, 1 << 14),
        (MESSAGE_CONTENT, 1 << 18),
    ]
    .into_iter()
    .filter(|(intent, _)| allowed_intents & intent != 0)
    .fold(0, |flags, (_, flag)| flags | flag)
}

#[cfg(test)]
mod tests {
    use super::{ALL, PRIVILEGED, allow, required};

    #[test]
    fn privileged_bits_are_among_all_bits() {
        assert_eq!(PRIVILEGED, 1 << 1 | 1 << 8 | 1 << 15);
        assert_eq!(ALL & PRIVILEGED, PRIVILEGED);
        assert_eq!(
            ALL & (1 << 17 | 1 << 18 | 1 << 19 | 1 << 22 | 1 << 23 | 1 << 26),
            0
        );
    }

    #[test]
    fn place_decides_for_messages() {
        assert_eq!(required("MESSAGE_CREATE", true), 1 << 9);
        assert_eq!(required("MESSAGE_CREATE", false), 1 << 12);
        assert!(allow(0, "INTERACTION_CREATE", true));
        assert!(!allow(ALL & !(1 << 8), "PRESENCE_UPDATE", true));
    }
}
