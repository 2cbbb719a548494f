//! One client's voice session.

use std::net::SocketAddr;

use tokio::{net::UdpSocket, time::Instant};

use crate::{
    config::Faults,
    ear::Ear,
    rtp,
    session::{Grant, Outbox},
    state::ClientState,
    transport::Cipher,
};

/// Everything about one session.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) grant: Grant,
    pub(crate) ssrc: u32,
    pub(crate) version: u8,
    pub(crate) dave_version: u16,
    pub(crate) outbox: Outbox,
    pub(crate) ear: Ear,
    /// Once a protocol is selected: how its packets are encrypted, and where it wants them.
    pub(crate) path: Option<(Cipher, SocketAddr)>,
    pub(crate) speaking: bool,
    /// Whether it has ever said that it speaks.
    pub(crate) has_spoken: bool,
    /// Packets that came before it had said so.
    pub(crate) early: u32,
    pub(crate) muted: bool,
    pub(crate) heartbeats: u64,
    pub(crate) resumes: u64,
    /// Since when it has no connection.
    pub(crate) detached: Option<Instant>,
    packets: u64,
    dropped: u64,
    held: Option<Vec<u8>>,
}

/// A packet for a client, not encrypted yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: &'a [u8],
}

impl Client {
    pub(crate) fn new(
        grant: Grant,
        ssrc: u32,
        version: u8,
        dave_version: u16,
        outbox: Outbox,
        ear: Ear,
    ) -> Self {
        Self {
            grant,
            ssrc,
            version,
            dave_version,
            outbox,
            ear,
            path: None,
            speaking: false,
            has_spoken: false,
            early: 0,
            muted: false,
            heartbeats: 0,
            resumes: 0,
            detached: None,
            packets: 0,
            dropped: 0,
            held: None,
        }
    }

    /// Sends it a packet, unless that is to be lost, or later. What the system has no room for is lost too, as on any network.
    pub(crate) fn send(&mut self, packet: Packet<'_>, faults: &Faults, socket: &UdpSocket) {
        let Some((cipher, address)) = &mut self.path else {
            return;
        };
        let number = self.packets + 1;
        let nth = |every: u64| every > 0 && number.is_multiple_of(every);
        let mut header = rtp::write(packet.sequence, packet.timestamp, packet.ssrc);
        if nth(faults.pad_every) {
            header[0] |= rtp::PADDING;
        }
        let Some(sealed) = cipher.seal(&header, packet.payload) else {
            return;
        };
        self.packets = number;
        if nth(faults.lose_every) {
            self.dropped += 1;
            return;
        }
        if nth(faults.swap_every) && self.held.is_none() {
            self.held = Some(sealed);
            return;
        }
        for bytes in [Some(sealed), self.held.take()].into_iter().flatten() {
            if let Err(error) = socket.try_send_to(&bytes, *address) {
                tracing::debug!(%error, %address, "a packet was not sent");
            }
        }
    }

    pub(crate) fn state(&self, ended: Option<u16>) -> ClientState {
        ClientState {
            guild_id: self.grant.guild_id,
            channel_id: self.grant.channel_id,
            user_id: self.grant.user_id,
            ssrc: self.ssrc,
            version: self.version,
            dave_version: self.dave_version,
            mode: self
                .path
                .as_ref()
                .map(|(cipher, _)| cipher.mode().name().to_owned()),
            connected: self.outbox.link().is_some(),
            speaking: self.speaking,
            heartbeats: self.heartbeats,
            resumes: self.resumes,
            sent: self.packets - self.dropped,
            dropped: self.dropped,
            ended,
            heard: self.ear.heard(),
        }
    }
}
