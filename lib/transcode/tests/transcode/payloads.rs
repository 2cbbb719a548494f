//! Payloads as Discord sends them, one or more of each kind of event that the schema knows.

/// Names and payloads.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    PAYLOADS
        .iter()
        .map(|(name, payload)| (*name, (*payload).to_owned()))
        .collect()
}

const PAYLOADS: &[(&str, &str)] = &[
    ("READY", READY),
    (
        "RESUMED",
        r#"{"_trace":["[\"gateway-prd-us-east1-b-0cxk\",{\"micros\":1204}]"]}"#,
    ),
    ("RESUMED", "{}"),
    ("GUILD_CREATE", GUILD),
    (
        "GUILD_CREATE",
        r#"{"unavailable":true,"id":"81384788765712384"}"#,
    ),
    ("GUILD_DELETE", r#"{"id":"81384788765712384"}"#),
    (
        "GUILD_DELETE",
        r#"{"unavailable":true,"id":"81384788765712384"}"#,
    ),
    ("MESSAGE_CREATE", MESSAGE),
    ("MESSAGE_UPDATE", MESSAGE_UPDATE),
    (
        "MESSAGE_DELETE",
        r#"{"id":"1","channel_id":"2","guild_id":"3"}"#,
    ),
    ("PRESENCE_UPDATE", PRESENCE),
    ("TYPING_START", TYPING),
    ("VOICE_STATE_UPDATE", VOICE_STATE),
    (
        "VOICE_SERVER_UPDATE",
        r#"{"token":"66d29164ee8cd919","guild_id":"41771983423143937","endpoint":null}"#,
    ),
    (
        "VOICE_SERVER_UPDATE",
        r#"{"token":"66d29164ee8cd919","guild_id":"41771983423143937","endpoint":"rotterdam11092.discord.media:2087"}"#,
    ),
    ("MESSAGE_REACTION_ADD", REACTION),
    ("GUILD_MEMBER_UPDATE", MEMBER_UPDATE),
    ("INTERACTION_CREATE", COMMAND),
    ("INTERACTION_CREATE", MODAL),
    // Odd, but sound.
    ("MESSAGE_CREATE", "{}"),
    (
        "MESSAGE_CREATE",
        " \n{ \"id\" : \"1\" ,\t\"tts\":\rfalse } ",
    ),
    ("MESSAGE_CREATE", "null"),
    ("MESSAGE_CREATE", "[{}]"),
    ("MESSAGE_CREATE", "\"{}\""),
    (
        "MESSAGE_CREATE",
        r#"{"content":"","embeds":[],"mentions":[{}],"author":{},"nonce":[{"a":[]},{},[],null]}"#,
    ),
    (
        "MESSAGE_CREATE",
        r#"{"embeds":[{},null],"attachments":[[]],"mention_roles":["1",2],"flags":4294967296}"#,
    ),
    (
        "MESSAGE_CREATE",
        r#"{"id":18446744073709551615,"channel_id":18446744073709551616,"type":1e0,"position":-0}"#,
    ),
    (
        "MESSAGE_CREATE",
        r#"{"x":1,"x":2,"content":"repeated members that nobody knows"}"#,
    ),
    ("MESSAGE_CREATE", r#"{"content":"a","c\u006fntent":"b"}"#),
    (
        "MESSAGE_CREATE",
        r#"{"content":"\ud83d","\ud83d":1,"nonce":"\ude00"}"#,
    ),
    (
        "MESSAGE_CREATE",
        r#"{"unknown_json":"{}","nulls":[1],"empties":null}"#,
    ),
    (
        "INTERACTION_CREATE",
        r#"{"data":{"resolved":{"users":{"1":{},"1":{"id":"2"}},"roles":{"01":{"flags":1.0}},"members":{"x":{}}}}}"#,
    ),
];

const READY: &str = r#"{"v":10,"user_settings":{},"user":{"verified":true,"username":"Radio","primary_guild":null,"mfa_enabled":true,"id":"1005198711362682920","global_name":null,"flags":0,"email":null,"discriminator":"4711","clan":null,"bot":true,"avatar":null},"shard":[0,2],"session_type":"normal","session_id":"2d86f1dcba9d4b2e8e5d1c3f0a9b8c7d","resume_gateway_url":"wss://gateway-us-east1-b.discord.gg","relationships":[],"private_channels":[],"presences":[],"guilds":[{"unavailable":true,"id":"81384788765712384"},{"unavailable":true,"id":"197038439483310086"}],"guild_join_requests":[],"geo_ordered_rtc_regions":["rotterdam","madrid"],"game_relationships":[],"auth":{},"application":{"id":"1005198711362682920","flags":565248},"_trace":["[\"gateway-prd-us-east1-b-0cxk\",{\"micros\":91204,\"calls\":[\"id_created\",{\"micros\":3}]}]"]}"#;

const GUILD: &str = r#"{"voice_states":[{"user_id":"1","suppress":false,"session_id":"abc","self_video":false,"self_mute":true,"self_deaf":false,"request_to_speak_timestamp":"2021-03-31T18:45:31.297561+00:00","mute":false,"deaf":false,"channel_id":"5"}],"version":1790000000000,"verification_level":2,"vanity_url_code":null,"unavailable":false,"threads":[{"type":11,"thread_metadata":{"locked":false,"create_timestamp":"2024-05-01T10:00:00+00:00","auto_archive_duration":4320,"archived":false,"archive_timestamp":"2024-05-01T10:00:00.123000+00:00"},"parent_id":"6","owner_id":"7","name":"a thread","member_count":2,"id":"8","guild_id":"9"}],"system_channel_flags":0,"stickers":[],"roles":[{"version":1,"unicode_emoji":null,"tags":{"premium_subscriber":null,"bot_id":"10"},"position":0,"permissions":"2251799813685247","name":"@everyone","mentionable":false,"managed":false,"id":"9","icon":null,"hoist":false,"flags":0,"colors":{"tertiary_color":null,"secondary_color":null,"primary_color":0},"color":0}],"presences":[{"user":{"id":"1"},"status":"idle","client_status":{"web":"idle"},"activities":[]}],"premium_tier":2,"preferred_locale":"en-US","owner_id":"7","nsfw_level":0,"name":"Straße der Jugend 🎉","members":[{"user":{"username":"a","id":"1","discriminator":"0","avatar":null},"roles":["10"],"joined_at":"2019-02-28T23:59:59.000100+00:00","deaf":false,"mute":false}],"member_count":1,"large":false,"joined_at":"2020-02-29T00:00:00.000001+00:00","id":"9","icon":null,"features":["COMMUNITY","NEWS"],"emojis":[{"roles":[],"require_colons":true,"name":"blob","managed":false,"id":"11","available":true,"animated":false}],"channels":[{"type":0,"topic":null,"rate_limit_per_user":0,"position":0,"permission_overwrites":[{"type":0,"id":"9","deny":"0","allow":"1024"}],"parent_id":null,"name":"general","last_message_id":"12","id":"6","flags":0}],"application_command_counts":{"1":20},"afk_timeout":300}"#;

const MESSAGE: &str = r#"{"type":19,"tts":false,"timestamp":"2026-11-20T09:08:07.654000+00:00","referenced_message":{"type":0,"timestamp":"2026-11-20T09:00:00+00:00","id":"20","content":"the question","author":{"username":"b","id":"21","avatar":"a_0123456789abcdef0123456789abcdef"},"embeds":[],"edited_timestamp":null},"pinned":false,"nonce":"1174289731840000000","message_reference":{"type":0,"message_id":"20","guild_id":"9","channel_id":"6"},"mentions":[{"username":"b","public_flags":64,"member":{"roles":[],"joined_at":"2019-02-28T23:59:59.000100+00:00"},"id":"21","discriminator":"0"}],"mention_roles":["10","11"],"mention_everyone":false,"member":{"roles":["10"],"premium_since":"2022-01-01T00:00:00+00:00","nick":null,"joined_at":"2019-02-28T23:59:59.000100+00:00","flags":0},"id":"22","flags":0,"embeds":[{"url":"https://example.com","type":"rich","title":"A \"title\"","timestamp":"2026-11-20T09:08:07.654Z","footer":{"text":"f"},"fields":[{"value":"v","name":"n","inline":true}],"description":"d\n\te","color":16711680,"image":{"width":1200,"url":"https://example.com/a.png","height":630}}],"edited_timestamp":null,"content":"the answer: \u0034\u0032 \ud83d\ude00 \\o/ <@21> and a line that is longer than a few words, so that it is copied in blocks","components":[{"type":1,"id":1,"components":[{"type":2,"style":1,"label":"Click","id":2,"custom_id":"click:1","disabled":false}]}],"channel_id":"6","author":{"username":"a","id":"1","discriminator":"0","avatar":null},"attachments":[{"width":10,"url":"https://cdn.discordapp.com/a.png","size":5000000,"proxy_url":"https://media.discordapp.net/a.png","id":"23","height":10,"filename":"a.png","content_type":"image/png","duration_secs":1.5,"waveform":"AAAA"}],"poll":{"question":{"text":"?"},"answers":[{"poll_media":{"text":"yes"},"answer_id":1}],"expiry":"2026-11-21T09:08:07.654321+00:00","allow_multiselect":false,"layout_type":1},"guild_id":"9"}"#;

const MESSAGE_UPDATE: &str = r#"{"id":"22","channel_id":"6","guild_id":"9","embeds":[],"edited_timestamp":"2026-11-20T09:09:09.000000+00:00","flags":4}"#;

const PRESENCE: &str = r#"{"user":{"id":"1"},"status":"online","processed_at_timestamp":1790000000123,"game":null,"client_status":{"desktop":"online","mobile":"idle"},"broadcast":null,"activities":[{"type":2,"timestamps":{"start":1790000000000,"end":1790000200000},"sync_id":"3n3Ppam7vgaVa1iaRUc9Lp","state":"Artist; Other","session_id":"0123456789abcdef","party":{"id":"spotify:1","size":[1,5]},"name":"Spotify","id":"spotify:1","flags":48,"details":"Song","created_at":1790000000001,"buttons":["Listen","Follow"],"assets":{"large_text":"Album","large_image":"spotify:ab67616d"}},{"type":4,"state":"busy","name":"Custom Status","id":"custom","emoji":{"name":"🎵"},"created_at":1790000000002}],"guild_id":"9"}"#;

const TYPING: &str = r#"{"user_id":"1","timestamp":1790000000,"member":{"user":{"username":"a","public_flags":0,"primary_guild":{"tag":"WOLF","identity_guild_id":"9","identity_enabled":true,"badge":"abc"},"id":"1","global_name":"A","display_name_styles":null,"discriminator":"0","collectibles":{"nameplate":{"sku_id":"5","palette":"teal","label":"L","asset":"x/"}},"clan":null,"bot":false,"avatar_decoration_data":{"sku_id":"6","expires_at":null,"asset":"a_1"},"avatar":null},"roles":["10","11","12"],"premium_since":null,"pending":false,"nick":null,"mute":false,"joined_at":"2019-02-28T23:59:59.000100+00:00","flags":0,"deaf":false,"communication_disabled_until":null,"banner":null,"avatar":null},"channel_id":"6","guild_id":"9"}"#;

const VOICE_STATE: &str = r#"{"member":{"user":{"username":"a","id":"1","discriminator":"0","avatar":null},"roles":[],"joined_at":"2019-02-28T23:59:59.000100+00:00","mute":false,"deaf":false},"user_id":"1","suppress":false,"session_id":"0123456789abcdef","self_video":false,"self_stream":true,"self_mute":false,"self_deaf":false,"request_to_speak_timestamp":null,"mute":false,"deaf":false,"channel_id":null,"guild_id":"9"}"#;

const REACTION: &str = r#"{"user_id":"1","type":1,"message_id":"22","message_author_id":"21","member":{"user":{"username":"a","id":"1","discriminator":"0","avatar":null},"roles":[],"joined_at":"2019-02-28T23:59:59.000100+00:00","mute":false,"deaf":false},"emoji":{"name":"👍","id":null},"channel_id":"6","burst_colors":["ff0000"],"burst":true,"guild_id":"9"}"#;

const MEMBER_UPDATE: &str = r#"{"user":{"username":"a","public_flags":4194304,"id":"1","global_name":null,"discriminator":"0","avatar":null},"unusual_dm_activity_until":null,"roles":["10"],"premium_since":null,"pending":false,"nick":"N","mute":false,"joined_at":"2019-02-28T23:59:59.000100+00:00","flags":9,"deaf":false,"communication_disabled_until":"2026-11-20T10:00:00+00:00","banner":null,"avatar":null,"guild_id":"9"}"#;

const COMMAND: &str = r#"{"version":1,"type":2,"token":"aW50ZXJhY3Rpb246","member":{"user":{"username":"a","id":"1","discriminator":"0","avatar":null},"roles":[],"permissions":"2251799813685247","joined_at":"2019-02-28T23:59:59.000100+00:00","mute":false,"deaf":false},"locale":"de","id":"30","guild_locale":"en-US","guild_id":"9","guild":{"locale":"en-US","id":"9","features":["COMMUNITY"]},"entitlements":[],"data":{"type":1,"resolved":{"users":{"21":{"username":"b","id":"21"},"22":{"username":"c","id":"22"}},"members":{"21":{"roles":[],"permissions":"0"}},"channels":{"6":{"type":0,"permissions":"8","name":"general","id":"6"}}},"options":[{"type":2,"options":[{"type":1,"options":[{"value":"21","type":6,"name":"user"},{"value":2.5,"type":10,"name":"volume"},{"value":true,"type":5,"name":"loud"},{"value":7,"type":4,"name":"count","focused":true}],"name":"user"}],"name":"play"}],"name":"music","id":"31","guild_id":"9"},"context":0,"channel_id":"6","channel":{"type":0,"topic":null,"position":1,"name":"general","id":"6","guild_id":"9"},"authorizing_integration_owners":{"0":"9","1":"1"},"attachment_size_limit":524288000,"application_id":"1005198711362682920","app_permissions":"2251799813685247"}"#;

const MODAL: &str = r#"{"version":1,"user":{"username":"a","id":"1","discriminator":"0","avatar":null},"type":5,"token":"aW50ZXJhY3Rpb246","locale":"fr","id":"32","data":{"custom_id":"form:1","components":[{"type":18,"id":1,"component":{"type":4,"value":"a\nb","id":2,"custom_id":"text"}},{"type":1,"components":[{"type":3,"values":["x","y"],"custom_id":"choice"}]}]},"context":1,"channel_id":"6","application_id":"1005198711362682920","authorizing_integration_owners":{"1":"1"},"entitlements":[]}"#;
