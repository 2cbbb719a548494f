//! What plays, what follows, and what happens when a track ends: without sound, and without a clock.

use std::collections::VecDeque;

use wire::gateway::v1::{Code, Error as Failure, VoiceLoop};

use crate::{failure::failure, track::Track};

/// The tracks of a call.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    playing: Option<Track>,
    waiting: VecDeque<Track>,
    looping: VoiceLoop,
    /// How many there may be in all.
    limit: usize,
}

/// Where tracks were put.
#[derive(Debug, PartialEq)]
pub(crate) struct Place {
    /// How many tracks are in front of the first.
    pub(crate) in_front: usize,
    /// The one that is to play now, as nothing did.
    pub(crate) starts: Option<Track>,
}

impl Queue {
    /// An empty one.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            playing: None,
            waiting: VecDeque::new(),
            looping: VoiceLoop::Unspecified,
            limit,
        }
    }

    /// What plays, or is held.
    pub(crate) fn playing(&self) -> Option<&Track> {
        self.playing.as_ref()
    }

    /// Something was found out about what plays.
    pub(crate) fn found(&mut self, track: Track) {
        if let Some(playing) = &mut self.playing
            && playing.id() == track.id()
        {
            *playing = track;
        }
    }

    /// How many tracks follow.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many tracks there are in all.
    pub(crate) fn total(&self) -> usize {
        self.waiting.len() + usize::from(self.playing.is_some())
    }

    /// What happens when a track ends.
    pub(crate) fn looping(&self) -> VoiceLoop {
        self.looping
    }

    /// Changes that.
    pub(crate) fn set_loop(&mut self, looping: VoiceLoop) {
        self.looping = looping;
    }

    /// All tracks, from the one that plays.
    pub(crate) fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.playing.iter().chain(&self.waiting)
    }

    /// Whether tracks with these ids may come.
    ///
    /// # Errors
    /// One of them is there already, or comes twice.
    pub(crate) fn check(&self, tracks: &[Track]) -> Result<(), Failure> {
        for (place, track) in tracks.iter().enumerate() {
            let mut others = self.tracks().chain(&tracks[..place]);
            if others.any(|other| other.id() == track.id()) {
                let text = format!("the call has a track {:?} already", track.id());
                return Err(failure(Code::AlreadyExists, text));
            }
        }
        Ok(())
    }

    /// Plays a track in place of the one that plays, which is returned.
    pub(crate) fn play(&mut self, track: Track) -> Option<Track> {
        self.playing.replace(track)
    }

    /// Puts tracks behind so many of those that wait, or behind all: all of them, or none.
    ///
    /// # Errors
    /// There is no room for them, or one is there already.
    pub(crate) fn enqueue(
        &mut self,
        tracks: Vec<Track>,
        place: Option<usize>,
    ) -> Result<Place, Failure> {
        self.check(&tracks)?;
        if self.total() + tracks.len() > self.limit {
            let text = format!(
                "the queue has {} tracks, and room for {}",
                self.total(),
                self.limit
            );
            return Err(failure(Code::ResourceExhausted, text));
        }
        let place = place.unwrap_or(usize::MAX).min(self.waiting.len());
        for (offset, track) in tracks.into_iter().enumerate() {
            self.waiting.insert(place + offset, track);
        }
        let plays = self.playing.is_some();
        let starts = match plays {
            true => None,
            false => self.advance(),
        };
        let in_front = place + usize::from(plays);
        Ok(Place { in_front, starts })
    }

    /// The track has come to its end; what plays now.
    pub(crate) fn ended(&mut self) -> Option<Track> {
        match self.looping {
            VoiceLoop::Track => self.playing.clone(),
            VoiceLoop::Queue => {
                self.waiting.extend(self.playing.take());
                self.advance()
            }
            VoiceLoop::Unspecified => self.advance(),
        }
    }

    /// The track cannot be played: it is not repeated. What plays now.
    pub(crate) fn failed(&mut self) -> Option<Track> {
        self.advance()
    }

    /// Passes over so many tracks, the one that plays included; what plays now. What goes round goes to the end.
    pub(crate) fn skip(&mut self, count: usize) -> Option<Track> {
        for _ in 0..count.clamp(1, self.total().max(1)) {
            if self.looping == VoiceLoop::Queue {
                self.waiting.extend(self.playing.take());
            }
            self.advance();
        }
        self.playing.clone()
    }

    /// Drops all tracks; how many there were.
    pub(crate) fn stop(&mut self) -> usize {
        let total = self.total();
        self.playing = None;
        self.waiting.clear();
        total
    }

    fn advance(&mut self) -> Option<Track> {
        self.playing = self.waiting.pop_front();
        self.playing.clone()
    }
}

#[cfg(test)]
mod tests;
