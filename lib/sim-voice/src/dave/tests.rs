//! Groups of simulated users and clients, without any socket.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU16,
    time::Duration,
};

use davey::{DaveSession, MediaType, ProposalsOperationType};
use serde_json::Value;
use tokio::time::Instant;

use super::{Delivery, Mail, Refused, Rules};
use crate::payload::Message;

const CHANNEL: u64 = 77;
const RULES: Rules = Rules {
    users_commit: false,
    transition_timeout: Duration::from_secs(10),
};

/// A call with clients that do what the protocol asks.
struct Stage {
    delivery: Delivery,
    clients: BTreeMap<u64, DaveSession>,
    /// Opcodes that each client got, in order.
    got: Vec<(u64, u8)>,
    /// Whether clients say that they are ready.
    eager: bool,
}

impl Stage {
    fn new(rules: Rules) -> Self {
        Self {
            delivery: Delivery::new(CHANNEL, rules).unwrap(),
            clients: BTreeMap::new(),
            got: Vec::new(),
            eager: true,
        }
    }

    fn seat(&mut self, user: u64) {
        let mut mail = Mail::new();
        self.delivery.seat(user, Instant::now(), &mut mail).unwrap();
        self.deliver(mail);
    }

    fn join(&mut self, user: u64) {
        let session = DaveSession::new(NonZeroU16::MIN, user, CHANNEL, None).unwrap();
        self.clients.insert(user, session);
        let mut mail = Mail::new();
        self.delivery.join(user, &mut mail);
        self.deliver(mail);
        self.offer(user);
    }

    fn leave(&mut self, user: u64) {
        self.clients.remove(&user);
        let mut mail = Mail::new();
        self.delivery
            .leave(user, Instant::now(), &mut mail)
            .unwrap();
        self.deliver(mail);
    }

    fn offer(&mut self, user: u64) {
        let mut mail = Mail::new();
        self.send_package(user, &mut mail);
        self.deliver(mail);
    }

    /// Sends a new key package.
    fn send_package(&mut self, user: u64, mail: &mut Mail) {
        let session = self.clients.get_mut(&user).unwrap();
        let package = session.create_key_package().unwrap();
        let now = Instant::now();
        self.delivery
            .key_package(user, &package, now, mail)
            .unwrap();
    }

    /// Lets clients answer, in order, until nothing more comes.
    fn deliver(&mut self, mail: Mail) {
        let mut queue = VecDeque::from(mail);
        while let Some((user, message)) = queue.pop_front() {
            let mut answers = Mail::new();
            match message {
                Message::Text { op, d } => {
                    self.got.push((user, op));
                    if op == 24 && d["epoch"] == 1 && self.clients.contains_key(&user) {
                        let session = self.clients.get_mut(&user).unwrap();
                        session
                            .reinit(NonZeroU16::MIN, user, CHANNEL, None)
                            .unwrap();
                        self.send_package(user, &mut answers);
                    }
                    if op == 21 && self.eager {
                        self.ready(user, &d["transition_id"], &mut answers);
                    }
                }
                Message::Binary { op, body } => {
                    self.got.push((user, op));
                    self.binary(user, op, &body, &mut answers);
                }
            }
            queue.extend(answers);
        }
    }

    fn ready(&mut self, user: u64, id: &Value, answers: &mut Mail) {
        let id = id.as_u64().unwrap().try_into().unwrap();
        self.delivery.ready(user, id, answers);
    }

    fn binary(&mut self, user: u64, op: u8, body: &[u8], answers: &mut Mail) {
        let Some(session) = self.clients.get_mut(&user) else {
            return;
        };
        match op {
            25 => session.set_external_sender(body).unwrap(),
            27 => {
                let made = session
                    .process_proposals(ProposalsOperationType::APPEND, &body[1..], None)
                    .unwrap();
                let made = made.expect("proposals lead to a commit");
                let bytes = [made.commit, made.welcome.unwrap_or_default()].concat();
                self.delivery
                    .commit(user, &bytes, Instant::now(), answers)
                    .unwrap();
            }
            29 | 30 => {
                let (id, body) = body.split_at(2);
                if op == 29 {
                    session.process_commit(body).unwrap();
                } else {
                    session.process_welcome(body).unwrap();
                }
                if self.eager {
                    let id = u16::from_be_bytes([id[0], id[1]]);
                    self.delivery.ready(user, id, answers);
                }
            }
            _ => panic!("op {op}"),
        }
    }

    /// Whether everybody can hear the client, and the client the simulated user.
    fn talk(&mut self, client: u64, user: u64) {
        let frame = [1, 2, 3, 4, 5];
        let sent = self
            .clients
            .get_mut(&client)
            .unwrap()
            .encrypt_opus(&frame)
            .unwrap()
            .into_owned();
        assert_ne!(sent, frame);
        assert_eq!(self.delivery.decrypt(client, &sent).unwrap(), frame);
        let sent = self.delivery.encrypt(user, &frame).unwrap();
        for (id, session) in &mut self.clients {
            let heard = session.decrypt(user, MediaType::AUDIO, &sent);
            assert_eq!(heard.unwrap(), frame, "{id}");
        }
    }
}

#[test]
fn a_client_makes_the_group_with_whoever_is_there() {
    let mut stage = Stage::new(RULES);
    stage.seat(1);
    stage.join(2);
    assert_eq!(stage.delivery.members(), [1, 2]);
    assert_eq!(stage.got, [(2, 25), (2, 27), (2, 29), (2, 22)]);
    stage.talk(2, 1);
}

#[test]
fn clients_come_and_go() {
    let mut stage = Stage::new(RULES);
    stage.seat(1);
    stage.join(2);
    stage.join(3);
    assert_eq!(stage.delivery.members(), [1, 2, 3]);
    stage.talk(2, 1);
    stage.talk(3, 1);
    stage.seat(4);
    assert_eq!(stage.delivery.members(), [1, 2, 3, 4]);
    stage.talk(3, 4);
    let epoch = stage.delivery.epoch();
    stage.leave(2);
    assert_eq!(stage.delivery.members(), [1, 3, 4]);
    assert!(
        stage.delivery.epoch() > epoch,
        "the one who left is shut out"
    );
    stage.talk(3, 4);
    stage.leave(1);
    assert_eq!(stage.delivery.members(), [3, 4]);
    stage.talk(3, 4);
}

#[test]
fn simulated_users_welcome_clients_if_they_are_to() {
    let mut stage = Stage::new(Rules {
        users_commit: true,
        ..RULES
    });
    stage.seat(1);
    stage.join(2);
    stage.join(3);
    assert!(stage.got.contains(&(2, 30)) && stage.got.contains(&(3, 30)));
    assert!(stage.got.contains(&(2, 29)), "{:?}", stage.got);
    stage.talk(2, 1);
    stage.talk(3, 1);
}

#[test]
fn a_call_of_clients_alone_gets_a_new_group_for_every_change() {
    let mut stage = Stage::new(RULES);
    for user in [2, 3, 4] {
        stage.join(user);
    }
    assert_eq!(stage.delivery.members(), [2, 3, 4]);
    stage.leave(3);
    assert_eq!(stage.delivery.members(), [2, 4]);
    stage.leave(4);
    let last: Vec<u8> = stage.got.iter().rev().take(2).map(|(_, op)| *op).collect();
    assert_eq!(last, [21, 24], "the last one is reset");
    stage.seat(1);
    assert_eq!(stage.delivery.members(), [1, 2]);
    stage.talk(2, 1);
}

#[test]
fn a_client_that_cannot_follow_is_added_again() {
    let mut stage = Stage::new(RULES);
    stage.seat(1);
    stage.join(2);
    stage.join(3);
    let mut mail = Mail::new();
    stage
        .delivery
        .recover(2, Instant::now(), &mut mail)
        .unwrap();
    stage.deliver(mail);
    assert_eq!(stage.delivery.members(), [1, 3]);
    let session = stage.clients.get_mut(&2).unwrap();
    session.reinit(NonZeroU16::MIN, 2, CHANNEL, None).unwrap();
    stage.offer(2);
    assert_eq!(stage.delivery.members(), [1, 2, 3]);
    stage.talk(2, 1);
    stage.talk(3, 1);
}

#[test]
fn the_first_commit_wins_and_a_broken_one_is_refused() {
    let mut stage = Stage::new(RULES);
    stage.seat(1);
    let mut session = DaveSession::new(NonZeroU16::MIN, 2, CHANNEL, None).unwrap();
    let mut mail = Mail::new();
    let now = Instant::now();
    stage.delivery.join(2, &mut mail);
    let package = session.create_key_package().unwrap();
    let wrong = stage.delivery.key_package(3, &package, now, &mut mail);
    assert_eq!(
        wrong,
        Err(Refused(
            "a key package in the name of somebody else".to_owned()
        ))
    );
    for bad in [&[][..], &[0, 1], &package[..60]] {
        stage
            .delivery
            .key_package(2, bad, now, &mut mail)
            .unwrap_err();
    }
    stage
        .delivery
        .key_package(2, &package, now, &mut mail)
        .unwrap();
    let [
        (
            2,
            Message::Binary {
                op: 25,
                body: sender,
            },
        ),
        (2, Message::Binary { op: 27, body }),
    ] = &mail[..]
    else {
        panic!("{mail:?}");
    };
    session.set_external_sender(sender).unwrap();
    let made = session.process_proposals(ProposalsOperationType::APPEND, &body[1..], None);
    let made = made.unwrap().unwrap();
    stage
        .delivery
        .commit(2, &[9; 40], now, &mut Mail::new())
        .unwrap_err();
    stage
        .delivery
        .commit(2, &made.commit, now, &mut Mail::new())
        .unwrap_err();
    let whole = [made.commit, made.welcome.unwrap()].concat();
    let mut late = Mail::new();
    stage.delivery.commit(2, &whole, now, &mut late).unwrap();
    assert!(late.is_empty(), "a new group was begun meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_transition_does_not_wait_for_ever() {
    let mut stage = Stage::new(RULES);
    stage.eager = false;
    stage.seat(1);
    stage.join(2);
    let mut mail = Mail::new();
    stage.delivery.tick(Instant::now(), &mut mail);
    assert!(mail.is_empty());
    tokio::time::advance(RULES.transition_timeout).await;
    stage.delivery.tick(Instant::now(), &mut mail);
    assert!(
        matches!(mail[..], [(2, Message::Text { op: 22, .. })]),
        "{mail:?}"
    );
    assert_eq!(stage.delivery.transitions(), 1);
}

#[test]
fn a_call_can_go_without_and_begin_again() {
    let mut stage = Stage::new(RULES);
    stage.seat(1);
    stage.join(2);
    let mut mail = Mail::new();
    stage
        .delivery
        .change_version(0, Instant::now(), &mut mail)
        .unwrap();
    stage.deliver(mail);
    assert_eq!(stage.delivery.version(), 0);
    assert_eq!(stage.delivery.encrypt(1, &[1, 2]).unwrap(), [1, 2]);
    let mut mail = Mail::new();
    stage
        .delivery
        .change_version(1, Instant::now(), &mut mail)
        .unwrap();
    stage.deliver(mail);
    assert_eq!(stage.delivery.members(), [1, 2]);
    stage.talk(2, 1);
}
