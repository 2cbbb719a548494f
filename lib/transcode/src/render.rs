//! The way back: from an encoded message to the JSON object that it stands for, in one pass over the
//! bytes.
//!
//! That pass expects what encoders write: each field once, and what belongs together in one place.
//! Protobuf allows more; whatever is met of it ends the pass, and the message is put in order first
//! (see `normal`).
//!
//! Text is not looked at while it is copied, except for what needs an escape. As all else that is
//! written is ASCII, the whole is UTF-8 if and only if each text is, so it is checked once at the
//! end; another pass finds the place of a mistake.

use crate::error::{Mistake, RenderError};
use crate::keys::Pattern;
use crate::level::Level;
use crate::normal;
use crate::scan::Rest;
use crate::scratch::Scratch;
use crate::table::{Arity, Field, Kind, Message, Tables};
use crate::write::{Writer, put};
use trail::{Step, spell};

pub(crate) use time::RANGE;

mod any;
mod bytes;
mod digits;
mod kept;
mod list;
mod number;
mod text;
mod time;
mod trail;

/// Writes the JSON object that `protobuf`, a message of this index, stands for.
pub(crate) fn render<'s>(
    tables: &Tables,
    message: u32,
    protobuf: &[u8],
    others: Others,
    scratch: &'s mut Scratch,
) -> Result<&'s str, RenderError> {
    let mode = Mode {
        others,
        ordered: false,
        careful: false,
    };
    match pass(tables, message, protobuf, mode, scratch) {
        Ok(()) => text(tables, message, protobuf, mode, scratch),
        Err(Failure::Wrong(error)) => Err(error),
        Err(Failure::Unusual) => {
            let ordered = normal::ordered(&tables.descriptors[message as usize], protobuf)?;
            let mode = Mode {
                ordered: true,
                ..mode
            };
            match pass(tables, message, &ordered, mode, scratch) {
                Ok(()) => text(tables, message, &ordered, mode, scratch),
                Err(Failure::Wrong(error)) => Err(error),
                Err(Failure::Unusual) => {
                    let reason = "it could not be put in order".to_owned();
                    Err(RenderError::whole(Mistake::Malformed(reason)))
                }
            }
        }
    }
}

/// What to do about fields that the schema does not know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Others {
    /// Pass over them: what a newer gateway has to say that nobody here would understand.
    Pass,
    /// Refuse the message: whoever sent it counts on them.
    Refuse,
}

/// How to go about a pass.
#[derive(Clone, Copy, Debug)]
struct Mode {
    others: Others,
    /// Whether the fields are known to be in order.
    ordered: bool,
    /// Whether text is checked as it comes.
    careful: bool,
}

/// Why a pass ended early.
enum Failure {
    /// The fields are not in the usual order.
    Unusual,
    Wrong(RenderError),
}

/// One pass, whose text is in `scratch` if it succeeds.
fn pass(
    tables: &Tables,
    message: u32,
    protobuf: &[u8],
    mode: Mode,
    scratch: &mut Scratch,
) -> Result<(), Failure> {
    scratch.state.writer.clear();
    scratch.keys.clear();
    let mut render = Render {
        tables,
        writer: std::mem::take(&mut scratch.state.writer),
        keys: std::mem::take(&mut scratch.keys),
        mode,
        path: Vec::new(),
        mistake: None,
    };
    let done = render.object(message, protobuf, 0, Level::OBJECT);
    scratch.state.writer = render.writer;
    scratch.keys = render.keys;
    match (done, render.mistake) {
        (Some(_), _) => Ok(()),
        (None, None) => Err(Failure::Unusual),
        (None, Some(mistake)) => {
            let path = spell(tables, &render.path);
            Err(Failure::Wrong(RenderError { path, mistake }))
        }
    }
}

/// What a pass has written. If that isn't UTF-8, another pass finds out where.
fn text<'s>(
    tables: &Tables,
    message: u32,
    protobuf: &[u8],
    mode: Mode,
    scratch: &'s Scratch,
) -> Result<&'s str, RenderError> {
    std::str::from_utf8(scratch.state.writer.written()).map_err(|_| {
        let mut scratch = Scratch::default();
        let mode = Mode {
            careful: true,
            ..mode
        };
        match pass(tables, message, protobuf, mode, &mut scratch) {
            Err(Failure::Wrong(error)) => error,
            Err(Failure::Unusual) | Ok(()) => RenderError::whole(Mistake::NotUtf8),
        }
    })
}

impl RenderError {
    /// A mistake that concerns the message as a whole.
    pub(crate) const fn whole(mistake: Mistake) -> Self {
        Self {
            path: String::new(),
            mistake,
        }
    }
}

/// One pass.
///
/// Functions take what is left of the bytes, and how much of that lies behind the message at hand:
/// so they can read whole words, whatever they are for.
struct Render<'a> {
    tables: &'a Tables,
    writer: Writer,
    keys: Vec<u64>,
    mode: Mode,
    /// The way to the mistake, from the inside out.
    path: Vec<Step>,
    mistake: Option<Mistake>,
}

/// What is known of an object while its members are written. The sets are of the indexes of fields.
struct Open<'a> {
    /// What comes before the next member.
    before: u8,
    /// Those that have a value.
    set: u128,
    nulls: u128,
    empties: u128,
    /// `unknown_json`.
    kept: &'a [u8],
}

impl<'a> Render<'a> {
    /// An object, of which `left` bytes of `rest` are no part.
    fn object(&mut self, message: u32, mut rest: &'a [u8], left: usize, level: Level) -> Rest<'a> {
        let tables = self.tables;
        let shape = &tables.messages[message as usize];
        let start = self.writer.position();
        let mut open = Open {
            before: b'{',
            set: 0,
            nulls: 0,
            empties: 0,
            kept: &[],
        };
        while rest.len() > left {
            let (tag, value) = self.tag(rest)?;
            let index = shape.place(tag >> 3);
            let Some(field) = shape.fields.get(usize::from(index)) else {
                rest = self.own(shape, tag, value, left, &mut open)?;
                continue;
            };
            let bit = 1_u128 << (index & 127);
            if open.set & bit != 0 {
                return self.unusual();
            }
            open.set |= bit;
            self.label(open.before, &field.key);
            open.before = b',';
            rest = match self.member(field, tag, value, left, level) {
                Some(rest) if rest.len() >= left => rest,
                rest => return self.within(Step::Field(message, index), rest),
            };
        }
        if open.nulls | open.empties != 0 || !open.kept.is_empty() {
            self.keep(message, &mut open, start, level)?;
        }
        if open.before == b'{' {
            self.writer.word(u64::from_le_bytes(*b"{}\0\0\0\0\0\0"), 2);
        } else {
            self.writer.byte(b'}');
        }
        Some(rest)
    }

    /// What comes before a member, its key and the colon.
    #[inline(always)]
    fn label(&mut self, before: u8, key: &Pattern) {
        let (head, more) = key.text();
        let window = self.writer.window();
        window[0] = before;
        window[1..17].copy_from_slice(&head);
        self.writer.advance(1 + key.length.min(16));
        if !more.is_empty() {
            self.writer.bytes(more);
        }
    }

    #[inline(always)]
    fn member(
        &mut self,
        field: &Field,
        tag: u32,
        rest: &'a [u8],
        left: usize,
        level: Level,
    ) -> Rest<'a> {
        match field.arity {
            Arity::One => {
                self.expect(tag, field.kind.wire())?;
                self.value(field.kind, rest, left, level)
            }
            Arity::List => self.list(field, tag, rest, left, level),
            Arity::Packed => self.packed(field, tag, rest, left, level),
            Arity::MapBySnowflake | Arity::MapByText => self.map(field, tag, rest, left, level),
        }
    }

    /// One value, behind its tag.
    #[inline(always)]
    fn value(&mut self, kind: Kind, rest: &'a [u8], left: usize, level: Level) -> Rest<'a> {
        match kind {
            Kind::Any => self.any(rest, left, level),
            Kind::Bool => self.bool(rest),
            Kind::Digits => self.quoted_varint(rest),
            Kind::Double => self.double(rest),
            Kind::Int32 => self.int32(rest),
            Kind::Int64 => self.int64(rest),
            Kind::Object(message) => self.nested(message, rest, left, level),
            Kind::Snowflake => self.snowflake(rest),
            Kind::Text => self.text(rest, left),
            Kind::Time => self.time(rest, left),
            Kind::Uint32 => self.uint32(rest),
        }
    }

    fn nested(&mut self, message: u32, rest: &'a [u8], left: usize, level: Level) -> Rest<'a> {
        let (end, rest) = self.length(rest, left)?;
        let level = self.container(level)?;
        let level = self.messages(level, 1)?;
        self.object(message, rest, end, level)
    }

    #[inline(always)]
    fn bool(&mut self, rest: &'a [u8]) -> Rest<'a> {
        let (value, rest) = self.varint(rest)?;
        let (word, count) = if value == 0 {
            (*b"false\0\0\0", 5)
        } else {
            (*b"true\0\0\0\0", 4)
        };
        self.writer.word(u64::from_le_bytes(word), count);
        Some(rest)
    }

    #[inline(always)]
    fn container(&mut self, level: Level) -> Option<Level> {
        match level.container() {
            Some(level) => Some(level),
            None => self.wrong(Mistake::Deep),
        }
    }

    #[inline(always)]
    fn messages(&mut self, level: Level, more: u32) -> Option<Level> {
        match level.messages(more) {
            Some(level) => Some(level),
            None => self.wrong(Mistake::Deep),
        }
    }
}

/// The names of the fields in a set of their indexes.
fn named(shape: &Message, set: u128) -> impl Iterator<Item = &Field> {
    let fields = shape.fields.iter().enumerate();
    fields.filter_map(move |(index, field)| (set >> index & 1 != 0).then_some(field))
}

/// Puts a byte and up to sixteen characters of a number between two quotes.
fn quoted(writer: &mut Writer, number: u64) {
    let window = writer.window();
    put(window, 0, u64::from(b'"'));
    let count = digits::write(window, 1, number);
    window[(1 + count) & 31] = b'"';
    writer.advance(count + 2);
}
