//! The ring keeps order and its bounds through every sequence of operations.

use std::{collections::VecDeque, mem};

use super::Ring;

fn ring(window: usize, costs: &[usize]) -> Ring<usize, ()> {
    let mut ring = Ring::new(window);
    for (index, &cost) in costs.iter().enumerate() {
        ring.push((), index as u64, index, cost);
    }
    ring
}

fn take_all(ring: &mut Ring<usize, ()>) -> Vec<usize> {
    std::iter::from_fn(|| ring.take().map(|entry| entry.message)).collect()
}

#[test]
fn messages_leave_in_the_order_in_which_they_came() {
    let mut ring = ring(100, &[1, 2, 3]);
    assert_eq!(take_all(&mut ring), [0, 1, 2]);
    assert_eq!(ring.used(), 6);
    assert_eq!(ring.confirm().map(|entry| entry.message), Some(0));
    assert_eq!(ring.used(), 5);
    assert!(ring.take().is_none());
}

#[test]
fn what_was_not_handed_out_cannot_be_confirmed() {
    let mut ring = ring(100, &[1, 2]);
    assert!(ring.confirm().is_none());
    assert!(ring.take().is_some());
    assert!(ring.confirm().is_some());
    assert!(ring.confirm().is_none());
    assert!(!ring.is_empty());
}

#[test]
fn a_rewound_ring_begins_with_the_oldest_unconfirmed_message() {
    let mut ring = ring(100, &[1, 1, 1, 1]);
    for _ in 0..3 {
        assert!(ring.take().is_some());
    }
    assert!(ring.confirm().is_some());
    ring.rewind();
    let again: Vec<_> =
        std::iter::from_fn(|| ring.take().map(|e| (e.message, e.repeated))).collect();
    assert_eq!(again, [(1, true), (2, true), (3, false)]);
}

#[test]
fn a_full_window_admits_nothing_until_something_is_confirmed() {
    let mut ring = ring(10, &[4, 5]);
    assert!(ring.has_room());
    assert!(ring.admits(1));
    assert!(
        ring.admits(3),
        "the last one may exceed the window by a quarter"
    );
    assert!(!ring.admits(4));
    ring.push((), 2, 2, 2);
    assert!(!ring.has_room());
    assert!(!ring.admits(0));
    assert!(ring.take().is_some());
    assert!(ring.confirm().is_some());
    assert!(ring.has_room());
}

#[test]
fn a_window_that_was_full_has_room_when_a_part_of_it_is_free() {
    let mut ring = ring(640, &[10; 64]);
    assert_eq!(take_all(&mut ring).len(), 64);
    assert!(!ring.has_room());
    assert!(ring.confirm().is_some());
    assert!(!ring.has_room() && !ring.admits(1), "630 of 640");
    assert!(ring.confirm().is_some());
    assert!(ring.has_room() && ring.admits(1), "620 of 640");
    ring.push((), 64, 64, 19);
    assert!(ring.has_room(), "639 of 640, on the way up");
    ring.push((), 65, 65, 1);
    assert!(!ring.has_room());
}

#[test]
fn a_message_bigger_than_the_window_is_let_through_alone() {
    let mut ring = ring(10, &[1]);
    assert!(!ring.admits(1_000));
    assert!(ring.take().is_some());
    assert!(ring.confirm().is_some());
    assert!(ring.admits(1_000));
    ring.push((), 1, 1, 1_000);
    assert!(!ring.admits(1));
}

#[test]
fn a_message_can_be_replaced_where_it_stands() {
    let mut ring = ring(100, &[1, 20, 3]);
    ring.revise(|message, ()| (*message == 1).then(|| mem::replace(message, 7)));
    assert_eq!(ring.used(), 5);
    assert_eq!(take_all(&mut ring), [0, 7, 2]);
}

#[test]
fn what_waits_beside_the_ring_takes_its_part_of_the_window() {
    let mut ring = ring(10, &[4]);
    ring.beside(5);
    assert_eq!(ring.used(), 9);
    assert!(ring.admits(3));
    assert!(!ring.admits(4));
    ring.beside(6);
    assert!(!ring.has_room());
    ring.beside(0);
    assert!(ring.has_room());
}

/// A thousand random walks against the simplest model that could be right.
#[test]
fn random_walks_agree_with_a_model() {
    for seed in 0..1_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut ring = Ring::new(50);
        let mut model = VecDeque::new();
        let (mut taken, mut next) = (0_usize, 0_u64);
        for _ in 0..200 {
            match random.u8(0..10) {
                0..4 => {
                    let cost = random.usize(1..30);
                    if ring.admits(cost) {
                        ring.push((), next, cost, cost);
                        model.push_back((next, cost));
                        next += 1;
                    }
                }
                4..7 => {
                    let expected = model.get(taken).map(|&(sequence, _)| sequence);
                    assert_eq!(ring.take().map(|entry| entry.sequence), expected);
                    taken += usize::from(expected.is_some());
                }
                7..9 => {
                    let expected = (taken > 0).then(|| model.pop_front()).flatten();
                    taken = taken.saturating_sub(1);
                    assert_eq!(
                        ring.confirm().map(|entry| entry.sequence),
                        expected.map(|(sequence, _)| sequence)
                    );
                }
                _ => {
                    ring.rewind();
                    taken = 0;
                }
            }
            assert_eq!(
                ring.used(),
                model.iter().map(|&(_, cost)| cost).sum::<usize>()
            );
            assert!(ring.used() <= 62, "the window and its quarter");
        }
    }
}
