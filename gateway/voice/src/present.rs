//! Who is in which voice channel, as far as this process has heard of it.
//!
//! Discord tells whoever joins a call who is there, but songbird keeps that to itself. GUILD_CREATE tells it of a whole guild: what was
//! not heard of one before that is not known, and then nobody is said to be missing.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many users are remembered, and how many guilds.
const MOST: usize = 1_000_000;

/// The users in voice channels.
#[derive(Debug, Default)]
pub(crate) struct Present(Mutex<Inner>);

/// Where somebody is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Someone {
    /// Who it is.
    pub(crate) user_id: u64,
    /// The channel; `None`: not in one.
    pub(crate) channel_id: Option<u64>,
    /// Whether it is a bot, as far as Discord has told.
    pub(crate) is_bot: bool,
}

#[derive(Debug, Default)]
struct Inner {
    guilds: HashMap<u64, Guild>,
    /// Users, of all guilds.
    count: usize,
}

#[derive(Debug, Default)]
struct Guild {
    /// Whether nobody is in a channel of it who is not known.
    is_whole: bool,
    users: HashMap<u64, Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    channel_id: u64,
    is_bot: bool,
}

impl Present {
    /// Somebody is in a channel, or in none any more.
    pub(crate) fn put(&self, guild_id: u64, someone: Someone) {
        self.lock().put(guild_id, someone);
    }

    /// Where all of a guild are who are in a channel.
    pub(crate) fn learn(&self, guild_id: u64, all: &[Someone]) {
        let mut inner = self.lock();
        let before = inner.guilds.remove(&guild_id);
        inner.count -= before.map_or(0, |guild| guild.users.len());
        if inner.guilds.len() < MOST {
            inner.guilds.entry(guild_id).or_default().is_whole = true;
        }
        for someone in all {
            inner.put(guild_id, *someone);
        }
    }

    /// Somebody is heard in a channel.
    pub(crate) fn meet(&self, guild_id: u64, user_id: u64, channel_id: u64) {
        let mut inner = self.lock();
        let known = inner.guilds.get(&guild_id);
        let known = known.and_then(|guild| guild.users.get(&user_id));
        let someone = Someone {
            user_id,
            channel_id: Some(channel_id),
            is_bot: known.is_some_and(|place| place.is_bot),
        };
        inner.put(guild_id, someone);
    }

    /// Who is in a channel.
    pub(crate) fn users(&self, guild_id: u64, channel_id: u64) -> Vec<u64> {
        let inner = self.lock();
        let users = inner.guilds.get(&guild_id).into_iter();
        let there = users
            .flat_map(|guild| &guild.users)
            .filter(|(_, place)| place.channel_id == channel_id);
        there.map(|(user, _)| *user).collect()
    }

    /// Whether it is known that nobody but bots is in a channel.
    pub(crate) fn is_empty(&self, guild_id: u64, channel_id: u64) -> bool {
        let inner = self.lock();
        let Some(guild) = inner.guilds.get(&guild_id) else {
            return false;
        };
        let mut places = guild.users.values();
        guild.is_whole && places.all(|place| place.is_bot || place.channel_id != channel_id)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn put(&mut self, guild_id: u64, someone: Someone) {
        let Some(channel_id) = someone.channel_id else {
            return self.forget(guild_id, someone.user_id);
        };
        let has_room = self.count < MOST;
        let guild = self.guilds.entry(guild_id).or_default();
        let is_known = guild.users.contains_key(&someone.user_id);
        if !is_known && !has_room {
            guild.is_whole = false;
            return self.tidy(guild_id);
        }
        let place = Place {
            channel_id,
            is_bot: someone.is_bot,
        };
        guild.users.insert(someone.user_id, place);
        self.count += usize::from(!is_known);
    }

    fn forget(&mut self, guild_id: u64, user_id: u64) {
        if let Some(guild) = self.guilds.get_mut(&guild_id) {
            self.count -= usize::from(guild.users.remove(&user_id).is_some());
            self.tidy(guild_id);
        }
    }

    /// A guild of which nothing is known takes no room.
    fn tidy(&mut self, guild_id: u64) {
        let guild = self.guilds.get(&guild_id);
        if guild.is_some_and(|guild| guild.users.is_empty() && !guild.is_whole) {
            self.guilds.remove(&guild_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn someone(user_id: u64, channel_id: Option<u64>, is_bot: bool) -> Someone {
        Someone {
            user_id,
            channel_id,
            is_bot,
        }
    }

    #[test]
    fn users_are_where_they_were_heard_of_last() {
        let present = Present::default();
        for (guild, user, channel) in [(1, 7, 20), (1, 8, 20), (2, 9, 20), (1, 8, 21)] {
            present.put(guild, someone(user, Some(channel), false));
        }
        assert_eq!(present.users(1, 20), [7]);
        assert_eq!(present.users(1, 21), [8]);
        for user in [7, 7, 8] {
            present.put(1, someone(user, None, false));
        }
        assert!(present.users(1, 20).is_empty());
        let inner = present.lock();
        assert_eq!((inner.guilds.len(), inner.count), (1, 1));
    }

    #[test]
    fn nobody_is_missing_before_it_is_known_who_is_there() {
        let present = Present::default();
        assert!(!present.is_empty(10, 20));
        present.put(10, someone(5, Some(20), false));
        present.put(10, someone(5, None, false));
        assert!(!present.is_empty(10, 20));
        present.put(10, someone(6, Some(20), true));
        assert!(!present.is_empty(10, 20));
        present.learn(10, &[]);
        assert!(present.is_empty(10, 20));
        assert!(!present.is_empty(11, 20));
    }

    #[test]
    fn people_come_and_go_and_bots_are_none() {
        let present = Present::default();
        let all = [someone(6, Some(20), true), someone(5, Some(21), false)];
        present.learn(10, &all);
        assert!(present.is_empty(10, 20) && !present.is_empty(10, 21));
        present.put(10, someone(7, Some(20), true));
        present.meet(10, 7, 20);
        assert!(present.is_empty(10, 20), "a bot that is heard is one still");
        present.put(10, someone(5, Some(20), false));
        assert!(!present.is_empty(10, 20) && present.is_empty(10, 21));
        present.put(10, someone(5, None, false));
        assert!(present.is_empty(10, 20));
        present.meet(10, 8, 20);
        assert!(!present.is_empty(10, 20));
        present.learn(10, &all);
        assert!(present.is_empty(10, 20), "what was known before is over");
    }
}
