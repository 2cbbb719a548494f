//! Where in a JSON text a mistake is: the members and indexes that lead to it.

use crate::error::{Error, Fault, ParseError};
use crate::scan::{self, DEPTH, behind, byte, space};

/// A key that is longer than this, or isn't a plain name, is not repeated: it may be anything.
const NAME: usize = 64;

/// The same error, with the path to it.
#[cold]
pub(crate) fn at(text: &[u8], error: Error) -> ParseError {
    let at = match error {
        Error::Deep { at }
        | Error::Duplicate { at }
        | Error::Malformed { at }
        | Error::NotUtf8 { at } => at,
        Error::Frame { .. } | Error::NotObject => 0,
    };
    let mut trail = Trail::default();
    trail.follow(text, at);
    ParseError {
        path: trail.path(),
        error,
    }
}

/// The containers that are open.
#[derive(Default)]
struct Trail<'a> {
    open: Vec<Open<'a>>,
}

enum Open<'a> {
    /// An array, and how many of its elements have ended.
    Array(usize),
    /// An object, and its last key.
    Object(&'a [u8]),
}

impl<'a> Trail<'a> {
    /// Reads tokens until the one that reaches `at`, or the first that is none.
    fn follow(&mut self, text: &'a [u8], at: usize) -> Option<()> {
        let fault = &mut Fault::default();
        let mut rest = space(text);
        while text.len() - rest.len() < at || byte(rest) == b'"' {
            let start = text.len() - rest.len();
            rest = match rest {
                [b'{', inside @ ..] => self.enter(Open::Object(b""), inside)?,
                [b'[', inside @ ..] => self.enter(Open::Array(0), inside)?,
                [b'}' | b']', behind @ ..] => {
                    self.open.pop();
                    behind
                }
                [b',', behind @ ..] => {
                    match self.open.last_mut()? {
                        Open::Array(index) => *index += 1,
                        Open::Object(key) => *key = b"",
                    }
                    behind
                }
                [b':', behind @ ..] => behind,
                [b'"', inside @ ..] => {
                    let behind = scan::string(inside, fault)?;
                    if let Some(Open::Object(key @ b"")) = self.open.last_mut() {
                        *key = &inside[..inside.len() - behind.len() - 1];
                    }
                    if start >= at {
                        return None;
                    }
                    behind
                }
                [b'-' | b'0'..=b'9', ..] => scan::number(rest, fault)?,
                _ => scan::literal(rest, fault)?,
            };
            rest = space(rest);
        }
        Some(())
    }

    fn enter(&mut self, container: Open<'a>, inside: &'a [u8]) -> Option<&'a [u8]> {
        (self.open.len() <= DEPTH as usize).then(|| self.open.push(container))?;
        Some(behind(inside, 0))
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::Array(index) => path.push_str(&format!("[{index}]")),
                Open::Object(b"") => {}
                Open::Object(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(legible(key));
                }
            }
        }
        path
    }
}

/// A key as it may be shown.
fn legible(key: &[u8]) -> &str {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if key.len() <= NAME && key.iter().all(plain) {
        std::str::from_utf8(key).unwrap_or("?")
    } else {
        "?"
    }
}
