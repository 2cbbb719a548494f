//! Identify, Resume, Select Protocol and Speaking: all the reasons to refuse them, and what follows.

use std::net::IpAddr;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Hall, Refusal};
use crate::{
    call::{Call, Speaker},
    client::Client,
    dave::Delivery,
    ear::Ear,
    payload::{self, Identify, Message, Resume, Select, Speaking},
    session::{Grant, Link, Outbox},
    transport::{Cipher, Mode},
    violations::Kind,
};

impl Hall {
    /// Begins a session; its SSRC.
    pub(crate) fn identify(
        &mut self,
        now: Instant,
        link: Link,
        version: u8,
        identify: &Identify,
    ) -> Result<u32, Refusal> {
        if let Some(code) = self.faults.refuse_identify_code {
            return Err(Refusal::plain(code, ""));
        }
        let grant = self.granted(identify)?;
        let dave_version = identify.max_dave_protocol_version;
        if dave_version == 0 && self.needs_dave(grant.channel_id) {
            return Err(Refusal::plain(4017, "E2EE/DAVE protocol required."));
        }
        let ear = Ear::new().map_err(|error| {
            tracing::error!(%error, "no decoder");
            Refusal::plain(4015, "The voice server has crashed.")
        })?;
        // A client that identifies again has given its old session up.
        if let Some(old) = self.ssrc_of(grant.guild_id, grant.user_id) {
            self.close(now, old, 4006, "Session is no longer valid.");
        }
        let ssrc = self.new_ssrc();
        let outbox = Outbox::new(version, self.settings.replay_messages, link);
        let mut client = Client::new(grant, ssrc, version, dave_version, outbox, ear);
        client.outbox.push(&Message::Text {
            op: 2,
            d: json!({
                "ssrc": ssrc, "ip": self.address.ip().to_string(), "port": self.address.port(),
                "modes": self.settings.modes, "experiments": [],
                // Discord's is wrong too: HELLO has the right one.
                "heartbeat_interval": 1,
            }),
        });
        self.clients.insert(ssrc, client);
        self.work.notify_one();
        self.identifies += 1;
        Ok(ssrc)
    }

    /// The grant that an Identify refers to.
    fn granted(&self, identify: &Identify) -> Result<Grant, Refusal> {
        let guild = identify.server_id.0;
        let Some(grant) = self.grants.get(&(guild, identify.user_id.0)) else {
            let text =
                format!("an Identify for guild {guild}, where the user has joined no channel");
            return Err(Refusal::new(
                4011,
                "Server not found.",
                Kind::Identify,
                text,
            ));
        };
        if grant.token != identify.token {
            let text = "an Identify with a token that is not the newest";
            return Err(Refusal::new(
                4004,
                "Authentication failed.",
                Kind::Identify,
                text,
            ));
        }
        if grant.session_id != identify.session_id {
            let text = "an Identify with a session that is not the newest";
            return Err(Refusal::new(
                4006,
                "Session is no longer valid.",
                Kind::Identify,
                text,
            ));
        }
        Ok(grant.clone())
    }

    /// Whether a client without DAVE has to stay outside.
    fn needs_dave(&self, channel_id: u64) -> bool {
        let call = self
            .calls
            .get(&channel_id)
            .filter(|call| !call.clients.is_empty());
        call.map_or(
            self.settings.dave_version > 0 && self.settings.dave_required,
            |call| call.dave.is_some(),
        )
    }

    /// Goes on with a session on another connection; its SSRC.
    pub(crate) fn resume(&mut self, link: Link, resume: &Resume) -> Result<u32, Refusal> {
        let invalid =
            |text: &str| Refusal::new(4006, "Session is no longer valid.", Kind::Resume, text);
        if let Some(code) = self.faults.refuse_resume_code {
            return Err(Refusal::plain(code, ""));
        }
        let mut clients = self.clients.values_mut();
        let client = clients.find(|client| {
            client.grant.guild_id == resume.server_id.0
                && client.grant.session_id == resume.session_id
        });
        let Some(client) = client else {
            // A client cannot know that its session has ended meanwhile.
            return Err(Refusal::plain(4006, "Session is no longer valid."));
        };
        if client.grant.token != resume.token {
            return Err(invalid("a Resume with a wrong token"));
        }
        if !client.outbox.resume(link, resume.seq_ack) {
            return Err(invalid(
                "a Resume from a message that is not kept or was never sent",
            ));
        }
        client.detached = None;
        client.resumes += 1;
        self.resumes += 1;
        Ok(client.ssrc)
    }

    /// Opens the path for packets, and lets the client into its call.
    pub(super) fn select(
        &mut self,
        now: Instant,
        ssrc: u32,
        select: &Select,
    ) -> Result<(), Refusal> {
        let data = &select.data;
        if select.protocol != "udp" {
            let text = format!("the protocol {:?}", select.protocol);
            return Err(Refusal::new(4012, "Unknown protocol.", Kind::Select, text));
        }
        let mode = Mode::named(&data.mode).filter(|_| self.settings.modes.contains(&data.mode));
        let Some(mode) = mode else {
            let text = format!("the mode {:?}, which was not offered", data.mode);
            return Err(Refusal::new(
                4016,
                "Unknown encryption mode.",
                Kind::Select,
                text,
            ));
        };
        let Ok(ip) = data.address.parse::<IpAddr>() else {
            let text = format!("the address {:?}", data.address);
            return Err(Refusal::new(4020, "Bad request.", Kind::Select, text));
        };
        let mut key = [0; 32];
        fastrand::fill(&mut key);
        let Some(client) = self.clients.get_mut(&ssrc) else {
            return Ok(());
        };
        client.path = Some((Cipher::new(mode, &key), (ip, data.port).into()));
        let (grant, dave) = (client.grant.clone(), client.dave_version > 0);
        self.enter(
            now,
            ssrc,
            &grant,
            dave,
            &json!({"mode": mode.name(), "secret_key": key}),
        );
        Ok(())
    }

    fn enter(&mut self, now: Instant, ssrc: u32, grant: &Grant, dave: bool, description: &Value) {
        let Grant {
            channel_id,
            user_id,
            ..
        } = *grant;
        self.open_call(channel_id, dave);
        if let Some(companion) = grant.companion
            && self
                .calls
                .get(&channel_id)
                .is_some_and(|call| call.users.is_empty())
        {
            self.seat(now, channel_id, companion);
        }
        let Some(call) = self.calls.get_mut(&channel_id) else {
            return;
        };
        call.clients.insert(user_id, ssrc);
        let mut description = description.clone();
        description["dave_protocol_version"] = call.dave_version().into();
        let speaking = call.users.iter().filter(|(_, user)| user.speech.is_some());
        let speaking: Vec<Message> = speaking
            .map(|(id, user)| payload::speaking(*id, user.ssrc, 1))
            .collect();
        let others = payload::clients_connect(&call.others(user_id));
        if let Some(client) = self.clients.get_mut(&ssrc) {
            client.outbox.push(&Message::Text {
                op: 4,
                d: description,
            });
            client.outbox.push(&others);
            for message in &speaking {
                client.outbox.push(message);
            }
        }
        self.tell(channel_id, user_id, &payload::clients_connect(&[user_id]));
        self.in_call(channel_id, Some(user_id), |dave, mail| {
            dave.join(user_id, mail);
            Ok(())
        });
    }

    /// The call of the channel begins, with DAVE or without. One that has no client yet may still change its mind.
    pub(super) fn open_call(&mut self, channel_id: u64, dave: bool) {
        let wanted = dave && self.settings.dave_version > 0;
        let make = |hall: &Self| {
            let dave = wanted.then(|| Delivery::new(channel_id, hall.rules()));
            match dave.transpose() {
                Ok(dave) => dave,
                Err(refused) => {
                    tracing::error!(?refused, "no delivery service");
                    None
                }
            }
        };
        match self.calls.get_mut(&channel_id) {
            None => {
                let call = Call::new(make(self));
                self.calls.insert(channel_id, call);
                self.work.notify_one();
            }
            Some(call) if call.clients.is_empty() && !wanted => call.dave = None,
            Some(_) => {}
        }
    }

    pub(super) fn new_speaker(&self) -> Speaker {
        Speaker::new(self.new_ssrc())
    }

    /// An SSRC that nobody has.
    fn new_ssrc(&self) -> u32 {
        loop {
            let ssrc = fastrand::u32(1..);
            let mut users = self.calls.values().flat_map(|call| call.users.values());
            if !self.clients.contains_key(&ssrc) && users.all(|user| user.ssrc != ssrc) {
                return ssrc;
            }
        }
    }

    pub(super) fn ssrc_of(&self, guild_id: u64, user_id: u64) -> Option<u32> {
        let mut clients = self.clients.values();
        let client =
            clients.find(|it| (it.grant.guild_id, it.grant.user_id) == (guild_id, user_id));
        client.map(|client| client.ssrc)
    }

    pub(super) fn speaking(&mut self, ssrc: u32, speaking: &Speaking) -> Result<(), Refusal> {
        let Some(client) = self.clients.get_mut(&ssrc) else {
            return Ok(());
        };
        if speaking.ssrc.is_some_and(|named| named != ssrc) {
            let text = "Speaking with the SSRC of somebody else";
            return Err(Refusal::new(4020, "Bad request.", Kind::Speaking, text));
        }
        client.speaking = speaking.speaking != 0;
        client.has_spoken |= client.speaking;
        let Grant {
            channel_id,
            user_id,
            ..
        } = client.grant;
        self.tell(
            channel_id,
            user_id,
            &payload::speaking(user_id, ssrc, speaking.speaking),
        );
        Ok(())
    }
}
