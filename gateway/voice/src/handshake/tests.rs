//! Every way to a connection and away from it, without one.

use super::*;

const TIMES: Times = Times {
    join: Duration::from_secs(10),
    reconnect: Duration::from_secs(60),
};
const HERE: u64 = 20;
const THERE: u64 = 30;

fn state(channel_id: u64) -> Heard {
    Heard::State {
        channel_id: Some(channel_id),
        session_id: "session".to_owned(),
    }
}

fn left() -> Heard {
    Heard::State {
        channel_id: None,
        session_id: "session".to_owned(),
    }
}

fn server(token: &str) -> Heard {
    Heard::Server {
        endpoint: Some("voice:443".to_owned()),
        token: token.to_owned(),
    }
}

fn gone() -> Heard {
    Heard::Server {
        endpoint: None,
        token: "gone".to_owned(),
    }
}

fn info(channel_id: u64, token: &str) -> Info {
    Info {
        channel_id,
        session_id: "session".to_owned(),
        endpoint: "voice:443".to_owned(),
        token: token.to_owned(),
    }
}

/// A call that is connected.
fn connected() -> (Handshake, Instant) {
    let now = Instant::now();
    let (mut call, step) = Handshake::join(HERE, TIMES, now);
    assert_eq!(step, Step::Ask(vec![Some(HERE)]));
    assert_eq!(call.on(state(HERE), now), Step::Nothing);
    let connect = Step::Connect(info(HERE, "one"));
    assert_eq!(call.on(server("one"), now), connect);
    let ready = Step::Ready(VoiceConnectReason::Join);
    assert_eq!(call.on(Heard::Connected, now), ready);
    assert!(call.is_connected());
    (call, now)
}

/// The loss of a step, and whether the call is over.
fn lost(step: Step) -> (Loss, bool) {
    match step {
        Step::Lost(loss) => (loss, false),
        Step::End(loss) => (loss, true),
        step => panic!("{step:?}"),
    }
}

fn tick(call: &mut Handshake) -> (Step, Instant) {
    let due = call.due().expect("something is waited for");
    assert_eq!(call.tick(due - Duration::from_millis(1)), Step::Nothing);
    (call.tick(due), due)
}

#[test]
fn both_events_make_a_connection_in_either_order() {
    connected();
    let now = Instant::now();
    let (mut call, _) = Handshake::join(HERE, TIMES, now);
    assert_eq!(call.on(server("one"), now), Step::Nothing);
    let connect = Step::Connect(info(HERE, "one"));
    assert_eq!(call.on(state(HERE), now), connect);
}

#[test]
fn of_several_servers_the_last_one_counts() {
    let now = Instant::now();
    let (mut call, _) = Handshake::join(HERE, TIMES, now);
    assert_eq!(call.on(server("old"), now), Step::Nothing);
    assert_eq!(call.on(gone(), now), Step::Nothing);
    assert_eq!(call.on(state(HERE), now), Step::Nothing);
    let connect = Step::Connect(info(HERE, "new"));
    assert_eq!(call.on(server("new"), now), connect);
}

#[test]
fn nobody_is_let_in_without_end() {
    let now = Instant::now();
    let (mut call, _) = Handshake::join(HERE, TIMES, now);
    let (step, due) = tick(&mut call);
    assert_eq!(due, now + TIMES.join);
    let (loss, over) = lost(step);
    assert_eq!((loss.reason, over), (VoiceDisconnectReason::Refused, true));
    assert_eq!(call.on(server("late"), due), Step::Nothing);
}

#[test]
fn one_event_alone_has_the_channel_left_and_joined_anew_and_no_longer_than_before() {
    let now = Instant::now();
    let (mut call, _) = Handshake::join(HERE, TIMES, now);
    assert_eq!(call.on(state(HERE), now), Step::Nothing);
    let (step, due) = tick(&mut call);
    assert_eq!(due, now + SECOND);
    assert_eq!(step, Step::Ask(vec![None, Some(HERE)]));
    // What the leaving itself says, and what was before, is no news.
    assert_eq!(call.on(left(), due), Step::Nothing);
    assert_eq!(call.on(state(THERE), due), Step::Nothing);
    assert_eq!(call.on(state(HERE), due), Step::Nothing);
    assert_eq!(tick(&mut call), (Step::Nothing, due + SECOND));
    let (step, due) = tick(&mut call);
    assert_eq!(due, now + TIMES.join);
    assert!(lost(step).1);
}

#[test]
fn a_moderator_moves_the_bot() {
    // The state comes first, and the old connection ends at any moment.
    for closed in 0..3 {
        let (mut call, now) = connected();
        let close = |call: &mut Handshake, at: usize| {
            if closed == at {
                call.on(Heard::Closed(Some(4014)), now);
            }
        };
        close(&mut call, 0);
        assert_eq!(call.on(state(THERE), now), Step::Nothing);
        close(&mut call, 1);
        let connect = Step::Connect(info(THERE, "two"));
        assert_eq!(call.on(server("two"), now), connect);
        assert_eq!(call.channel_id(), THERE);
        if closed < 2 {
            let step = call.on(Heard::Connected, now);
            assert!(matches!(step, Step::Ready(_)), "{step:?}");
        }
    }
}

#[test]
fn a_moderator_removes_the_bot() {
    let (mut call, now) = connected();
    let (loss, over) = lost(call.on(left(), now));
    assert_eq!((loss.reason, over), (VoiceDisconnectReason::Removed, true));

    let (mut call, now) = connected();
    let (loss, over) = lost(call.on(Heard::Closed(Some(4014)), now));
    assert_eq!((loss.close_code, over), (Some(4014), false));
    let (loss, over) = lost(call.on(left(), now));
    assert_eq!((loss.reason, over), (VoiceDisconnectReason::Removed, true));
    assert_eq!(loss.close_code, Some(4014));

    // Nobody says why: it must not come back by itself.
    let (mut call, now) = connected();
    call.on(Heard::Closed(Some(4014)), now);
    let (step, due) = tick(&mut call);
    assert_eq!(due, now + NEWS);
    assert!(lost(step).1);
}

#[test]
fn a_worker_moves_the_bot_and_it_stays_where_it_was_when_it_is_not_let_in() {
    let (mut call, now) = connected();
    assert_eq!(call.move_to(THERE, now), Step::Ask(vec![Some(THERE)]));
    // The old connection ends with the move.
    assert_eq!(call.on(Heard::Closed(Some(4014)), now), Step::Nothing);
    assert_eq!(call.on(state(THERE), now), Step::Nothing);
    let connect = Step::Connect(info(THERE, "two"));
    assert_eq!(call.on(server("two"), now), connect);
    let ready = Step::Ready(VoiceConnectReason::Move);
    assert_eq!(call.on(Heard::Connected, now), ready);

    let (mut call, now) = connected();
    call.move_to(THERE, now);
    assert_eq!(tick(&mut call), (Step::Stayed, now + TIMES.join));
    assert_eq!((call.channel_id(), call.is_connected()), (HERE, true));

    let (mut call, now) = connected();
    call.move_to(THERE, now);
    assert_eq!(call.on(Heard::NotAsked, now), Step::Stayed);
}

#[test]
fn the_call_gets_another_server() {
    let (mut call, now) = connected();
    // The same one once more is none.
    assert_eq!(call.on(server("one"), now), Step::Nothing);
    let connect = Step::Connect(info(HERE, "two"));
    assert_eq!(call.on(server("two"), now), connect);
    let ready = Step::Ready(VoiceConnectReason::Reconnect);
    assert_eq!(call.on(Heard::Connected, now), ready);
}

#[test]
fn a_server_that_goes_is_waited_for() {
    let (mut call, now) = connected();
    let (loss, over) = lost(call.on(gone(), now));
    assert_eq!((loss.reason, over), (VoiceDisconnectReason::Server, false));
    assert_eq!(call.on(Heard::Closed(Some(4022)), now), Step::Nothing);
    let connect = Step::Connect(info(HERE, "two"));
    assert_eq!(call.on(server("two"), now), connect);

    let (mut call, now) = connected();
    call.on(gone(), now);
    let (step, due) = tick(&mut call);
    assert_eq!(due, now + TIMES.reconnect);
    assert!(lost(step).1);
}

#[test]
fn each_close_code_is_followed_as_discord_says() {
    // What must not be made again by itself.
    for code in [4017, 4021] {
        let (mut call, now) = connected();
        let (loss, over) = lost(call.on(Heard::Closed(Some(code)), now));
        assert_eq!((loss.close_code, over), (Some(code), true));
    }
    // What is waited for.
    let (mut call, now) = connected();
    let (loss, over) = lost(call.on(Heard::Closed(Some(4022)), now));
    assert_eq!((loss.ask, over), (vec![], false));
    let step = call.on(server("two"), now);
    assert_eq!(step, Step::Connect(info(HERE, "two")));
    // What takes a new session. A resume has been tried before.
    for code in [
        None,
        Some(4004),
        Some(4006),
        Some(4009),
        Some(4011),
        Some(4015),
    ] {
        let (mut call, now) = connected();
        let (loss, over) = lost(call.on(Heard::Closed(code), now));
        assert_eq!((loss.close_code, over), (code, false));
        assert_eq!(loss.ask, [None, Some(HERE)]);
        assert_eq!(call.on(left(), now), Step::Nothing);
        call.on(state(HERE), now);
        let step = call.on(server("two"), now);
        assert_eq!(step, Step::Connect(info(HERE, "two")));
        let ready = Step::Ready(VoiceConnectReason::Reconnect);
        assert_eq!(call.on(Heard::Connected, now), ready);
    }
}

#[test]
fn a_lost_call_is_tried_again_and_not_without_end() {
    let (mut call, began) = connected();
    let mut now = began;
    let mut asked = 0;
    let mut step = call.on(Heard::Closed(Some(4006)), now);
    loop {
        match step {
            Step::End(_) => break,
            Step::Lost(Loss { ask, .. }) if ask.is_empty() => (step, now) = tick(&mut call),
            Step::Lost(_) | Step::Ask(_) => {
                asked += 1;
                call.on(state(HERE), now);
                let token = format!("{asked}");
                assert!(matches!(call.on(server(&token), now), Step::Connect(_)));
                step = call.on(Heard::Closed(None), now);
            }
            step => panic!("{step:?}"),
        }
    }
    assert!(asked > 50, "{asked}");
    assert!(now <= began + TIMES.reconnect);
    assert!(now + 2 * PAUSE >= began + TIMES.reconnect);
}

#[test]
fn who_was_never_connected_is_told_at_once() {
    let now = Instant::now();
    let (mut call, _) = Handshake::join(HERE, TIMES, now);
    call.on(state(HERE), now);
    call.on(server("one"), now);
    let (loss, over) = lost(call.on(Heard::Closed(Some(4006)), now));
    assert_eq!((loss.reason, over), (VoiceDisconnectReason::Refused, true));

    let (mut call, _) = Handshake::join(HERE, TIMES, now);
    let (loss, over) = lost(call.on(Heard::NotAsked, now));
    assert_eq!((loss.reason, over), (VoiceDisconnectReason::Refused, true));
}

#[test]
fn gateway_ws_may_be_away_for_a_while() {
    let (mut call, now) = connected();
    call.on(Heard::Closed(Some(4006)), now);
    assert_eq!(call.on(Heard::NotAsked, now), Step::Nothing);
    let (step, due) = tick(&mut call);
    assert_eq!(due, now + PAUSE);
    assert_eq!(step, Step::Ask(vec![None, Some(HERE)]));
}

#[test]
fn another_node_goes_on_with_what_it_got_or_asks_anew() {
    let now = Instant::now();
    let (mut call, step) = Handshake::take_over(info(HERE, "one"), TIMES, now);
    assert_eq!(step, Step::Connect(info(HERE, "one")));
    let ready = Step::Ready(VoiceConnectReason::Takeover);
    assert_eq!(call.on(Heard::Connected, now), ready);

    let (mut call, _) = Handshake::take_over(info(HERE, "one"), TIMES, now);
    let (loss, over) = lost(call.on(Heard::Closed(Some(4004)), now));
    assert!(!over);
    assert!(loss.ask.is_empty());
    let (step, _) = tick(&mut call);
    assert_eq!(step, Step::Ask(vec![None, Some(HERE)]));
}
