//! The delivery service of DAVE for one call: proposes members, takes the first commit, welcomes, and leads transitions.
//!
//! - The server is the external sender: it proposes who is added and removed, members commit.
//! - Simulated users are members like any other, each with a session of its own. What they can follow is valid, and what they
//!   can decrypt was encrypted for the call. Without one of them the server cannot look into a group, so it makes a new one.
//! - One set of proposals is out at a time; whoever comes meanwhile is proposed after its commit.
//!
//! See <https://daveprotocol.com>.

mod mls;
mod transition;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU16,
    time::Duration,
};

use bytes::Bytes;
use davey::{DaveSession, MediaType, ProposalsOperationType};
use openmls::prelude::{
    BasicCredential, Ciphersuite, ExternalSender, GroupId, KeyPackage, LeafNodeIndex, MlsMessageIn,
    MlsMessageOut, OpenMlsProvider as _, ProtocolVersion,
    tls_codec::{DeserializeBytes as _, Serialize as _, VLBytes},
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use serde_json::json;
use tokio::time::Instant;

use self::{
    mls::{Signing, read_package},
    transition::Transition,
};
use crate::payload::Message;

/// The only version that there is.
const VERSION: NonZeroU16 = NonZeroU16::MIN;
/// Its ciphersuite.
const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;
/// Whom the external sender says it is.
const SENDER: &[u8] = b"sim-voice";

/// Messages, each with the user whose client it is for.
pub(crate) type Mail = Vec<(u64, Message)>;

/// What a client did that its group does not accept.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Refused(pub(crate) String);

/// How the service behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Simulated users commit at once.
    pub(crate) users_commit: bool,
    pub(crate) transition_timeout: Duration,
}

/// The delivery service of one call.
pub(crate) struct Delivery {
    group_id: u64,
    version: u16,
    rules: Rules,
    crypto: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    sender: Bytes,
    clients: BTreeSet<u64>,
    own: BTreeMap<u64, DaveSession>,
    /// Who wants to be a member, clients and simulated users.
    packages: BTreeMap<u64, KeyPackage>,
    members: BTreeSet<u64>,
    /// Who is still a member and must not be.
    gone: BTreeSet<u64>,
    round: Option<Round>,
    transition: Option<Transition>,
    last_transition: u16,
    executed: u64,
}

/// Proposals that wait for their commit.
#[derive(Debug)]
struct Round {
    adds: BTreeSet<u64>,
    removes: BTreeSet<u64>,
    /// Clients that may commit.
    committers: BTreeSet<u64>,
    /// Whether it makes the group.
    founds: bool,
}

impl Delivery {
    pub(crate) fn new(channel_id: u64, rules: Rules) -> Result<Self, Refused> {
        let signer = SignatureKeyPair::new(SUITE.signature_algorithm()).map_err(refused)?;
        let credential = BasicCredential::new(SENDER.to_vec()).into();
        let sender = ExternalSender::new(signer.public().into(), credential);
        Ok(Self {
            group_id: channel_id,
            version: VERSION.get(),
            rules,
            crypto: OpenMlsRustCrypto::default(),
            sender: sender.tls_serialize_detached().map_err(refused)?.into(),
            signer,
            clients: BTreeSet::new(),
            own: BTreeMap::new(),
            packages: BTreeMap::new(),
            members: BTreeSet::new(),
            gone: BTreeSet::new(),
            round: None,
            transition: None,
            last_transition: 0,
            executed: 0,
        })
    }

    /// The version that is spoken: 0 after a downgrade.
    pub(crate) fn version(&self) -> u16 {
        self.version
    }

    pub(crate) fn members(&self) -> Vec<u64> {
        self.members.iter().copied().collect()
    }

    pub(crate) fn epoch(&self) -> Option<u64> {
        self.inside().map(|(_, session)| epoch_of(session))
    }

    pub(crate) fn transitions(&self) -> u64 {
        self.executed
    }

    /// A simulated user comes.
    pub(crate) fn seat(&mut self, user: u64, now: Instant, mail: &mut Mail) -> Result<(), Refused> {
        let session = DaveSession::new(VERSION, user, self.group_id, None).map_err(refused)?;
        self.own.insert(user, session);
        self.prepare(user)?;
        self.advance(now, mail)
    }

    /// A client comes: it is told who proposes, and is asked for a key package by that.
    pub(crate) fn join(&mut self, user: u64, mail: &mut Mail) {
        self.clients.insert(user);
        let body = self.sender.clone();
        mail.push((user, Message::Binary { op: 25, body }));
    }

    /// A client or simulated user goes.
    pub(crate) fn leave(
        &mut self,
        user: u64,
        now: Instant,
        mail: &mut Mail,
    ) -> Result<(), Refused> {
        self.own.remove(&user);
        self.clients.remove(&user);
        self.packages.remove(&user);
        self.arrived(user, None, mail);
        let in_round = self.round.as_mut().is_some_and(|round| {
            round.committers.remove(&user);
            round.adds.contains(&user) || round.committers.is_empty()
        });
        if !self.members.contains(&user) && !in_round {
            return Ok(());
        }
        if in_round || self.inside().is_none() || self.clients.is_empty() {
            return self.found_anew(now, mail);
        }
        self.gone.insert(user);
        self.advance(now, mail)
    }

    /// A client's key package.
    pub(crate) fn key_package(
        &mut self,
        user: u64,
        bytes: &[u8],
        now: Instant,
        mail: &mut Mail,
    ) -> Result<(), Refused> {
        let package = read_package(bytes)?
            .validate(self.crypto.crypto(), ProtocolVersion::Mls10)
            .map_err(refused)?;
        let named = package.leaf_node().credential().serialized_content();
        if named != user.to_be_bytes() {
            return Err(Refused(
                "a key package in the name of somebody else".to_owned(),
            ));
        }
        self.packages.insert(user, package);
        self.advance(now, mail)
    }

    /// A client's commit: the first one of its round counts, all others are dropped.
    pub(crate) fn commit(
        &mut self,
        user: u64,
        bytes: &[u8],
        now: Instant,
        mail: &mut Mail,
    ) -> Result<(), Refused> {
        let (_, welcome) = MlsMessageIn::tls_deserialize_bytes(bytes).map_err(refused)?;
        let (commit, welcome) = bytes.split_at(bytes.len() - welcome.len());
        let round = self.round.take_if(|round| round.committers.contains(&user));
        let Some(round) = round else { return Ok(()) };
        if round.adds.is_empty() != welcome.is_empty() {
            self.found_anew(now, mail)?;
            return Err(Refused(
                "a commit with a welcome for nobody, or without one".to_owned(),
            ));
        }
        if let Err(refused) = self.follow(user, &round, commit, welcome) {
            self.found_anew(now, mail)?;
            return Err(refused);
        }
        self.announce(user, &round, commit, welcome, now, mail);
        self.advance(now, mail)
    }

    /// A client is ready for a transition.
    pub(crate) fn ready(&mut self, user: u64, id: u16, mail: &mut Mail) {
        self.arrived(user, Some(id), mail);
    }

    /// A client cannot follow: it is removed, and added again once its new key package is there.
    pub(crate) fn recover(
        &mut self,
        user: u64,
        now: Instant,
        mail: &mut Mail,
    ) -> Result<(), Refused> {
        self.packages.remove(&user);
        self.arrived(user, None, mail);
        if self.round.is_some() || self.inside().is_none() {
            return self.found_anew(now, mail);
        }
        if self.members.contains(&user) {
            self.gone.insert(user);
        }
        self.advance(now, mail)
    }

    /// Goes on without encryption, or with it again in a new group.
    pub(crate) fn change_version(
        &mut self,
        version: u16,
        now: Instant,
        mail: &mut Mail,
    ) -> Result<(), Refused> {
        if version != 0 {
            self.version = VERSION.get();
            return self.found_anew(now, mail);
        }
        let waits_for = self.clients.clone();
        let id = self.begin(waits_for, 0, now);
        let d = json!({"transition_id": id, "protocol_version": 0});
        mail.extend(self.clients.iter().map(|user| {
            (
                *user,
                Message::Text {
                    op: 21,
                    d: d.clone(),
                },
            )
        }));
        Ok(())
    }

    /// Whether a simulated user may speak: without a group nobody would understand him.
    pub(crate) fn can_speak(&self, user: u64) -> bool {
        self.version == 0 || self.own.get(&user).is_some_and(DaveSession::is_ready)
    }

    /// Encrypts a simulated user's frame; nothing while he is in no group.
    pub(crate) fn encrypt(&mut self, user: u64, frame: &[u8]) -> Option<Vec<u8>> {
        if self.version == 0 {
            return Some(frame.to_vec());
        }
        let session = self
            .own
            .get_mut(&user)
            .filter(|session| session.is_ready())?;
        session
            .encrypt_opus(frame)
            .ok()
            .map(std::borrow::Cow::into_owned)
    }

    /// Decrypts a client's frame as a simulated user in the call does.
    pub(crate) fn decrypt(&mut self, user: u64, frame: &[u8]) -> Option<Vec<u8>> {
        let mut listeners = self.own.values_mut().filter(|session| session.is_ready());
        let listener = listeners.next()?;
        listener.decrypt(user, MediaType::AUDIO, frame).ok()
    }

    /// A simulated user who is a member: through him the server sees the group.
    fn inside(&self) -> Option<(u64, &DaveSession)> {
        let mut members = self
            .own
            .iter()
            .filter(|(user, _)| self.members.contains(user));
        members.next().map(|(user, session)| (*user, session))
    }

    /// Gets a simulated user ready to become a member.
    fn prepare(&mut self, user: u64) -> Result<(), Refused> {
        let Some(session) = self.own.get_mut(&user) else {
            return Ok(());
        };
        session.set_external_sender(&self.sender).map_err(refused)?;
        let package = session.create_key_package().map_err(refused)?;
        let package = read_package(&package)?
            .validate(self.crypto.crypto(), ProtocolVersion::Mls10)
            .map_err(refused)?;
        self.packages.insert(user, package);
        Ok(())
    }

    /// Forgets the group, and asks everybody for a new key package.
    fn found_anew(&mut self, now: Instant, mail: &mut Mail) -> Result<(), Refused> {
        self.packages.clear();
        self.members.clear();
        self.gone.clear();
        self.round = None;
        self.transition = None;
        let own: Vec<u64> = self.own.keys().copied().collect();
        for user in own {
            if let Some(session) = self.own.get_mut(&user) {
                session
                    .reinit(VERSION, user, self.group_id, None)
                    .map_err(refused)?;
            }
            self.prepare(user)?;
        }
        let d = json!({"protocol_version": self.version, "epoch": 1});
        mail.extend(self.clients.iter().map(|user| {
            (
                *user,
                Message::Text {
                    op: 24,
                    d: d.clone(),
                },
            )
        }));
        if let (1, 0, Some(user)) = (self.clients.len(), self.own.len(), self.clients.first()) {
            // Whoever is alone has nobody to agree with.
            let d = json!({"transition_id": 0, "protocol_version": self.version});
            mail.push((*user, Message::Text { op: 21, d }));
        }
        self.advance(now, mail)
    }

    /// Proposes what is to change, unless proposals are out.
    fn advance(&mut self, now: Instant, mail: &mut Mail) -> Result<(), Refused> {
        if self.round.is_some() || self.version == 0 {
            return Ok(());
        }
        let founds = self.members.is_empty();
        if !founds && self.inside().is_none() {
            // Nobody of ours can say whom the group has, so there is a new one for every change.
            return if self.packages.is_empty() {
                Ok(())
            } else {
                self.found_anew(now, mail)
            };
        }
        let adds: BTreeSet<u64> = self.packages.keys().copied().collect();
        let removes = std::mem::take(&mut self.gone);
        // Those who come later are added, if one of ours is there to see it.
        let early = self.own.is_empty() && !self.clients.is_subset(&adds);
        let lonely = founds && (early || adds.len() < 2 || adds.is_disjoint(&self.clients));
        if lonely || (adds.is_empty() && removes.is_empty()) {
            return Ok(());
        }
        let takers: BTreeSet<u64> = if founds {
            adds.clone()
        } else {
            self.members.difference(&removes).copied().collect()
        };
        let mut committers: BTreeSet<u64> = takers.intersection(&self.clients).copied().collect();
        let ours = self.propose(&takers, &adds, &removes, mail)?;
        if self.rules.users_commit && ours.is_some() {
            committers.clear();
        }
        let round = Round {
            adds,
            removes,
            committers,
            founds,
        };
        if !round.committers.is_empty() {
            self.round = Some(round);
            return Ok(());
        }
        let Some((user, ours)) = ours else {
            return Ok(());
        };
        let welcome = ours.welcome.unwrap_or_default();
        self.follow(user, &round, &ours.commit, &welcome)?;
        self.announce(user, &round, &ours.commit, &welcome, now, mail);
        self.advance(now, mail)
    }

    /// Tells all takers of the proposals; what the first simulated user among them makes of them.
    fn propose(
        &mut self,
        takers: &BTreeSet<u64>,
        adds: &BTreeSet<u64>,
        removes: &BTreeSet<u64>,
        mail: &mut Mail,
    ) -> Result<Option<(u64, davey::CommitWelcome)>, Refused> {
        let mut proposals: Vec<(u64, Vec<u8>)> = Vec::new();
        for user in removes {
            if let Some(leaf) = self.leaf(*user) {
                proposals.push((*user, self.sign(|sign| sign.remove(leaf))?));
            }
        }
        for user in adds {
            if let Some(package) = self.packages.get(user).cloned() {
                proposals.push((*user, self.sign(|sign| sign.add(package))?));
            }
        }
        let mut ours = None;
        for taker in takers {
            // Nobody proposes to a group of one that its only member join it.
            let others = proposals.iter().filter(|(user, _)| user != taker);
            let body: Vec<u8> = others.flat_map(|(_, proposal)| proposal.clone()).collect();
            let body = VLBytes::new(body)
                .tls_serialize_detached()
                .map_err(refused)?;
            if let Some(session) = self.own.get_mut(taker) {
                let made = session
                    .process_proposals(ProposalsOperationType::APPEND, &body, None)
                    .map_err(refused)?;
                ours = ours.or(made.map(|made| (*taker, made)));
            } else {
                let body = [&[0], body.as_slice()].concat().into();
                mail.push((*taker, Message::Binary { op: 27, body }));
            }
        }
        Ok(ours)
    }

    /// Where in the group's tree the user is.
    fn leaf(&self, user: u64) -> Option<LeafNodeIndex> {
        let (_, session) = self.inside()?;
        let mut members = session.group()?.members();
        let member =
            members.find(|member| member.credential.serialized_content() == user.to_be_bytes())?;
        Some(member.index)
    }

    fn sign(
        &self,
        propose: impl FnOnce(&Signing<'_>) -> Result<MlsMessageOut, Refused>,
    ) -> Result<Vec<u8>, Refused> {
        let epoch = self.inside().map_or(0, |(_, session)| epoch_of(session));
        let signing = Signing {
            group: GroupId::from_slice(&self.group_id.to_be_bytes()),
            epoch: epoch.into(),
            signer: &self.signer,
        };
        propose(&signing)?.tls_serialize_detached().map_err(refused)
    }

    /// Lets simulated users follow a commit; afterwards they must see whom the proposals ask for.
    fn follow(
        &mut self,
        by: u64,
        round: &Round,
        commit: &[u8],
        welcome: &[u8],
    ) -> Result<(), Refused> {
        let mut expected: BTreeSet<u64> =
            self.members.difference(&round.removes).copied().collect();
        expected.extend(&round.adds);
        for (user, session) in &mut self.own {
            if !expected.contains(user) {
                continue;
            }
            if round.adds.contains(user) && *user != by {
                session.process_welcome(welcome).map_err(refused)?;
            } else {
                session.process_commit(commit).map_err(refused)?;
            }
            let seen: BTreeSet<u64> = session.get_user_ids().into_iter().flatten().collect();
            if seen != expected {
                let text =
                    format!("a commit that leads to the members {seen:?} in place of {expected:?}");
                return Err(Refused(text));
            }
        }
        self.members = expected;
        self.packages.retain(|user, _| !round.adds.contains(user));
        Ok(())
    }

    /// Tells clients of a commit, and begins the transition to it.
    fn announce(
        &mut self,
        by: u64,
        round: &Round,
        commit: &[u8],
        welcome: &[u8],
        now: Instant,
        mail: &mut Mail,
    ) {
        let clients: BTreeSet<u64> = self.clients.intersection(&self.members).copied().collect();
        if clients.is_empty() {
            return;
        }
        let id = self.begin(clients.clone(), VERSION.get(), now);
        let number = id.to_be_bytes();
        for user in clients {
            let welcomed = round.adds.contains(&user) && !(round.founds && user == by);
            let (op, body) = if welcomed {
                (30, welcome)
            } else {
                (29, commit)
            };
            let body = [&number, body].concat().into();
            mail.push((user, Message::Binary { op, body }));
        }
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("version", &self.version)
            .field("members", &self.members)
            .field("round", &self.round)
            .field("transition", &self.transition)
            .finish_non_exhaustive()
    }
}

fn epoch_of(session: &DaveSession) -> u64 {
    session.epoch().map_or(0, |epoch| epoch.as_u64())
}

fn refused(error: impl std::fmt::Display) -> Refused {
    Refused(error.to_string())
}

#[cfg(test)]
mod tests;
