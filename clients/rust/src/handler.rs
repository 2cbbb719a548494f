//! Serenity's events: which type each name has, and which method of a handler takes it.
//!
//! Serenity can read an event by itself, from an object with its name and payload. But it copies all
//! of it first, and does not say why it could not read it. So each payload is read as the type that
//! belongs to its name.

use serenity::model::event::{
    AutoModActionExecutionEvent, AutoModRuleCreateEvent, AutoModRuleDeleteEvent,
    AutoModRuleUpdateEvent, ChannelCreateEvent, ChannelDeleteEvent, ChannelPinsUpdateEvent,
    ChannelUpdateEvent, CommandPermissionsUpdateEvent, EntitlementCreateEvent,
    EntitlementDeleteEvent, EntitlementUpdateEvent, Event as SerenityEvent,
    GuildAuditLogEntryCreateEvent, GuildBanAddEvent, GuildBanRemoveEvent, GuildCreateEvent,
    GuildDeleteEvent, GuildEmojisUpdateEvent, GuildIntegrationsUpdateEvent, GuildMemberAddEvent,
    GuildMemberRemoveEvent, GuildMemberUpdateEvent, GuildMembersChunkEvent, GuildRoleCreateEvent,
    GuildRoleDeleteEvent, GuildRoleUpdateEvent, GuildScheduledEventCreateEvent,
    GuildScheduledEventDeleteEvent, GuildScheduledEventUpdateEvent,
    GuildScheduledEventUserAddEvent, GuildScheduledEventUserRemoveEvent, GuildStickersUpdateEvent,
    GuildUpdateEvent, IntegrationCreateEvent, IntegrationDeleteEvent, IntegrationUpdateEvent,
    InteractionCreateEvent, InviteCreateEvent, InviteDeleteEvent, MessageCreateEvent,
    MessageDeleteBulkEvent, MessageDeleteEvent, MessagePollVoteAddEvent,
    MessagePollVoteRemoveEvent, MessageUpdateEvent, PresenceUpdateEvent, ReactionAddEvent,
    ReactionRemoveAllEvent, ReactionRemoveEmojiEvent, ReactionRemoveEvent, ReadyEvent,
    ResumedEvent, SoundboardSoundCreateEvent, SoundboardSoundDeleteEvent,
    SoundboardSoundUpdateEvent, SoundboardSoundsEvent, SoundboardSoundsUpdateEvent,
    StageInstanceCreateEvent, StageInstanceDeleteEvent, StageInstanceUpdateEvent,
    ThreadCreateEvent, ThreadDeleteEvent, ThreadListSyncEvent, ThreadMemberUpdateEvent,
    ThreadMembersUpdateEvent, ThreadUpdateEvent, TypingStartEvent, UserUpdateEvent,
    VoiceChannelStatusUpdateEvent, VoiceServerUpdateEvent, VoiceStateUpdateEvent,
    WebhookUpdateEvent,
};
use wire::gateway::v1::Event as WireEvent;

use crate::{Envelope, Event};

/// What a handler answers. An error means that the event was not dealt with: it is tried again, and
/// in the end goes to the dead-letter exchange.
pub type HandlerResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

macro_rules! events {
    ($($name:literal => $method:ident($variant:ident, $payload:ident),)*) => {
        /// What a bot does with events: implement the methods that you need, which have the names of
        /// serenity's own `EventHandler`.
        ///
        /// ```
        /// use discord_gateway_client::{
        ///     Envelope, EventHandler, HandlerResult, serenity::model::event::MessageCreateEvent,
        /// };
        ///
        /// struct Greeter;
        ///
        /// impl EventHandler for Greeter {
        ///     async fn message(&self, envelope: &Envelope, event: MessageCreateEvent) -> HandlerResult {
        ///         println!("{}: {}", envelope.id, event.message.content);
        ///         Ok(())
        ///     }
        /// }
        /// ```
        pub trait EventHandler: Send + Sync + 'static {
            $(
                #[doc = concat!("Takes `", $name, "`.")]
                fn $method(
                    &self,
                    envelope: &Envelope,
                    event: $payload,
                ) -> impl Future<Output = HandlerResult> + Send {
                    ignore(envelope, event)
                }
            )*

            /// Takes events that serenity does not know or cannot read.
            fn other(
                &self,
                envelope: &Envelope,
                event: WireEvent,
            ) -> impl Future<Output = HandlerResult> + Send {
                ignore(envelope, event)
            }
        }

        /// Hands an event to the method that takes it.
        pub(crate) async fn dispatch(
            handler: &impl EventHandler,
            envelope: &Envelope,
            event: Event,
        ) -> HandlerResult {
            let event = match event {
                Event::Serenity(event) => event,
                Event::Wire(event) => return handler.other(envelope, *event).await,
            };
            match *event {
                $(SerenityEvent::$variant(event) => handler.$method(envelope, event).await,)*
                // Nothing that was read by the table below.
                _ => Ok(()),
            }
        }

        /// Reads a payload as the type that serenity has for events of this name, if any.
        pub(crate) fn read(name: &str, json: &str) -> Option<serde_json::Result<SerenityEvent>> {
            Some(match name {
                $($name => serde_json::from_str::<$payload>(json).map(SerenityEvent::$variant),)*
                _ => return None,
            })
        }

        /// Discord's names of the events that serenity has types for.
        pub const SERENITY_EVENTS: &[&str] = &[$($name),*];
    };
}

events! {
    "APPLICATION_COMMAND_PERMISSIONS_UPDATE" => command_permissions_update(CommandPermissionsUpdate, CommandPermissionsUpdateEvent),
    "AUTO_MODERATION_ACTION_EXECUTION" => auto_moderation_action_execution(AutoModActionExecution, AutoModActionExecutionEvent),
    "AUTO_MODERATION_RULE_CREATE" => auto_moderation_rule_create(AutoModRuleCreate, AutoModRuleCreateEvent),
    "AUTO_MODERATION_RULE_DELETE" => auto_moderation_rule_delete(AutoModRuleDelete, AutoModRuleDeleteEvent),
    "AUTO_MODERATION_RULE_UPDATE" => auto_moderation_rule_update(AutoModRuleUpdate, AutoModRuleUpdateEvent),
    "CHANNEL_CREATE" => channel_create(ChannelCreate, ChannelCreateEvent),
    "CHANNEL_DELETE" => channel_delete(ChannelDelete, ChannelDeleteEvent),
    "CHANNEL_PINS_UPDATE" => channel_pins_update(ChannelPinsUpdate, ChannelPinsUpdateEvent),
    "CHANNEL_UPDATE" => channel_update(ChannelUpdate, ChannelUpdateEvent),
    "ENTITLEMENT_CREATE" => entitlement_create(EntitlementCreate, EntitlementCreateEvent),
    "ENTITLEMENT_DELETE" => entitlement_delete(EntitlementDelete, EntitlementDeleteEvent),
    "ENTITLEMENT_UPDATE" => entitlement_update(EntitlementUpdate, EntitlementUpdateEvent),
    "GUILD_AUDIT_LOG_ENTRY_CREATE" => guild_audit_log_entry_create(GuildAuditLogEntryCreate, GuildAuditLogEntryCreateEvent),
    "GUILD_BAN_ADD" => guild_ban_addition(GuildBanAdd, GuildBanAddEvent),
    "GUILD_BAN_REMOVE" => guild_ban_removal(GuildBanRemove, GuildBanRemoveEvent),
    "GUILD_CREATE" => guild_create(GuildCreate, GuildCreateEvent),
    "GUILD_DELETE" => guild_delete(GuildDelete, GuildDeleteEvent),
    "GUILD_EMOJIS_UPDATE" => guild_emojis_update(GuildEmojisUpdate, GuildEmojisUpdateEvent),
    "GUILD_INTEGRATIONS_UPDATE" => guild_integrations_update(GuildIntegrationsUpdate, GuildIntegrationsUpdateEvent),
    "GUILD_MEMBERS_CHUNK" => guild_members_chunk(GuildMembersChunk, GuildMembersChunkEvent),
    "GUILD_MEMBER_ADD" => guild_member_addition(GuildMemberAdd, GuildMemberAddEvent),
    "GUILD_MEMBER_REMOVE" => guild_member_removal(GuildMemberRemove, GuildMemberRemoveEvent),
    "GUILD_MEMBER_UPDATE" => guild_member_update(GuildMemberUpdate, GuildMemberUpdateEvent),
    "GUILD_ROLE_CREATE" => guild_role_create(GuildRoleCreate, GuildRoleCreateEvent),
    "GUILD_ROLE_DELETE" => guild_role_delete(GuildRoleDelete, GuildRoleDeleteEvent),
    "GUILD_ROLE_UPDATE" => guild_role_update(GuildRoleUpdate, GuildRoleUpdateEvent),
    "GUILD_SCHEDULED_EVENT_CREATE" => guild_scheduled_event_create(GuildScheduledEventCreate, GuildScheduledEventCreateEvent),
    "GUILD_SCHEDULED_EVENT_DELETE" => guild_scheduled_event_delete(GuildScheduledEventDelete, GuildScheduledEventDeleteEvent),
    "GUILD_SCHEDULED_EVENT_UPDATE" => guild_scheduled_event_update(GuildScheduledEventUpdate, GuildScheduledEventUpdateEvent),
    "GUILD_SCHEDULED_EVENT_USER_ADD" => guild_scheduled_event_user_add(GuildScheduledEventUserAdd, GuildScheduledEventUserAddEvent),
    "GUILD_SCHEDULED_EVENT_USER_REMOVE" => guild_scheduled_event_user_remove(GuildScheduledEventUserRemove, GuildScheduledEventUserRemoveEvent),
    "GUILD_SOUNDBOARD_SOUNDS_UPDATE" => soundboard_sounds_update(SoundboardSoundsUpdate, SoundboardSoundsUpdateEvent),
    "GUILD_SOUNDBOARD_SOUND_CREATE" => soundboard_sound_create(SoundboardSoundCreate, SoundboardSoundCreateEvent),
    "GUILD_SOUNDBOARD_SOUND_DELETE" => soundboard_sound_delete(SoundboardSoundDelete, SoundboardSoundDeleteEvent),
    "GUILD_SOUNDBOARD_SOUND_UPDATE" => soundboard_sound_update(SoundboardSoundUpdate, SoundboardSoundUpdateEvent),
    "GUILD_STICKERS_UPDATE" => guild_stickers_update(GuildStickersUpdate, GuildStickersUpdateEvent),
    "GUILD_UPDATE" => guild_update(GuildUpdate, GuildUpdateEvent),
    "INTEGRATION_CREATE" => integration_create(IntegrationCreate, IntegrationCreateEvent),
    "INTEGRATION_DELETE" => integration_delete(IntegrationDelete, IntegrationDeleteEvent),
    "INTEGRATION_UPDATE" => integration_update(IntegrationUpdate, IntegrationUpdateEvent),
    "INTERACTION_CREATE" => interaction_create(InteractionCreate, InteractionCreateEvent),
    "INVITE_CREATE" => invite_create(InviteCreate, InviteCreateEvent),
    "INVITE_DELETE" => invite_delete(InviteDelete, InviteDeleteEvent),
    "MESSAGE_CREATE" => message(MessageCreate, MessageCreateEvent),
    "MESSAGE_DELETE" => message_delete(MessageDelete, MessageDeleteEvent),
    "MESSAGE_DELETE_BULK" => message_delete_bulk(MessageDeleteBulk, MessageDeleteBulkEvent),
    "MESSAGE_POLL_VOTE_ADD" => poll_vote_add(MessagePollVoteAdd, MessagePollVoteAddEvent),
    "MESSAGE_POLL_VOTE_REMOVE" => poll_vote_remove(MessagePollVoteRemove, MessagePollVoteRemoveEvent),
    "MESSAGE_REACTION_ADD" => reaction_add(ReactionAdd, ReactionAddEvent),
    "MESSAGE_REACTION_REMOVE" => reaction_remove(ReactionRemove, ReactionRemoveEvent),
    "MESSAGE_REACTION_REMOVE_ALL" => reaction_remove_all(ReactionRemoveAll, ReactionRemoveAllEvent),
    "MESSAGE_REACTION_REMOVE_EMOJI" => reaction_remove_emoji(ReactionRemoveEmoji, ReactionRemoveEmojiEvent),
    "MESSAGE_UPDATE" => message_update(MessageUpdate, MessageUpdateEvent),
    "PRESENCE_UPDATE" => presence_update(PresenceUpdate, PresenceUpdateEvent),
    "READY" => ready(Ready, ReadyEvent),
    "RESUMED" => resume(Resumed, ResumedEvent),
    "SOUNDBOARD_SOUNDS" => soundboard_sounds(SoundboardSounds, SoundboardSoundsEvent),
    "STAGE_INSTANCE_CREATE" => stage_instance_create(StageInstanceCreate, StageInstanceCreateEvent),
    "STAGE_INSTANCE_DELETE" => stage_instance_delete(StageInstanceDelete, StageInstanceDeleteEvent),
    "STAGE_INSTANCE_UPDATE" => stage_instance_update(StageInstanceUpdate, StageInstanceUpdateEvent),
    "THREAD_CREATE" => thread_create(ThreadCreate, ThreadCreateEvent),
    "THREAD_DELETE" => thread_delete(ThreadDelete, ThreadDeleteEvent),
    "THREAD_LIST_SYNC" => thread_list_sync(ThreadListSync, ThreadListSyncEvent),
    "THREAD_MEMBERS_UPDATE" => thread_members_update(ThreadMembersUpdate, ThreadMembersUpdateEvent),
    "THREAD_MEMBER_UPDATE" => thread_member_update(ThreadMemberUpdate, ThreadMemberUpdateEvent),
    "THREAD_UPDATE" => thread_update(ThreadUpdate, ThreadUpdateEvent),
    "TYPING_START" => typing_start(TypingStart, TypingStartEvent),
    "USER_UPDATE" => user_update(UserUpdate, UserUpdateEvent),
    "VOICE_CHANNEL_STATUS_UPDATE" => voice_channel_status_update(VoiceChannelStatusUpdate, VoiceChannelStatusUpdateEvent),
    "VOICE_SERVER_UPDATE" => voice_server_update(VoiceServerUpdate, VoiceServerUpdateEvent),
    "VOICE_STATE_UPDATE" => voice_state_update(VoiceStateUpdate, VoiceStateUpdateEvent),
    "WEBHOOKS_UPDATE" => webhook_update(WebhookUpdate, WebhookUpdateEvent),
}

/// Does nothing, successfully.
fn ignore<T>(_: &Envelope, _: T) -> impl Future<Output = HandlerResult> + Send + use<T> {
    std::future::ready(Ok(()))
}
