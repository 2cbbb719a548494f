//! The objects and payloads that the corpus consists of.

use crate::corpus::{Corpus, Size};

impl Corpus {
    pub(crate) fn user(&mut self) -> String {
        let (username, global_name, id) = (self.name(), self.name(), self.id());
        let public_flags = if self.chance(60) {
            0
        } else {
            self.below(4_194_304)
        };
        let guild = if self.chance(25) {
            let (tag, badge, of) = (
                self.pick(&["WOLF", "MOON", "GG"]),
                self.hash(100),
                self.id(),
            );
            format!(
                r#"{{"tag":"{tag}","identity_guild_id":"{of}","identity_enabled":true,"badge":{badge}}}"#
            )
        } else {
            "null".to_owned()
        };
        let decoration = if self.chance(15) {
            let (asset, sku) = (self.hash(100), self.id());
            format!(r#"{{"sku_id":"{sku}","expires_at":null,"asset":{asset}}}"#)
        } else {
            "null".to_owned()
        };
        let avatar = self.hash(85);
        format!(
            r#"{{"username":"{username}","public_flags":{public_flags},"primary_guild":{guild},"id":"{id}","global_name":"{global_name}","display_name_styles":null,"discriminator":"0","collectibles":null,"clan":{guild},"bot":false,"avatar_decoration_data":{decoration},"avatar":{avatar}}}"#
        )
    }

    /// A member, with its user or without.
    pub(crate) fn member(&mut self, with_user: bool) -> String {
        let user = if with_user {
            format!("\"user\":{},", self.user())
        } else {
            String::new()
        };
        let roles = self.ids(6);
        let premium = if self.chance(10) {
            format!("\"{}\"", self.time())
        } else {
            "null".into()
        };
        let nick = if self.chance(40) {
            format!("\"{}\"", self.name())
        } else {
            "null".into()
        };
        let (joined, flags, avatar) = (self.time(), self.below(3), self.hash(10));
        format!(
            r#"{{{user}"roles":[{roles}],"premium_since":{premium},"pending":false,"nick":{nick},"mute":false,"joined_at":"{joined}","flags":{flags},"deaf":false,"communication_disabled_until":null,"banner":null,"avatar":{avatar}}}"#
        )
    }

    pub(crate) fn typing(&mut self) -> String {
        let (user, channel, guild) = (self.id(), self.id(), self.guild_id());
        let (seconds, member) = (1_790_000_000 + self.below(1_000_000), self.member(true));
        format!(
            r#"{{"user_id":"{user}","timestamp":{seconds},"member":{member},"channel_id":"{channel}","guild_id":"{guild}"}}"#
        )
    }

    pub(crate) fn voice(&mut self, alone: bool) -> String {
        let member = if alone {
            format!("\"member\":{},", self.member(true))
        } else {
            String::new()
        };
        let guild = if alone {
            format!(",\"guild_id\":\"{}\"", self.guild_id())
        } else {
            String::new()
        };
        let (user, channel, session) = (self.id(), self.id(), self.hash(100));
        let mute = self.chance(40);
        format!(
            r#"{{{member}"user_id":"{user}","suppress":false,"session_id":{session},"self_video":false,"self_mute":{mute},"self_deaf":false,"request_to_speak_timestamp":null,"mute":false,"deaf":false,"channel_id":"{channel}"{guild}}}"#
        )
    }

    pub(crate) fn reaction(&mut self) -> String {
        let (user, message, author, channel) = (self.id(), self.id(), self.id(), self.id());
        let (member, guild) = (self.member(true), self.guild_id());
        let emoji = if self.chance(50) {
            r#"{"name":"👍","id":null}"#.to_owned()
        } else {
            format!(r#"{{"name":"{}","id":"{}"}}"#, self.name(), self.id())
        };
        format!(
            r#"{{"user_id":"{user}","type":0,"message_id":"{message}","message_author_id":"{author}","member":{member},"emoji":{emoji},"channel_id":"{channel}","burst":false,"guild_id":"{guild}"}}"#
        )
    }

    pub(crate) fn member_update(&mut self) -> String {
        let (guild, user, roles) = (self.guild_id(), self.user(), self.ids(6));
        let (joined, avatar, flags) = (self.time(), self.hash(10), self.below(3));
        let nick = if self.chance(40) {
            format!("\"{}\"", self.name())
        } else {
            "null".into()
        };
        format!(
            r#"{{"user":{user},"unusual_dm_activity_until":null,"roles":[{roles}],"premium_since":null,"pending":false,"nick":{nick},"mute":false,"joined_at":"{joined}","flags":{flags},"deaf":false,"communication_disabled_until":null,"collectibles":null,"banner":null,"avatar_decoration_data":null,"avatar":{avatar},"guild_id":"{guild}"}}"#
        )
    }

    /// A presence, with its guild or without.
    pub(crate) fn presence(&mut self, alone: bool) -> String {
        let user = self.id();
        let status = self.pick(&["online", "idle", "dnd", "offline"]);
        let device = self.pick(&["desktop", "mobile", "web"]);
        let devices = if status == "offline" {
            String::new()
        } else {
            format!(r#""{device}":"{status}""#)
        };
        let count = [0, 1, 1, 2][self.below(4) as usize];
        let activities: Vec<String> = (0..count).map(|_| self.activity()).collect();
        let activities = activities.join(",");
        let processed = 1_790_000_000_000 + self.below(1_000_000_000);
        let guild = if alone {
            format!(",\"guild_id\":\"{}\"", self.guild_id())
        } else {
            String::new()
        };
        format!(
            r#"{{"user":{{"id":"{user}"}},"status":"{status}","processed_at_timestamp":{processed},"client_status":{{{devices}}},"activities":[{activities}]{guild}}}"#
        )
    }

    fn activity(&mut self) -> String {
        let created = 1_790_000_000_000 + self.below(1_000_000_000);
        let start = created - self.below(10_000_000);
        let end = created + self.below(200_000);
        match self.below(3) {
            0 => {
                let state = self.words(4);
                format!(
                    r#"{{"type":4,"state":"{state}","name":"Custom Status","id":"custom","created_at":{created}}}"#
                )
            }
            1 => {
                let (state, details, album) = (self.words(2), self.words(3), self.words(3));
                let (sync, party, image) = (self.name(), self.id(), self.hash(100));
                let image = image.trim_matches('"');
                format!(
                    r#"{{"type":2,"timestamps":{{"start":{start},"end":{end}}},"sync_id":"{sync}","state":"{state}","session_id":"{image}","party":{{"id":"spotify:{party}"}},"name":"Spotify","id":"spotify:1","flags":48,"details":"{details}","created_at":{created},"assets":{{"large_text":"{album}","large_image":"spotify:{image}"}}}}"#
                )
            }
            _ => {
                let (application, state, details) = (self.id(), self.words(3), self.words(4));
                let (large, small, id) = (self.id(), self.id(), self.hash(100));
                let game = self.pick(&["Visual Studio Code", "Minecraft", "League of Legends"]);
                format!(
                    r#"{{"type":0,"timestamps":{{"start":{start}}},"state":"{state}","name":"{game}","id":{id},"details":"{details}","created_at":{created},"assets":{{"small_text":"{game}","small_image":"{small}","large_text":"{details}","large_image":"{large}"}},"application_id":"{application}"}}"#
                )
            }
        }
    }

    pub(crate) fn message_small(&mut self) -> String {
        let words = 2 + self.below(20);
        self.message(words, "", "", "", "null")
    }

    pub(crate) fn message_big(&mut self) -> String {
        let count = 1 + self.below(2);
        let embeds: Vec<String> = (0..count).map(|_| self.embed()).collect();
        let mentions: Vec<String> = (0..self.below(3)).map(|_| self.mention()).collect();
        let attachment = self.attachment();
        let words = 60 + self.below(60);
        let answered = self.message_small();
        self.message(
            words,
            &embeds.join(","),
            &mentions.join(","),
            &attachment,
            &answered,
        )
    }

    fn message(
        &mut self,
        words: u64,
        embeds: &str,
        mentions: &str,
        attachments: &str,
        answered: &str,
    ) -> String {
        let (content, time, channel, guild) =
            (self.words(words), self.time(), self.id(), self.guild_id());
        let (nonce, id, author, member) = (self.id(), self.id(), self.user(), self.member(false));
        let kind = if answered == "null" { 0 } else { 19 };
        let reference = if answered == "null" {
            String::new()
        } else {
            format!(
                r#""message_reference":{{"type":0,"message_id":"{id}","guild_id":"{guild}","channel_id":"{channel}"}},"#
            )
        };
        format!(
            r#"{{"type":{kind},"tts":false,"timestamp":"{time}","referenced_message":{answered},"pinned":false,"nonce":"{nonce}",{reference}"mentions":[{mentions}],"mention_roles":[],"mention_everyone":false,"member":{member},"id":"{id}","flags":0,"embeds":[{embeds}],"edited_timestamp":null,"content":"{content}","components":[],"channel_type":0,"channel_id":"{channel}","author":{author},"attachments":[{attachments}],"guild_id":"{guild}"}}"#
        )
    }

    fn mention(&mut self) -> String {
        let (user, member) = (self.user(), self.member(false));
        format!("{},\"member\":{member}}}", user.trim_end_matches('}'))
    }

    fn embed(&mut self) -> String {
        let (title, description, footer) = (self.words(6), self.words(40), self.words(4));
        let (url, image, time) = (self.id(), self.id(), self.time());
        let fields: Vec<String> = (0..2 + self.below(4))
            .map(|_| {
                format!(
                    r#"{{"value":"{}","name":"{}","inline":true}}"#,
                    self.words(6),
                    self.words(2)
                )
            })
            .collect();
        let (fields, colour) = (fields.join(","), self.below(16_777_216));
        format!(
            r#"{{"url":"https://example.com/articles/{url}","type":"rich","title":"{title}","timestamp":"{time}","id":"{url}","image":{{"width":1200,"url":"https://cdn.example.com/images/{image}.png","proxy_url":"https://images-ext-1.example.net/external/{image}/https/cdn.example.com/images/{image}.png","placeholder_version":1,"placeholder":"2fcNDYKIZYaPeHZ3h2d4iAeAeQ==","height":630,"flags":0,"content_type":"image/png"}},"footer":{{"text":"{footer}"}},"fields":[{fields}],"description":"{description}","content_scan_version":4,"color":{colour}}}"#
        )
    }

    fn attachment(&mut self) -> String {
        let (id, channel, size) = (self.id(), self.id(), self.below(5_000_000));
        let (hash, name) = (self.hash(100), self.name());
        let hash = hash.trim_matches('"');
        let path = format!("attachments/{channel}/{id}/{name}.png?ex=6a3f&is=6a3e&hm={hash}&");
        format!(
            r#"{{"width":1920,"url":"https://cdn.discordapp.com/{path}","title":"{name}","size":{size},"proxy_url":"https://media.discordapp.net/{path}","placeholder_version":1,"placeholder":"2fcNDYKIZYaPeHZ3h2d4iAeAeQ==","original_content_type":"image/png","id":"{id}","height":1080,"flags":0,"filename":"{name}.png","content_type":"image/png","content_scan_version":4}}"#
        )
    }

    pub(crate) fn message_delete(&mut self) -> String {
        let (id, channel, guild) = (self.id(), self.id(), self.guild_id());
        format!(r#"{{"id":"{id}","channel_id":"{channel}","guild_id":"{guild}"}}"#)
    }

    pub(crate) fn interaction(&mut self) -> String {
        let (id, token, guild) = (
            self.id(),
            self.words(20).replace(['\\', '"', ' '], ""),
            self.guild_id(),
        );
        let (member, channel, application) = (self.member(true), self.id(), self.id());
        let member = member.trim_end_matches('}').to_owned()
            + r#","unusual_dm_activity_until":null,"permissions":"2251799813685247"}"#;
        let (parent, last, command, query) = (self.id(), self.id(), self.id(), self.words(4));
        let time = self.time();
        format!(
            r#"{{"version":1,"type":2,"token":"aW50ZXJhY3Rpb246{token}","member":{member},"locale":"en-US","id":"{id}","guild_locale":"en-US","guild_id":"{guild}","guild":{{"locale":"en-US","id":"{guild}","features":["COMMUNITY","NEWS","THREADS_ENABLED"]}},"entitlements":[],"entitlement_sku_ids":[],"data":{{"type":1,"options":[{{"value":"{query}","type":3,"name":"query"}},{{"value":5,"type":4,"name":"count"}}],"name":"play","id":"{command}"}},"context":0,"channel_id":"{channel}","channel":{{"type":0,"topic":"{query}","theme_color":null,"rate_limit_per_user":0,"position":3,"permissions":"2251799813685247","parent_id":"{parent}","nsfw":false,"name":"music","last_pin_timestamp":"{time}","last_message_id":"{last}","id":"{channel}","icon_emoji":{{"name":"🎵","id":null}},"guild_id":"{guild}","flags":0}},"authorizing_integration_owners":{{"0":"{guild}"}},"attachment_size_limit":524288000,"application_id":"{application}","app_permissions":"2251799813685247"}}"#
        )
    }

    fn channel(&mut self, position: u64) -> String {
        let (parent, last, id, topic) = (self.id(), self.id(), self.id(), self.words(6));
        let name = self.name();
        let overwrites: Vec<String> = (0..self.below(4))
            .map(|_| {
                let (id, kind, bits) = (self.id(), self.below(2), self.below(1 << 40));
                format!(r#"{{"type":{kind},"id":"{id}","deny":"{bits}","allow":"1024"}}"#)
            })
            .collect();
        let overwrites = overwrites.join(",");
        format!(
            r#"{{"version":1790000000000,"type":0,"topic":"{topic}","rate_limit_per_user":0,"position":{position},"permission_overwrites":[{overwrites}],"parent_id":"{parent}","nsfw":false,"name":"{name}","last_pin_timestamp":null,"last_message_id":"{last}","id":"{id}","icon_emoji":null,"flags":0}}"#
        )
    }

    fn role(&mut self, position: u64) -> String {
        let (bits, name, id) = (self.below(1 << 50), self.name(), self.id());
        let (colour, icon) = (self.below(16_777_216), self.hash(10));
        format!(
            r#"{{"version":1790000000000,"unicode_emoji":null,"tags":{{}},"position":{position},"permissions":"{bits}","name":"{name}","mentionable":false,"managed":false,"id":"{id}","icon":{icon},"hoist":false,"flags":0,"colors":{{"tertiary_color":null,"secondary_color":null,"primary_color":{colour}}},"color":{colour}}}"#
        )
    }

    pub(crate) fn guild(&mut self, size: Size) -> String {
        let (id, owner, name, icon) = (self.guild_id(), self.id(), self.name(), self.hash(100));
        let (joined, description) = (self.time(), self.words(12));
        let channels: Vec<String> = (0..size.channels)
            .map(|position| self.channel(position))
            .collect();
        let roles: Vec<String> = (0..size.roles)
            .map(|position| self.role(position))
            .collect();
        let members: Vec<String> = (0..size.members).map(|_| self.member(true)).collect();
        let presences: Vec<String> = (0..size.presences).map(|_| self.presence(false)).collect();
        let voice: Vec<String> = (0..20).map(|_| self.voice(false)).collect();
        let (channels, roles, members) = (channels.join(","), roles.join(","), members.join(","));
        let (presences, voice) = (presences.join(","), voice.join(","));
        format!(
            r#"{{"voice_states":[{voice}],"version":1790000000000,"verification_level":2,"vanity_url_code":null,"unavailable":false,"threads":[],"system_channel_id":null,"system_channel_flags":0,"stickers":[],"stage_instances":[],"splash":null,"soundboard_sounds":[],"safety_alerts_channel_id":null,"rules_channel_id":null,"roles":[{roles}],"region":"deprecated","public_updates_channel_id":null,"presences":[{presences}],"premium_tier":2,"premium_subscription_count":9,"premium_progress_bar_enabled":false,"preferred_locale":"en-US","owner_id":"{owner}","nsfw_level":0,"nsfw":false,"name":"{name}","mfa_level":1,"members":[{members}],"member_count":1000,"max_video_channel_users":25,"max_stage_video_channel_users":150,"max_members":25000000,"lazy":true,"large":true,"joined_at":"{joined}","incidents_data":null,"id":"{id}","icon":{icon},"hub_type":null,"home_header":null,"guild_scheduled_events":[],"features":["COMMUNITY","NEWS","ANIMATED_ICON"],"explicit_content_filter":2,"emojis":[],"discovery_splash":null,"description":"{description}","default_message_notifications":1,"channels":[{channels}],"banner":null,"application_id":null,"application_command_counts":{{"1":20}},"afk_timeout":300,"afk_channel_id":null,"activity_instances":[]}}"#
        )
    }
}
