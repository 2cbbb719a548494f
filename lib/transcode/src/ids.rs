//! The ids that events are routed by: found in what was encoded, or in the JSON itself.

use prost_reflect::{Kind as Type, MessageDescriptor};
use wire::event::EventKind;

use crate::error::Fault;
use crate::frame::decode;
use crate::keys;
use crate::read;
use crate::scan::{self, Next, Rest, behind, space};
use crate::walk::Routed;

/// What an event is about, as far as its payload says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ids {
    /// The guild.
    pub guild_id: Option<u64>,
    /// The channel.
    pub channel_id: Option<u64>,
    /// The user whom it is about, or who caused it.
    pub user_id: Option<u64>,
}

/// Which of the three.
#[derive(Clone, Copy, Debug)]
enum Which {
    Guild,
    Channel,
    User,
}

/// Where the payloads of one kind have their ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    paths: Vec<Path>,
    /// The lengths that the names on the paths have, as the bits of a set.
    lengths: u64,
}

/// As many paths are followed at once; the most that any event has is five.
const PATHS: usize = 32;

/// One way to an id.
#[derive(Clone, Debug)]
struct Path {
    which: Which,
    /// Its place among those to the same id: the first that leads somewhere counts.
    rank: usize,
    names: Vec<String>,
    /// The numbers of the fields; empty if the schema does not know one of the names.
    numbers: Vec<u32>,
}

impl Routes {
    /// Those of a kind that the schema knows.
    pub(crate) fn of(kind: &EventKind) -> Self {
        let mut routes = Self::default();
        routes.add(Which::Guild, &kind.guild_id);
        routes.add(Which::Channel, &kind.channel_id);
        routes.add(Which::User, &kind.user_id);
        for path in &mut routes.paths {
            path.numbers = numbers(&kind.message, &path.names).unwrap_or_default();
        }
        routes
    }

    /// Where any other payload is likely to have them.
    pub(crate) fn usual() -> Self {
        let path = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let mut routes = Self::default();
        routes.add(Which::Guild, &[path(&["guild_id"])]);
        routes.add(Which::Channel, &[path(&["channel_id"])]);
        routes.add(Which::User, &[path(&["user_id"]), path(&["user", "id"])]);
        routes
    }

    fn add(&mut self, which: Which, paths: &[Vec<String>]) {
        for (rank, names) in paths.iter().enumerate() {
            let lengths = names.iter().map(|name| 1 << name.len().min(63));
            self.lengths = lengths.fold(self.lengths, |all, length| all | length);
            self.paths.push(Path {
                which,
                rank,
                names: names.clone(),
                numbers: Vec::new(),
            });
        }
    }

    /// The names of the members through which a path leads.
    pub(crate) fn members(&self) -> Vec<&str> {
        let names = self.paths.iter().filter(|path| !path.numbers.is_empty());
        names
            .filter_map(|path| path.names.first().map(String::as_str))
            .collect()
    }

    /// The ids in what was encoded of a payload.
    pub(crate) fn in_message(&self, written: &[u8], routed: &[Routed]) -> Ids {
        let mut found = Found::default();
        for member in routed {
            let bytes = written.get(member.start..member.end).unwrap_or_default();
            for path in &self.paths {
                if path.numbers.first() == Some(&member.number) {
                    found.note(path, find(bytes, &path.numbers));
                }
            }
        }
        found.ids
    }

    /// The ids in a payload that begins at `start`, and where it ends if it is a sound object. Of
    /// one that isn't, the ids before the mistake.
    pub(crate) fn in_json(&self, text: &str, start: usize) -> (Ids, Option<usize>) {
        let mut found = Found::default();
        // The paths that lead here are the bits of a set.
        let all = self.paths.iter().take(PATHS).fold(0, |all, _| all << 1 | 1);
        let rest = behind(text.as_bytes(), start);
        let rest = self.in_object(rest, (0, all), &mut found);
        (found.ids, rest.map(|rest| text.len() - rest.len()))
    }

    /// Follows the paths of the set `here`, whose first `depth` names lead to this object.
    fn in_object<'a>(
        &self,
        value: &'a [u8],
        (depth, here): (usize, u32),
        found: &mut Found,
    ) -> Rest<'a> {
        let fault = &mut Fault::default();
        let mut rest = space(value.strip_prefix(b"{")?);
        if let [b'}', rest @ ..] = rest {
            return Some(rest);
        }
        loop {
            let key = rest.strip_prefix(b"\"")?;
            let (through, behind) = match keys::length(key) {
                Some(length) => {
                    let through = self.through(key.get(..length)?, depth, here);
                    (through, behind(key, length + 1))
                }
                None => self.through_escaped(rest, depth, here)?,
            };
            let value = scan::colon(behind, fault)?;
            let behind = if through == 0 {
                scan::skip(value, depth as u32 + 1, fault)?
            } else {
                self.follow(value, (depth + 1, through), found)?
            };
            match scan::next(behind, b'}', fault)? {
                Next::More(behind) => rest = behind,
                Next::Closed(behind) => return Some(behind),
            }
        }
    }

    /// Those of the paths in the set `here` that lead through this key.
    #[inline(always)]
    fn through(&self, key: &[u8], depth: usize, here: u32) -> u32 {
        let may_lead = self.lengths >> key.len().min(63) & 1 != 0;
        if may_lead {
            self.through_likely(key, depth, here)
        } else {
            0
        }
    }

    /// As `through`, for a key with escapes, which begins with its quote; and what is behind it.
    #[cold]
    fn through_escaped<'a>(
        &self,
        rest: &'a [u8],
        depth: usize,
        here: u32,
    ) -> Option<(u32, &'a [u8])> {
        let end = scan::string(behind(rest, 1), &mut Fault::default())?;
        let quoted = std::str::from_utf8(&rest[..rest.len() - end.len()]).ok()?;
        let through = decode(quoted).map_or(0, |name| self.through(name.as_bytes(), depth, here));
        Some((through, end))
    }

    #[inline(never)]
    fn through_likely(&self, key: &[u8], depth: usize, here: u32) -> u32 {
        let leads = |path: &Path| {
            path.names
                .get(depth)
                .is_some_and(|name| name.as_bytes() == key)
        };
        let paths = self.paths.iter().enumerate().take(PATHS);
        let through = paths.filter(|(index, path)| here >> index & 1 != 0 && leads(path));
        through.fold(0, |all, (index, _)| all | 1 << index)
    }

    /// Goes on with the paths of the set `here`, whose first `depth` names lead to this value.
    fn follow<'a>(
        &self,
        value: &'a [u8],
        (depth, here): (usize, u32),
        found: &mut Found,
    ) -> Rest<'a> {
        let paths = self.paths.iter().enumerate().take(PATHS);
        let further = paths.clone().filter(|(_, path)| path.names.len() > depth);
        let further = here & further.fold(0, |all, (index, _)| all | 1 << index);
        let behind = if further != 0 && value.first() == Some(&b'{') {
            self.in_object(value, (depth, further), found)?
        } else {
            scan::skip(value, depth as u32, &mut Fault::default())?
        };
        let token = std::str::from_utf8(&value[..value.len() - behind.len()]).ok()?;
        for (index, path) in paths {
            if (here & !further) >> index & 1 != 0 {
                found.note(path, id(token));
            }
        }
        Some(behind)
    }
}

/// What has been found, and by which of its paths.
#[derive(Debug, Default)]
struct Found {
    ids: Ids,
    ranks: [usize; 3],
}

impl Found {
    fn note(&mut self, path: &Path, id: Option<u64>) {
        let place = match path.which {
            Which::Guild => &mut self.ids.guild_id,
            Which::Channel => &mut self.ids.channel_id,
            Which::User => &mut self.ids.user_id,
        };
        let rank = &mut self.ranks[path.which as usize];
        if id.is_some() && (place.is_none() || path.rank <= *rank) {
            *place = id;
            *rank = path.rank;
        }
    }
}

/// The numbers of the fields that `names` lead through, the last of which is an id.
fn numbers(message: &MessageDescriptor, names: &[String]) -> Option<Vec<u32>> {
    let (first, rest) = names.split_first()?;
    let field = message.get_field_by_name(first)?;
    let mut path = vec![field.number()];
    match (field.kind(), rest) {
        (Type::Fixed64, []) if !field.is_list() => {}
        (Type::Message(inner), [_, ..]) if !field.is_list() && !field.is_map() => {
            path.extend(numbers(&inner, rest)?);
        }
        _ => return None,
    }
    Some(path)
}

/// The id in encoded fields that the path of numbers leads to.
fn find(mut bytes: &[u8], path: &[u32]) -> Option<u64> {
    let (&wanted, rest) = path.split_first()?;
    while !bytes.is_empty() {
        let (tag, value) = read::varint(bytes)?;
        let behind = read::skip(value, tag as u32 & 7)?;
        if tag >> 3 == u64::from(wanted) {
            match tag & 7 {
                1 if rest.is_empty() => {
                    return value.first_chunk().copied().map(u64::from_le_bytes);
                }
                2 => {
                    let (length, value) = read::varint(value)?;
                    return find(value.get(..length as usize)?, rest);
                }
                _ => {}
            }
        }
        bytes = behind;
    }
    None
}

/// An id as JSON has it: a string of digits, or a number.
fn id(token: &str) -> Option<u64> {
    let digits = if token.starts_with('"') {
        decode(token)?
    } else {
        token.into()
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= 20;
    if plain { digits.parse().ok() } else { None }
}
