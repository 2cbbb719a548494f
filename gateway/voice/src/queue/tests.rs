//! What plays after what, in every mode.

use super::*;
use crate::track::tests::track;

/// A queue of these tracks, of which the first plays.
fn queue(ids: &[&str]) -> Queue {
    let mut queue = Queue::new(5);
    queue.enqueue(tracks(ids), None).unwrap();
    queue
}

fn tracks(ids: &[&str]) -> Vec<Track> {
    ids.iter().map(|id| track(id)).collect()
}

fn ids(queue: &Queue) -> Vec<&str> {
    queue.tracks().map(Track::id).collect()
}

#[test]
fn the_first_plays_at_once_and_the_others_follow() {
    let mut queue = Queue::new(5);
    let place = queue.enqueue(tracks(&["a", "b"]), None).unwrap();
    assert_eq!(place.in_front, 0);
    assert_eq!(place.starts, Some(track("a")));
    let place = queue.enqueue(tracks(&["c"]), None).unwrap();
    assert_eq!((place.in_front, place.starts), (2, None));
    assert_eq!(ids(&queue), ["a", "b", "c"]);
    assert_eq!(queue.ended(), Some(track("b")));
    assert_eq!(queue.ended(), Some(track("c")));
    assert_eq!(queue.ended(), None);
    assert_eq!(queue.total(), 0);
}

#[test]
fn tracks_go_before_a_place() {
    let mut queue = queue(&["a", "b", "c"]);
    let place = queue.enqueue(tracks(&["x", "y"]), Some(1)).unwrap();
    assert_eq!(place.in_front, 2);
    assert_eq!(ids(&queue), ["a", "b", "x", "y", "c"]);
}

#[test]
fn all_tracks_are_queued_or_none() {
    let mut queue = queue(&["a", "b", "c"]);
    let full = queue.enqueue(tracks(&["x", "y", "z"]), None).unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted);
    let known = queue.enqueue(tracks(&["x", "b"]), None).unwrap_err();
    assert_eq!(known.code(), Code::AlreadyExists);
    let twice = queue.enqueue(tracks(&["x", "x"]), None).unwrap_err();
    assert_eq!(twice.code(), Code::AlreadyExists);
    assert_eq!(ids(&queue), ["a", "b", "c"]);
}

#[test]
fn what_is_played_now_takes_the_place_of_what_plays() {
    let mut queue = queue(&["a", "b"]);
    assert_eq!(queue.play(track("x")), Some(track("a")));
    assert_eq!(ids(&queue), ["x", "b"]);
}

#[test]
fn a_track_plays_again_and_skip_goes_on() {
    let mut queue = queue(&["a", "b"]);
    queue.set_loop(VoiceLoop::Track);
    assert_eq!(queue.ended(), Some(track("a")));
    assert_eq!(queue.ended(), Some(track("a")));
    assert_eq!(queue.skip(0), Some(track("b")));
    assert_eq!(ids(&queue), ["b"]);
}

#[test]
fn the_queue_goes_round() {
    let mut queue = queue(&["a", "b", "c"]);
    queue.set_loop(VoiceLoop::Queue);
    assert_eq!(queue.ended(), Some(track("b")));
    assert_eq!(ids(&queue), ["b", "c", "a"]);
    assert_eq!(queue.skip(2), Some(track("a")));
    assert_eq!(ids(&queue), ["a", "b", "c"]);
}

#[test]
fn a_single_track_goes_round_too() {
    let mut queue = queue(&["a"]);
    queue.set_loop(VoiceLoop::Queue);
    assert_eq!(queue.ended(), Some(track("a")));
    assert_eq!(queue.skip(1), Some(track("a")));
}

#[test]
fn what_cannot_be_played_is_not_repeated() {
    for looping in [VoiceLoop::Track, VoiceLoop::Queue] {
        let mut queue = queue(&["a", "b"]);
        queue.set_loop(looping);
        assert_eq!(queue.failed(), Some(track("b")));
        assert_eq!(ids(&queue), ["b"]);
    }
}

#[test]
fn skip_passes_over_as_many_as_there_are_at_most() {
    let mut queue = queue(&["a", "b", "c"]);
    assert_eq!(queue.skip(2), Some(track("c")));
    assert_eq!(queue.skip(usize::MAX), None);
    assert_eq!(queue.skip(1), None);
    let place = queue.enqueue(tracks(&["d"]), None).unwrap();
    assert_eq!(place.starts, Some(track("d")));
}

#[test]
fn stop_drops_all() {
    let mut queue = queue(&["a", "b", "c"]);
    assert_eq!(queue.stop(), 3);
    assert_eq!(queue.stop(), 0);
    assert_eq!(ids(&queue), [""; 0]);
}

#[test]
fn what_was_found_out_is_of_the_track_that_plays() {
    let mut queue = queue(&["a", "b"]);
    let length = std::time::Duration::from_secs(3);
    queue.found(track("b").found(None, Some(length)));
    assert_eq!(queue.playing().unwrap().duration(), None);
    queue.found(track("a").found(None, Some(length)));
    assert_eq!(queue.playing().unwrap().duration(), Some(length));
}
