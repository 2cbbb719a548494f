//! Messages that come from the broker in pieces: a method, what is said of the content, and its body.

use amq_protocol::protocol::basic;
use bytes::{Bytes, BytesMut};

use super::{asked::Name, content::Content, frames::Garbled};

/// How much room is made for a body beforehand; a longer one has to come first.
const ROOM: u64 = 64 * 1024;

/// The message that is coming, if one is.
#[derive(Debug, Default)]
pub(super) struct Arriving(Option<Part>);

/// What there is of it.
#[derive(Debug)]
struct Part {
    head: Head,
    content: Option<Content>,
    body: BytesMut,
}

/// How a message comes.
#[derive(Debug)]
pub(super) enum Head {
    /// Out of our queue.
    Delivery(basic::Deliver),
    /// Back to us, by this routing key.
    Returned(String),
}

/// A message that is there.
#[derive(Debug)]
pub(super) enum Arrived {
    Delivery(Box<Delivered>),
    Returned(Name),
}

/// A message out of our queue.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) deliver: basic::Deliver,
    pub(super) content: Content,
    pub(super) body: Bytes,
}

impl Arriving {
    /// A message begins.
    pub(super) fn begin(&mut self, head: Head) -> Result<(), Garbled> {
        let part = Part {
            head,
            content: None,
            body: BytesMut::new(),
        };
        match self.0.replace(part) {
            None => Ok(()),
            Some(_) => Err(odd("a message begins in the middle of another one")),
        }
    }

    /// What is said of its content.
    pub(super) fn content(&mut self, content: Content) -> Result<Option<Arrived>, Garbled> {
        let mut part = self.0.take().ok_or_else(misplaced)?;
        if part.content.is_some() {
            return Err(misplaced());
        }
        if content.length == 0 {
            return Ok(Some(part.head.arrived(content, Bytes::new())));
        }
        part.content = Some(content);
        self.0 = Some(part);
        Ok(None)
    }

    /// A piece of its body.
    pub(super) fn piece(&mut self, piece: Bytes) -> Result<Option<Arrived>, Garbled> {
        let mut part = self.0.take().ok_or_else(misplaced)?;
        let content = part.content.take().ok_or_else(misplaced)?;
        let there = (part.body.len() + piece.len()) as u64;
        if there > content.length {
            return Err(odd("a message is longer than it should be"));
        }
        if there < content.length {
            if part.body.is_empty() {
                let room = content.length.min(ROOM);
                part.body.reserve(usize::try_from(room).unwrap_or(0));
            }
            part.body.extend_from_slice(&piece);
            part.content = Some(content);
            self.0 = Some(part);
            return Ok(None);
        }
        let body = match part.body.is_empty() {
            true => piece,
            false => {
                part.body.extend_from_slice(&piece);
                part.body.freeze()
            }
        };
        Ok(Some(part.head.arrived(content, body)))
    }
}

impl Head {
    fn arrived(self, content: Content, body: Bytes) -> Arrived {
        match self {
            Self::Delivery(deliver) => Arrived::Delivery(Box::new(Delivered {
                deliver,
                content,
                body,
            })),
            Self::Returned(routing_key) => Arrived::Returned(Name {
                routing_key,
                correlation_id: content.correlation_id.unwrap_or_default(),
            }),
        }
    }
}

fn misplaced() -> Garbled {
    odd("a part of a message comes out of its order")
}

fn odd(text: &str) -> Garbled {
    Garbled(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery() -> Head {
        Head::Delivery(basic::Deliver {
            consumer_tag: "c".into(),
            delivery_tag: 1,
            redelivered: false,
            exchange: "e".into(),
            routing_key: "k".into(),
        })
    }

    fn content(length: u64) -> Content {
        Content {
            length,
            correlation_id: Some("7".to_owned()),
            ..Content::default()
        }
    }

    fn body(arrived: Option<Arrived>) -> Bytes {
        match arrived {
            Some(Arrived::Delivery(delivered)) => delivered.body,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_comes_in_no_piece_in_one_or_in_many() {
        let mut arriving = Arriving::default();
        arriving.begin(delivery()).unwrap();
        assert!(body(arriving.content(content(0)).unwrap()).is_empty());
        for pieces in [1, 2, 100] {
            arriving.begin(delivery()).unwrap();
            assert!(arriving.content(content(pieces * 3)).unwrap().is_none());
            for _ in 1..pieces {
                let piece = Bytes::from_static(b"abc");
                assert!(arriving.piece(piece).unwrap().is_none());
            }
            let whole = body(arriving.piece(Bytes::from_static(b"abc")).unwrap());
            assert_eq!(whole, b"abc".repeat(usize::try_from(pieces).unwrap()));
        }
    }

    #[test]
    fn what_came_back_is_known_by_its_key_and_id() {
        let mut arriving = Arriving::default();
        arriving.begin(Head::Returned("k".to_owned())).unwrap();
        arriving.content(content(3)).unwrap();
        let arrived = arriving.piece(Bytes::from_static(b"abc")).unwrap();
        let Some(Arrived::Returned(name)) = arrived else {
            panic!("{arrived:?}");
        };
        assert_eq!(name.routing_key, "k");
        assert_eq!(name.correlation_id, "7");
    }

    #[test]
    fn what_is_out_of_order_or_too_long_is_an_error() {
        let piece = || Bytes::from_static(b"abc");
        assert!(Arriving::default().content(content(1)).is_err());
        assert!(Arriving::default().piece(piece()).is_err());
        let begun = || {
            let mut arriving = Arriving::default();
            arriving.begin(delivery()).unwrap();
            arriving
        };
        assert!(begun().begin(delivery()).is_err());
        assert!(begun().piece(piece()).is_err());
        let mut twice = begun();
        twice.content(content(1)).unwrap();
        assert!(twice.content(content(1)).is_err());
        let mut long = begun();
        long.content(content(5)).unwrap();
        long.piece(piece()).unwrap();
        assert!(long.piece(piece()).is_err());
        // Room is made for what has come, not for what is announced.
        let mut huge = begun();
        huge.content(content(u64::MAX)).unwrap();
        huge.piece(piece()).unwrap();
        assert!(huge.0.unwrap().body.capacity() < 1 << 20);
    }
}
