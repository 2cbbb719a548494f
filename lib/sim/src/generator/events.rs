//! The endless and repeatable sequence of events that a seed stands for.

use std::collections::HashMap;

use fastrand::Rng;

use super::{
    kinds::{self, Kind},
    mix::{Draws, Mix},
    template::{Moment, Template},
};
use crate::{
    clock,
    guilds::{Guild, Guilds},
};

/// Draws events: kind, guild and template follow from the seed; ids and times from the clock and a counter.
#[derive(Debug)]
pub(crate) struct Events {
    random: Rng,
    draws: Draws,
    guilds: Guilds,
    templates: HashMap<&'static str, Vec<Variant>>,
}

#[derive(Debug)]
struct Variant {
    full: Template,
    /// For sessions without `MESSAGE_CONTENT`.
    bare: Option<Template>,
}

/// An event before it is written.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) kind: &'static Kind,
    pub(crate) guild: Guild,
    variant: usize,
    /// Seeds what fills the slots, so that skipping an event does not change the next one.
    seed: u64,
}

impl Events {
    pub(crate) fn new(seed: u64, mix: &Mix, guilds: Guilds) -> Self {
        let draws = mix.draws();
        let templates = draws
            .kinds()
            .map(|kind| {
                let mut random = Rng::with_seed(seed ^ 0x7e3a_91c5);
                let variants = (0..kind.variants).map(|_| Variant::new(kind, &mut random));
                (kind.name, variants.collect())
            })
            .collect();
        Self {
            random: Rng::with_seed(seed),
            draws,
            guilds,
            templates,
        }
    }

    /// The next event, if there is a guild for it to happen in.
    pub(crate) fn draw(&mut self) -> Option<Drawn> {
        let kind = self.draws.draw(&mut self.random)?;
        let guild = self
            .guilds
            .get(self.random.usize(..self.guilds.len().max(1)))?;
        Some(Drawn {
            kind,
            guild: guild.clone(),
            variant: self.random.usize(..kind.variants),
            seed: self.random.u64(..),
        })
    }

    /// Writes the event's `d`.
    pub(crate) fn write(&self, drawn: &Drawn, number: u64, content: bool, out: &mut Vec<u8>) {
        let variants = self.templates.get(drawn.kind.name);
        let Some(variant) = variants.and_then(|variants| variants.get(drawn.variant)) else {
            return;
        };
        let bare = variant.bare.as_ref().filter(|_| !content);
        let moment = Moment {
            guild: &drawn.guild,
            number,
            unix_micros: clock::unix_micros(),
        };
        bare.unwrap_or(&variant.full)
            .render(moment, &mut Rng::with_seed(drawn.seed), out);
    }
}

impl Variant {
    fn new(kind: &Kind, random: &mut Rng) -> Self {
        let value = (kind.build)(random);
        let full = Template::new(&value);
        let bare = kind
            .has_content
            .then(|| Template::new(&kinds::without_content(value)));
        Self { full, bare }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::Value;

    use super::Events;
    use crate::{config::Config, generator::Mix, guilds};

    fn events(seed: u64) -> Events {
        Events::new(seed, &Mix::default(), guilds::all(&Config::default()))
    }

    #[test]
    fn events_are_valid_and_about_a_kilobyte() {
        let mut events = events(1);
        let mut sizes = HashMap::<&str, (usize, usize)>::new();
        let (count, mut total) = (20_000, 0);
        for number in 0..count {
            let drawn = events.draw().unwrap();
            let mut out = Vec::new();
            events.write(&drawn, number, true, &mut out);
            let value: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(value.get("guild_id").is_some(), drawn.kind.in_guild);
            assert!(!out.windows(2).any(|pair| pair == b"<#"));
            let entry = sizes.entry(drawn.kind.name).or_default();
            *entry = (entry.0 + 1, entry.1 + out.len());
            total += out.len();
        }
        let average = total / usize::try_from(count).unwrap();
        let kinds: Vec<_> = sizes
            .iter()
            .map(|(name, (n, bytes))| (name, bytes / n))
            .collect();
        assert!((850..1150).contains(&average), "{average} {kinds:?}");
    }

    #[test]
    fn a_seed_always_gives_the_same_events() {
        let draws = |seed| {
            let mut events = events(seed);
            let drawn = (0..1000).map(|_| events.draw().unwrap());
            drawn
                .map(|d| (d.kind.name, d.guild.id, d.variant, d.seed))
                .collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }

    #[test]
    fn without_the_intent_messages_come_without_content() {
        let mut events = events(3);
        let drawn = std::iter::repeat_with(|| events.draw().unwrap())
            .find(|drawn| drawn.kind.name == "MESSAGE_CREATE")
            .unwrap();
        let mut out = Vec::new();
        events.write(&drawn, 1, false, &mut out);
        let value: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["content"], "");
        assert_eq!(value["embeds"], serde_json::json!([]));
        assert!(value["author"]["id"].is_string());
    }
}
