//! What tests and the main gateway tell the voice server to do.

use std::sync::Arc;

use tokio::time::Instant;

use super::Hall;
use crate::{call::Speech, error::Error, payload, server::Target, session::Grant};

impl Hall {
    /// A client may come. What it had before with another token is over, as after a move.
    pub(crate) fn allow(&mut self, now: Instant, grant: Grant) {
        let key = (grant.guild_id, grant.user_id);
        let old = self.ssrc_of(key.0, key.1);
        if let Some(ssrc) = old
            && self
                .clients
                .get(&ssrc)
                .is_some_and(|client| client.grant != grant)
        {
            self.close(now, ssrc, 4014, "Disconnected.");
        }
        self.grants.insert(key, grant);
    }

    /// A client may come no more, and goes.
    pub(crate) fn revoke(&mut self, now: Instant, guild_id: u64, user_id: u64) {
        self.grants.remove(&(guild_id, user_id));
        if let Some(ssrc) = self.ssrc_of(guild_id, user_id) {
            self.close(now, ssrc, 4014, "Disconnected.");
        }
    }

    fn select_clients(&self, target: Target) -> Result<Vec<u32>, Error> {
        let fits = |grant: &Grant| {
            target.guild_id.is_none_or(|id| id == grant.guild_id)
                && target.user_id.is_none_or(|id| id == grant.user_id)
        };
        let clients = self.clients.values().filter(|client| fits(&client.grant));
        let clients: Vec<u32> = clients.map(|client| client.ssrc).collect();
        if clients.is_empty() {
            return Err(Error::Unmatched);
        }
        Ok(clients)
    }

    /// Closes connections with the code; how many.
    pub(crate) fn close_all(
        &mut self,
        now: Instant,
        target: Target,
        code: u16,
    ) -> Result<usize, Error> {
        if !matches!(code, 1000 | 1001 | 4000..=4999) {
            return Err(Error::Invalid(format!(
                "{code} is no close code that a voice server sends"
            )));
        }
        let clients = self.select_clients(target)?;
        for ssrc in &clients {
            self.close(now, *ssrc, code, "");
        }
        Ok(clients.len())
    }

    /// Ends TCP connections without a close frame; how many.
    pub(crate) fn drop_all(&mut self, target: Target) -> Result<usize, Error> {
        let clients = self.select_clients(target)?;
        let links = clients
            .iter()
            .filter_map(|ssrc| self.clients.get(ssrc)?.outbox.link());
        links.for_each(|link| link.kill.cancel());
        Ok(clients.len())
    }

    /// What muted clients say is not passed on.
    pub(crate) fn mute(&mut self, target: Target, muted: bool) -> Result<usize, Error> {
        let clients = self.select_clients(target)?;
        for ssrc in &clients {
            if let Some(client) = self.clients.get_mut(ssrc) {
                client.muted = muted;
            }
        }
        Ok(clients.len())
    }

    /// A simulated user comes into the channel.
    pub(crate) fn seat(&mut self, now: Instant, channel_id: u64, user_id: u64) {
        self.open_call(channel_id, true);
        let speaker = self.new_speaker();
        let Some(call) = self.calls.get_mut(&channel_id) else {
            return;
        };
        if call.users.contains_key(&user_id) || call.clients.contains_key(&user_id) {
            return;
        }
        call.users.insert(user_id, speaker);
        self.tell(channel_id, user_id, &payload::clients_connect(&[user_id]));
        self.in_call(channel_id, None, |dave, mail| dave.seat(user_id, now, mail));
    }

    /// A simulated user leaves the channel.
    pub(crate) fn unseat(
        &mut self,
        now: Instant,
        channel_id: u64,
        user_id: u64,
    ) -> Result<(), Error> {
        let call = self.calls.get_mut(&channel_id).ok_or(Error::Unmatched)?;
        call.users.remove(&user_id).ok_or(Error::Unmatched)?;
        if call.clients.is_empty() && call.users.is_empty() {
            self.calls.remove(&channel_id);
            return Ok(());
        }
        self.tell(channel_id, user_id, &payload::client_disconnect(user_id));
        self.in_call(channel_id, None, |dave, mail| {
            dave.leave(user_id, now, mail)
        });
        Ok(())
    }

    /// A simulated user says something; he comes first, if he is not there.
    pub(crate) fn speak(
        &mut self,
        now: Instant,
        channel_id: u64,
        user_id: u64,
        (frames, left): (Arc<[Vec<u8>]>, Option<u64>),
    ) -> Result<(), Error> {
        self.seat(now, channel_id, user_id);
        let call = self.calls.get_mut(&channel_id);
        let user = call.and_then(|call| call.users.get_mut(&user_id));
        let Some(user) = user else {
            return Err(Error::Invalid(format!("{user_id} is the user of a client")));
        };
        user.speech = Some(Speech::new(frames, left));
        let message = payload::speaking(user_id, user.ssrc, 1);
        self.tell(channel_id, user_id, &message);
        Ok(())
    }

    /// A simulated user says no more; silence follows.
    pub(crate) fn hush(&mut self, channel_id: u64, user_id: u64) -> Result<(), Error> {
        let call = self.calls.get_mut(&channel_id);
        let user = call.and_then(|call| call.users.get_mut(&user_id));
        let speech = user.and_then(|user| user.speech.as_mut());
        speech.ok_or(Error::Unmatched)?.end();
        Ok(())
    }

    /// Takes a call to another version of DAVE.
    pub(crate) fn change_dave(
        &mut self,
        now: Instant,
        channel_id: u64,
        version: u16,
    ) -> Result<(), Error> {
        let call = self.calls.get(&channel_id).ok_or(Error::Unmatched)?;
        if call.dave.is_none() || version > 1 {
            let text = format!("this call cannot go to version {version} of DAVE");
            return Err(Error::Invalid(text));
        }
        self.in_call(channel_id, None, |dave, mail| {
            dave.change_version(version, now, mail)
        });
        Ok(())
    }
}
