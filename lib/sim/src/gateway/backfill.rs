//! The guilds that follow READY, one by one, as fast as the client takes them.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::sleep;

use super::sessions::Handle;
use crate::{guilds, json, world::World};

/// Sends `GUILD_CREATE`s until all guilds of the shard came; a resumed session goes on where it was.
pub(crate) async fn run(world: Arc<World>, handle: Arc<Handle>) {
    let guilds = world.guilds();
    let config = world.config();
    let [shard, count] = handle.identity.shard;
    let pause = Duration::from_millis(config.guild_create_interval_ms);
    loop {
        handle.has_room(true).await;
        let Some(next) = handle.lock().next_guild else {
            return;
        };
        let found = guilds.iter().enumerate().skip(next);
        let mut own = found.filter(|(_, guild)| guilds::shard_of(guild.id, count) == shard);
        let Some((index, guild)) = own.next() else {
            handle.lock().next_guild = None;
            return;
        };
        if !pause.is_zero() {
            sleep(pause).await;
        }
        let (name, d) = if index < config.unavailable_guilds as usize {
            let id = guild.id.to_string();
            ("GUILD_DELETE", json!({"unavailable": true, "id": id}))
        } else {
            (
                "GUILD_CREATE",
                guild.create(handle.identity.intents, &config),
            )
        };
        let d = json::text(&d);
        {
            let mut session = handle.lock();
            session.next_guild = Some(index + 1);
            session.push(name, world.names.id(name), &d);
        }
        handle.work.notify_one();
    }
}
