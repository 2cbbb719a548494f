//! Event templates: JSON cut into literals and slots once, spliced together for every event.
//!
//! A slot is written `<X>` or `<Xn>` in a template's strings; `<#X>` alone in a string stands for a number.

use std::io::Write;

use fastrand::Rng;
use serde_json::Value;

use crate::{clock, guilds::Guild, json};

use super::words;

/// One event's ever-changing values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) guild: &'a Guild,
    pub(crate) number: u64,
    pub(crate) unix_micros: u64,
}

/// A JSON text with holes.
#[derive(Debug)]
pub(crate) struct Template {
    literals: Vec<u8>,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    /// Where the literal before the slot ends.
    end: usize,
    slot: Option<Slot>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Slot {
    /// `<C>` A channel of the guild.
    Channel,
    /// `<D>` A number below 10,000.
    Digits,
    /// `<F>` A new snowflake.
    Fresh,
    /// `<G>` The guild.
    Guild,
    /// `<X>` A random hash.
    Hash,
    /// `<A>` The avatar of the event's user.
    Avatar,
    /// `<P>` The avatar of the last other user.
    OtherAvatar,
    /// `<Q>` The name of the last other user.
    OtherName,
    /// `<O>` Another user.
    Other,
    /// `<R>` A role of the guild.
    Role,
    /// `<J>` Some moment of the past years.
    Past,
    /// `<S>` Now, in Unix seconds.
    Seconds,
    /// `<L>` Now, in Unix milliseconds.
    Millis,
    /// `<T>` Now, as a date.
    Time,
    /// `<U>` The event's user.
    User,
    /// `<N>` The name of the event's user.
    UserName,
    /// `<V>` A voice channel of the guild.
    VoiceChannel,
    /// `<Wn>` So many words.
    Words(u8),
}

impl Template {
    pub(crate) fn new(value: &Value) -> Self {
        let text = json::text(value);
        let mut template = Self {
            literals: Vec::with_capacity(text.len()),
            pieces: Vec::new(),
        };
        let mut rest = text.as_slice();
        while let Some(byte) = rest.first() {
            if let Some((slot, length)) = slot(rest) {
                template.cut(Some(slot));
                rest = &rest[length..];
            } else {
                template.literals.push(*byte);
                rest = &rest[1..];
            }
        }
        template.cut(None);
        template
    }

    fn cut(&mut self, slot: Option<Slot>) {
        self.pieces.push(Piece {
            end: self.literals.len(),
            slot,
        });
    }

    /// Appends the event with its slots filled.
    pub(crate) fn render(&self, moment: Moment<'_>, random: &mut Rng, out: &mut Vec<u8>) {
        let mut filler = Filler::new(moment, random);
        let mut start = 0;
        for piece in &self.pieces {
            out.extend_from_slice(self.literals.get(start..piece.end).unwrap_or_default());
            start = piece.end;
            if let Some(slot) = piece.slot {
                filler.fill(slot, out);
            }
        }
    }
}

/// Parses `<X>` or `<X12>` at the start of the text, with its length.
fn slot(text: &[u8]) -> Option<(Slot, usize)> {
    let [b'<', letter, rest @ ..] = text else {
        return None;
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if rest.get(digits) != Some(&b'>') {
        return None;
    }
    let number = rest[..digits]
        .iter()
        .fold(0_u8, |n, d| n.saturating_mul(10) + (d - b'0'));
    let slot = match letter {
        b'A' => Slot::Avatar,
        b'C' => Slot::Channel,
        b'D' => Slot::Digits,
        b'F' => Slot::Fresh,
        b'G' => Slot::Guild,
        b'J' => Slot::Past,
        b'L' => Slot::Millis,
        b'N' => Slot::UserName,
        b'O' => Slot::Other,
        b'P' => Slot::OtherAvatar,
        b'Q' => Slot::OtherName,
        b'R' => Slot::Role,
        b'S' => Slot::Seconds,
        b'T' => Slot::Time,
        b'U' => Slot::User,
        b'V' => Slot::VoiceChannel,
        b'W' => Slot::Words(number),
        b'X' => Slot::Hash,
        _ => return None,
    };
    Some((slot, digits + 3))
}

/// Writes slots and remembers what belongs together within one event.
struct Filler<'a> {
    moment: Moment<'a>,
    random: &'a mut Rng,
    user: u64,
    other: u64,
    channel: u64,
    voice_channel: u64,
    fresh: u64,
}

impl<'a> Filler<'a> {
    fn new(moment: Moment<'a>, random: &'a mut Rng) -> Self {
        let user = moment.guild.user(random.u64(..));
        let channel = moment.guild.text_channel(random.u64(..));
        let voice_channel = moment.guild.voice_channel(random.u64(..));
        Self {
            moment,
            random,
            user,
            other: user,
            channel,
            voice_channel,
            fresh: 0,
        }
    }

    fn fill(&mut self, slot: Slot, out: &mut Vec<u8>) {
        let now = self.moment.unix_micros;
        match slot {
            Slot::Avatar => words::hash(self.user, out),
            Slot::Channel => number(self.channel, out),
            Slot::Digits => number(self.random.u64(..10_000), out),
            Slot::Fresh => number(self.fresh(), out),
            Slot::Guild => number(self.moment.guild.id, out),
            Slot::Hash => words::hash(self.random.u64(..), out),
            Slot::Millis => number(now / 1000, out),
            Slot::Other => {
                self.other = self.moment.guild.user(self.random.u64(..));
                number(self.other, out);
            }
            Slot::OtherAvatar => words::hash(self.other, out),
            Slot::OtherName => words::name(self.other, out),
            Slot::Past => {
                let back = self.random.u64(..100_000_000_000_000);
                clock::write_iso(now.saturating_sub(back), out);
            }
            Slot::Role => number(self.moment.guild.role(self.random.u64(..)), out),
            Slot::Seconds => number(now / 1_000_000, out),
            Slot::Time => clock::write_iso(now, out),
            Slot::User => number(self.user, out),
            Slot::UserName => words::name(self.user, out),
            Slot::VoiceChannel => number(self.voice_channel, out),
            Slot::Words(count) => words::write(self.random, count, out),
        }
    }

    /// Snowflakes of one event differ from each other and from those of the events around it.
    fn fresh(&mut self) -> u64 {
        self.fresh += 1;
        let number = self.moment.number.wrapping_mul(16).wrapping_add(self.fresh);
        clock::snowflake(self.moment.unix_micros / 1000, number)
    }
}

fn number(number: u64, out: &mut Vec<u8>) {
    write!(out, "{number}").expect("writing to a Vec does not fail");
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use serde_json::{Value, json};

    use super::{Moment, Template};
    use crate::{config::Config, guilds::Guild};

    #[test]
    fn slots_are_filled_and_the_rest_is_kept() {
        let value = json!({
            "id": "<F>", "content": "<@<O>> said <W3> <:smile:<F>> <y>", "at": "<#S>",
            "author": {"id": "<U>", "avatar": "<A>"}, "member": "<U>", "guild_id": "<G>",
        });
        let template = Template::new(&value);
        let guild = Guild::new(3, &Config::default());
        let moment = Moment {
            guild: &guild,
            number: 1,
            unix_micros: 1_790_000_000_000_000,
        };
        let mut out = Vec::new();
        template.render(moment, &mut Rng::with_seed(1), &mut out);
        let event: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(event["at"], 1_790_000_000);
        assert_eq!(event["author"]["id"], event["member"]);
        assert_eq!(event["guild_id"], guild.id.to_string());
        assert_eq!(event["author"]["avatar"].as_str().unwrap().len(), 32);
        let content = event["content"].as_str().unwrap();
        assert!(
            content.starts_with("<@8") && content.ends_with("> <y>"),
            "{content}"
        );
        assert!(out.ends_with(format!(r#""guild_id":"{}"}}"#, guild.id).as_bytes()));
    }
}
