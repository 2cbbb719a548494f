//! The walk over one payload: reads each member once and writes its field at the same time.
//!
//! A value has three fates. It fits, and its field is written. It fits, but would be rendered
//! otherwise than it came (`loose`): its field is written and its text is kept as well. It does
//! not fit: what was written of it is forgotten and its text is kept.

use crate::error::{Error, Fault, Reason};
use crate::keys;
use crate::level::Level;
use crate::scan::{self, Next, Rest, behind, space};
use crate::table::{Arity, Field, Kind, Message, Tables, Tag};
use crate::write::Writer;
use kept::{Kept, Mark};

mod any;
mod kept;
mod list;
mod number;
mod text;
mod time;

/// What the walks of one shard keep from event to event, so as not to allocate.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) writer: Writer,
    kept: Kept,
    /// Which member came last time after the one that a slot stands for. Discord's order hardly
    /// changes, so this guess nearly always saves the search.
    next: Vec<u8>,
    /// Where the members are that the event is routed by.
    pub(crate) routed: Vec<Routed>,
    /// Whether the value just read would be rendered otherwise than it came.
    loose: bool,
    fault: Fault,
}

/// Where the writer has put a member of the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Routed {
    pub(crate) number: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The field that a key names, if any, with its index; and the value behind the key.
type Key<'m, 'a> = (Option<(u8, &'m Field)>, &'a [u8]);

/// One walk.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    text: &'a [u8],
    tables: &'a Tables,
    state: State,
}

impl<'a> Walk<'a> {
    /// Borrows the state, which `payload` gives back.
    pub(crate) fn new(text: &'a [u8], tables: &'a Tables, state: &mut State) -> Self {
        let mut state = std::mem::take(state);
        state.kept.clear();
        state.routed.clear();
        state.loose = false;
        if state.next.len() < tables.slots as usize {
            state.next.resize(tables.slots as usize, keys::NONE);
        }
        Self {
            text,
            tables,
            state,
        }
    }

    /// Writes the fields of the payload that begins at `at`, without tag and length, and returns
    /// the position behind it. `None` in place of an error says that it is no object.
    pub(crate) fn payload(
        mut self,
        message: u32,
        at: usize,
        state: &mut State,
    ) -> Result<usize, Option<Error>> {
        let end = match behind(self.text, at) {
            [b'{', rest @ ..] => self.object(message, rest, Level::OBJECT),
            _ => self.unfit(),
        };
        let end = end.map(|rest| self.at(rest));
        let end = end.ok_or_else(|| self.state.fault.error(self.text.len()));
        *state = self.state;
        end
    }

    /// The members of an object, whose brace has been passed.
    fn object(&mut self, message: u32, rest: &'a [u8], level: Level) -> Rest<'a> {
        let tables = self.tables;
        let message = &tables.messages[message as usize];
        let mut rest = space(rest);
        if let [b'}', rest @ ..] = rest {
            return Some(rest);
        }
        let mark = self.state.kept.mark();
        let mut seen = [0_u64; 2];
        let mut slot = message.slot;
        loop {
            let start = rest;
            let (found, value) = self.key(message, slot, start)?;
            rest = if let Some((index, field)) = found {
                let seen = &mut seen[usize::from(index >> 6 & 1)];
                let bit = 1 << (index & 63);
                if *seen & bit != 0 {
                    return self.state.fault.set(Reason::Duplicate, start);
                }
                *seen |= bit;
                slot = field.slot;
                self.member(field, start, value, level)?
            } else {
                self.unknown(start, value, level)?
            };
            match rest {
                [b',', behind @ ..] => rest = behind,
                [b'}', behind @ ..] => {
                    self.keep(message, mark);
                    return Some(behind);
                }
                _ => match scan::next(rest, b'}', &mut self.state.fault)? {
                    Next::More(behind) => rest = behind,
                    Next::Closed(behind) => {
                        self.keep(message, mark);
                        return Some(behind);
                    }
                },
            }
        }
    }

    /// Passes a key and its colon: its field, with its index, and the value.
    #[inline(always)]
    fn key<'m>(&mut self, message: &'m Message, slot: u32, rest: &'a [u8]) -> Option<Key<'m, 'a>> {
        let guess = self.state.next[slot as usize];
        match message.fields.get(usize::from(guess)) {
            Some(field) if field.key.is_next(rest) => {
                Some((Some((guess, field)), space(behind(rest, field.key.length))))
            }
            _ => self.search(message, slot, rest),
        }
    }

    #[inline(never)]
    fn search<'m>(
        &mut self,
        message: &'m Message,
        slot: u32,
        rest: &'a [u8],
    ) -> Option<Key<'m, 'a>> {
        let [b'"', key @ ..] = space(rest) else {
            return self.state.fault.malformed(space(rest));
        };
        let (index, rest) = match keys::length(key) {
            Some(length) => (message.keys.find(key, length), behind(key, length + 1)),
            None => self.escaped_key(message, key)?,
        };
        let value = scan::colon(rest, &mut self.state.fault)?;
        let field = message.fields.get(usize::from(index));
        if field.is_some() {
            self.state.next[slot as usize] = index;
        }
        Some((field.map(|field| (index, field)), value))
    }

    /// A key with escapes: it is decoded behind what was written, to be looked up there.
    #[cold]
    fn escaped_key(&mut self, message: &Message, key: &'a [u8]) -> Option<(u8, &'a [u8])> {
        let rest = scan::string(key, &mut self.state.fault)?;
        let start = self.state.writer.position();
        let index = match self.copy_text(key) {
            Some(_) => {
                let key = behind(self.state.writer.written(), start);
                message.keys.find(key, key.len())
            }
            // Half a surrogate pair: no field is called so.
            None => keys::NONE,
        };
        self.state.writer.rewind(start);
        Some((index, rest))
    }

    /// The value of a member that the schema knows.
    #[inline(always)]
    fn member(
        &mut self,
        field: &Field,
        start: &'a [u8],
        value: &'a [u8],
        level: Level,
    ) -> Rest<'a> {
        if let [b'n', b'u', b'l', b'l', rest @ ..] = value {
            self.state.kept.null(field.number);
            return Some(rest);
        }
        let written = self.state.writer.position();
        let rest = match field.arity {
            Arity::One => self.value(field.kind, field.tag, value, level),
            Arity::List | Arity::Packed => self.list(field, value, level),
            Arity::MapBySnowflake | Arity::MapByText => self.map(field, value, level),
        };
        let rest = match rest {
            Some(rest) if !self.state.loose => rest,
            rest => self.keep_text(rest, start, value, written, level)?,
        };
        if field.routes {
            let end = self.state.writer.position();
            self.state.routed.push(Routed {
                number: field.number,
                start: written,
                end,
            });
        }
        Some(rest)
    }

    /// A member that the schema does not know is kept as text.
    #[inline(never)]
    fn unknown(&mut self, start: &'a [u8], value: &'a [u8], level: Level) -> Rest<'a> {
        let rest = scan::skip(value, level.containers, &mut self.state.fault)?;
        let (start, end) = (self.at(space(start)), self.at(rest));
        self.state.kept.member(start, end);
        Some(rest)
    }

    /// Keeps a member as text, because its value is loose or does not fit.
    #[cold]
    #[inline(never)]
    fn keep_text(
        &mut self,
        rest: Rest<'a>,
        start: &'a [u8],
        value: &'a [u8],
        written: usize,
        level: Level,
    ) -> Rest<'a> {
        self.state.loose = false;
        if let Some(rest) = rest {
            let (start, end) = (self.at(space(start)), self.at(rest));
            self.state.kept.member(start, end);
            return Some(rest);
        }
        if self.state.fault.reason != Reason::Unfit {
            return None;
        }
        self.state.writer.rewind(written);
        self.unknown(start, value, level)
    }

    /// Writes what an object has beside its fields, at its end.
    #[inline(always)]
    fn keep(&mut self, message: &Message, since: Mark) {
        let State { writer, kept, .. } = &mut self.state;
        kept.write(since, message, self.text, writer);
    }

    /// One value: with its tag, or without where the tag is empty.
    #[inline(always)]
    fn value(&mut self, kind: Kind, tag: Tag, rest: &'a [u8], level: Level) -> Rest<'a> {
        match kind {
            Kind::Any => self.any(tag, rest, level),
            Kind::Bool => self.bool(tag, rest),
            Kind::Digits => self.digits(tag, rest),
            Kind::Double => self.double(tag, rest),
            Kind::Int32 => self.int32(tag, rest),
            Kind::Int64 => self.int64(tag, rest),
            Kind::Object(message) => self.nested(message, tag, rest, level),
            Kind::Snowflake => self.snowflake(tag, rest),
            Kind::Text => self.text(tag, rest),
            Kind::Time => self.time(tag, rest),
            Kind::Uint32 => self.uint32(tag, rest),
        }
    }

    fn nested(&mut self, message: u32, tag: Tag, value: &'a [u8], level: Level) -> Rest<'a> {
        let [b'{', rest @ ..] = value else {
            return self.unfit();
        };
        let level = self.container(level, value)?;
        let level = self.messages(level, 1)?;
        let start = self.state.writer.tag_and_byte(tag, 0);
        let rest = self.object(message, rest, level)?;
        self.state.writer.close(start);
        Some(rest)
    }

    #[inline(always)]
    fn bool(&mut self, tag: Tag, value: &'a [u8]) -> Rest<'a> {
        let (bool, rest) = match value {
            [b'f', b'a', b'l', b's', b'e', rest @ ..] => (0, rest),
            [b't', b'r', b'u', b'e', rest @ ..] => (1, rest),
            _ => return self.unfit(),
        };
        self.state.writer.tag_and_byte(tag, bool);
        Some(rest)
    }

    /// Where in the text something is of which `rest` is left.
    #[inline(always)]
    fn at(&self, rest: &[u8]) -> usize {
        self.text.len() - rest.len()
    }

    #[cold]
    fn unfit<T>(&mut self) -> Option<T> {
        self.state.fault.unfit()
    }

    /// One container further in, which begins here.
    #[inline(always)]
    fn container(&mut self, level: Level, rest: &[u8]) -> Option<Level> {
        match level.container() {
            Some(level) => Some(level),
            None => self.state.fault.set(Reason::Deep, rest),
        }
    }

    /// Some messages further in.
    #[inline(always)]
    fn messages(&mut self, level: Level, more: u32) -> Option<Level> {
        match level.messages(more) {
            Some(level) => Some(level),
            None => self.unfit(),
        }
    }
}
