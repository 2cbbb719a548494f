//! How often each kind of event is emitted.

use std::{collections::BTreeMap, str::FromStr};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::kinds::{self, Kind};
use crate::error::Error;

/// Weights by event name; they need not add up to anything.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Mix(pub BTreeMap<String, f64>);

impl Default for Mix {
    fn default() -> Self {
        let weights = [
            ("PRESENCE_UPDATE", 45.0),
            ("MESSAGE_CREATE", 20.0),
            ("TYPING_START", 15.0),
            ("GUILD_MEMBER_UPDATE", 8.0),
            ("VOICE_STATE_UPDATE", 5.0),
            ("MESSAGE_REACTION_ADD", 5.0),
            ("INTERACTION_CREATE", 1.0),
            ("MESSAGE_DELETE", 0.3),
            ("MESSAGE_UPDATE", 0.3),
            ("CHANNEL_UPDATE", 0.2),
            ("GUILD_ROLE_CREATE", 0.1),
            ("ENTITLEMENT_CREATE", 0.1),
        ];
        Self(
            weights
                .into_iter()
                .map(|(name, weight)| (name.to_owned(), weight))
                .collect(),
        )
    }
}

/// Reads `NAME=WEIGHT,NAME=WEIGHT`.
impl FromStr for Mix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let weights = text.split(',').map(|part| {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let weight = weight
                .trim()
                .parse()
                .map_err(|_| Error::Invalid(format!("{part:?} is not of the form NAME=WEIGHT")))?;
            Ok((name.trim().to_owned(), weight))
        });
        let mix = Self(weights.collect::<Result<_, Error>>()?);
        mix.check()?;
        Ok(mix)
    }
}

impl Mix {
    /// Refuses unknown events and weights that cannot be drawn from.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, weight) in &self.0 {
            if !kinds::ALL.iter().any(|kind| kind.name == name) {
                let known: Vec<&str> = kinds::ALL.iter().map(|kind| kind.name).collect();
                let known = known.join(", ");
                let text = format!("the generator has no {name:?}; it has {known}");
                return Err(Error::Invalid(text));
            }
            if !weight.is_finite() || *weight < 0.0 {
                let text = format!("the weight {weight} of {name} is not a number from 0 on");
                return Err(Error::Invalid(text));
            }
        }
        if self.0.values().sum::<f64>() <= 0.0 {
            return Err(Error::Invalid(
                "the mix has no event with a weight".to_owned(),
            ));
        }
        Ok(())
    }

    /// A table to draw kinds from.
    pub(crate) fn draws(&self) -> Draws {
        let mut total = 0.0;
        let kinds = kinds::ALL.iter().filter_map(|kind| {
            let weight = self.0.get(kind.name).copied().unwrap_or_default();
            total += weight;
            (weight > 0.0).then_some((total, kind))
        });
        let table = kinds.collect();
        Draws { table, total }
    }
}

/// Cumulated weights.
#[derive(Debug)]
pub(crate) struct Draws {
    table: Vec<(f64, &'static Kind)>,
    total: f64,
}

impl Draws {
    pub(crate) fn draw(&self, random: &mut Rng) -> Option<&'static Kind> {
        let point = random.f64() * self.total;
        let hit = self.table.iter().find(|(until, _)| point < *until);
        hit.or(self.table.last()).map(|(_, kind)| *kind)
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = &'static Kind> {
        self.table.iter().map(|(_, kind)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fastrand::Rng;

    use super::Mix;

    #[test]
    fn draws_follow_the_weights() {
        let draws = Mix::default().draws();
        let mut random = Rng::with_seed(1);
        let mut counts = BTreeMap::<&str, u32>::new();
        for _ in 0..100_000 {
            *counts
                .entry(draws.draw(&mut random).unwrap().name)
                .or_default() += 1;
        }
        assert!(
            counts["PRESENCE_UPDATE"].abs_diff(45_000) < 1000,
            "{counts:?}"
        );
        assert!(
            counts["MESSAGE_CREATE"].abs_diff(20_000) < 1000,
            "{counts:?}"
        );
        assert_eq!(counts.len(), 12);
    }

    #[test]
    fn a_mix_is_read_from_text() {
        let mix: Mix = "PRESENCE_UPDATE=3, MESSAGE_CREATE=1.5,TYPING_START"
            .parse()
            .unwrap();
        assert_eq!(mix.0.values().sum::<f64>(), 5.5);
        for bad in [
            "",
            "NO_SUCH=1",
            "PRESENCE_UPDATE=x",
            "PRESENCE_UPDATE=-1",
            "PRESENCE_UPDATE=0",
        ] {
            assert!(bad.parse::<Mix>().is_err(), "{bad:?}");
        }
    }
}
