//! Packets: IP discovery, what clients say, and what simulated users say.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::Hall;
use crate::{call::Said, client::Packet, payload, rtp::Header, session::Grant, violations::Kind};

/// Bytes of a packet of IP discovery.
const DISCOVERY: usize = 74;
/// Bytes of a frame of DAVE at the least, and what it ends with.
const SMALLEST: usize = 11;
const MARKER: [u8; 2] = [0xfa, 0xfa];
/// Packets that may come before Speaking, which travels another way.
const EARLY: u32 = 50;

impl Hall {
    /// Takes a packet; what is to be sent back to where it came from.
    pub(crate) fn on_packet(
        &mut self,
        now: Instant,
        packet: &[u8],
        from: SocketAddr,
    ) -> Option<Vec<u8>> {
        if packet.len() == DISCOVERY && packet.starts_with(&[0, 1, 0, 70]) {
            return self.discover(packet, from);
        }
        if packet.len() <= 8 {
            // Clients keep the path through their routers open with these.
            return None;
        }
        // The second byte of RTCP, which nobody here listens to.
        if packet.get(1).is_some_and(|kind| (200..=206).contains(kind)) {
            return None;
        }
        match Header::parse(packet) {
            Some(header) => self.on_audio(now, packet, &header),
            None => self.record(None, Kind::Packet, "a packet that is no RTP"),
        }
        None
    }

    fn discover(&mut self, packet: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
        if self.faults.ignore_discovery.take() {
            return None;
        }
        let ssrc = u32::from_be_bytes(*packet.get(4..)?.first_chunk()?);
        if !self.clients.contains_key(&ssrc) {
            self.record(
                None,
                Kind::Packet,
                format!("IP discovery for the SSRC {ssrc}, which nobody has"),
            );
            return None;
        }
        let mut reply = vec![0; DISCOVERY];
        reply[..4].copy_from_slice(&[0, 2, 0, 70]);
        reply[4..8].copy_from_slice(&ssrc.to_be_bytes());
        let address = from.ip().to_string();
        reply[8..8 + address.len()].copy_from_slice(address.as_bytes());
        reply[72..].copy_from_slice(&from.port().to_be_bytes());
        Some(reply)
    }

    fn on_audio(&mut self, now: Instant, packet: &[u8], header: &Header) {
        let Some(client) = self.clients.get_mut(&header.ssrc) else {
            // Packets may still be on their way when a session ends.
            return;
        };
        let Grant {
            channel_id,
            user_id,
            ..
        } = client.grant;
        let opened = client
            .path
            .as_ref()
            .and_then(|(cipher, _)| cipher.open(packet, header));
        let Some(payload) = opened else {
            return self.record(
                Some(user_id),
                Kind::Packet,
                "a packet that cannot be decrypted",
            );
        };
        if !client.has_spoken {
            client.early += 1;
            if client.early == EARLY {
                self.record(
                    Some(user_id),
                    Kind::Speaking,
                    "audio before the first Speaking",
                );
                return self.close(now, header.ssrc, 4020, "Invalid SSRC.");
            }
        }
        let Some(call) = self.calls.get_mut(&channel_id) else {
            return;
        };
        let encrypted = payload.len() >= SMALLEST && payload.ends_with(&MARKER);
        let frame = match &mut call.dave {
            Some(dave) if encrypted => dave.decrypt(user_id, &payload),
            Some(_) | None => Some(payload.clone()),
        };
        match frame {
            Some(frame) => client.ear.on_frame(now, header, &frame, encrypted),
            None => client.ear.undecrypted(),
        }
        if !client.muted {
            self.pass_on(channel_id, user_id, header, &payload);
        }
    }

    /// Sends a client's packet to the other clients of its call.
    fn pass_on(&mut self, channel_id: u64, user_id: u64, header: &Header, payload: &[u8]) {
        let Some(call) = self.calls.get(&channel_id) else {
            return;
        };
        for (user, ssrc) in &call.clients {
            let Some(client) = self.clients.get_mut(ssrc).filter(|_| *user != user_id) else {
                continue;
            };
            let packet = Packet {
                sequence: header.sequence,
                timestamp: header.timestamp,
                ssrc: header.ssrc,
                payload,
            };
            client.send(packet, &self.faults, &self.socket);
        }
    }

    /// Every 20 ms: all simulated users who speak send a frame.
    pub(crate) fn speak_on(&mut self) {
        let mut ended = Vec::new();
        for (channel_id, call) in &mut self.calls {
            if call.clients.is_empty() {
                continue;
            }
            for (user_id, user) in &mut call.users {
                let can_speak = call
                    .dave
                    .as_ref()
                    .is_none_or(|dave| dave.can_speak(*user_id));
                let Some(said) = can_speak.then(|| user.say()).flatten() else {
                    continue;
                };
                let Said {
                    sequence,
                    timestamp,
                    frame,
                    is_last,
                } = said;
                let frame = match &mut call.dave {
                    Some(dave) => dave.encrypt(*user_id, &frame),
                    None => Some(frame),
                };
                let packet = Packet {
                    sequence,
                    timestamp,
                    ssrc: user.ssrc,
                    payload: &frame.unwrap_or_default(),
                };
                for ssrc in call.clients.values() {
                    if let Some(client) = self.clients.get_mut(ssrc) {
                        client.send(packet, &self.faults, &self.socket);
                    }
                }
                if is_last {
                    ended.push((*channel_id, *user_id, user.ssrc));
                }
            }
        }
        for (channel_id, user_id, ssrc) in ended {
            self.tell(channel_id, user_id, &payload::speaking(user_id, ssrc, 0));
        }
    }
}
