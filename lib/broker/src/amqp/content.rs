//! What stands in front of a message's body: how long that is, and the properties that mean something to us.

/// A property is there when its bit is set; they come in the order of their bits, from the highest.
const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;
const TYPE: u16 = 1 << 5;
/// Says that more bits follow, which no property has.
const MORE: u16 = 1;

/// The header with the moment up to which an answer is waited for.
const DEADLINE: &[u8] = b"deadline";

/// What is said of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// How many bytes its body has.
    pub(super) length: u64,
    pub(super) type_name: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) message_id: Option<String>,
    pub(super) reply_to: Option<String>,
    pub(super) deadline: Option<i64>,
}

impl Content {
    /// Reads the payload of a header frame; `None` if it is cut off.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let mut rest = Rest(payload);
        // The class, and what AMQP has no use for.
        rest.skip(4)?;
        let length = u64::from_be_bytes(*rest.chunk()?);
        let flags = u16::from_be_bytes(*rest.chunk()?);
        if flags & MORE != 0 {
            return None;
        }
        let mut content = Self {
            length,
            ..Self::default()
        };
        rest.skip_short(flags & CONTENT_TYPE)?;
        rest.skip_short(flags & CONTENT_ENCODING)?;
        if flags & HEADERS != 0 {
            content.deadline = Rest(rest.long()?).deadline();
        }
        rest.skip(usize::from(flags & DELIVERY_MODE != 0))?;
        rest.skip(usize::from(flags & PRIORITY != 0))?;
        content.correlation_id = rest.text(flags & CORRELATION_ID)?;
        content.reply_to = rest.text(flags & REPLY_TO)?;
        rest.skip_short(flags & EXPIRATION)?;
        content.message_id = rest.text(flags & MESSAGE_ID)?;
        rest.skip(if flags & TIMESTAMP != 0 { 8 } else { 0 })?;
        content.type_name = rest.text(flags & TYPE)?;
        Some(content)
    }
}

/// What is not read yet.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(drop)
    }

    fn chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(chunk)
    }

    /// What stands behind its length in one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let [length] = *self.chunk()?;
        self.take(length.into())
    }

    /// What stands behind its length in four bytes.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(*self.chunk()?);
        self.take(usize::try_from(length).ok()?)
    }

    /// Passes by a short text, if it is there.
    fn skip_short(&mut self, flag: u16) -> Option<()> {
        match flag {
            0 => Some(()),
            _ => self.short().map(drop),
        }
    }

    /// A short text, if it is there.
    fn text(&mut self, flag: u16) -> Option<Option<String>> {
        if flag == 0 {
            return Some(None);
        }
        let text = String::from_utf8_lossy(self.short()?);
        Some(Some(text.into_owned()))
    }

    /// Looks for the deadline in a table. What is nested in it is passed by, however deep it is; behind a value of an unknown
    /// kind nothing can be found.
    fn deadline(mut self) -> Option<i64> {
        while !self.0.is_empty() {
            let name = self.short()?;
            let [kind] = *self.chunk()?;
            if name == DEADLINE {
                return match kind {
                    b'l' | b'L' => Some(i64::from_be_bytes(*self.chunk()?)),
                    _ => None,
                };
            }
            match kind {
                b'V' => {}
                b't' | b'b' | b'B' => self.skip(1)?,
                b's' | b'u' | b'U' => self.skip(2)?,
                b'I' | b'i' | b'f' => self.skip(4)?,
                b'D' => self.skip(5)?,
                b'l' | b'L' | b'd' | b'T' => self.skip(8)?,
                b'S' | b'x' | b'A' | b'F' => self.long().map(drop)?,
                _ => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::{
        frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame},
        protocol::BasicProperties,
        types::{AMQPValue, FieldArray, FieldTable},
    };

    use super::*;

    /// The payload of a header frame, as the codec writes it.
    fn payload(properties: BasicProperties) -> Vec<u8> {
        let header = AMQPContentHeader {
            class_id: 60,
            body_size: 300,
            properties,
        };
        let frame = AMQPFrame::Header(1, header);
        let written = gen_frame(&frame)(WriteContext::from(Vec::new())).unwrap();
        let bytes = written.into_inner().0;
        bytes[7..bytes.len() - 1].to_vec()
    }

    fn nested(depth: usize) -> AMQPValue {
        let inner = match depth {
            0 => AMQPValue::Void,
            _ => nested(depth - 1),
        };
        AMQPValue::FieldArray(FieldArray::from(vec![inner]))
    }

    /// Everything that can be said.
    fn full() -> BasicProperties {
        let mut headers = FieldTable::default();
        for (name, value) in [
            ("a", AMQPValue::Boolean(true)),
            ("b", AMQPValue::ShortShortInt(-1)),
            ("c", AMQPValue::ShortInt(-2)),
            ("ca", AMQPValue::ShortUInt(2)),
            ("cb", AMQPValue::LongUInt(3)),
            ("cc", AMQPValue::Double(1.5)),
            ("cd", AMQPValue::Timestamp(7)),
            ("ce", AMQPValue::LongString("text".into())),
            ("d", nested(100)),
            ("deadline", AMQPValue::LongLongInt(1_700_000_000_123)),
            ("e", AMQPValue::FieldTable(FieldTable::default())),
        ] {
            headers.insert(name.into(), value);
        }
        BasicProperties::default()
            .with_content_type("application/x-protobuf".into())
            .with_content_encoding("identity".into())
            .with_headers(headers)
            .with_delivery_mode(2)
            .with_priority(9)
            .with_correlation_id("7".into())
            .with_reply_to("a.queue".into())
            .with_expiration("1000".into())
            .with_message_id("m".into())
            .with_timestamp(1)
            .with_type("gateway.v1.InteractionResponse".into())
            .with_user_id("guest".into())
            .with_app_id("1".into())
            .with_cluster_id("c".into())
    }

    #[test]
    fn what_the_codec_writes_is_read() {
        let text = |text: &str| Some(text.to_owned());
        let expected = Content {
            length: 300,
            type_name: text("gateway.v1.InteractionResponse"),
            correlation_id: text("7"),
            message_id: text("m"),
            reply_to: text("a.queue"),
            deadline: Some(1_700_000_000_123),
        };
        assert_eq!(Content::read(&payload(full())), Some(expected));
        let bare = Content {
            length: 300,
            ..Content::default()
        };
        let nothing = payload(BasicProperties::default());
        assert_eq!(Content::read(&nothing), Some(bare));
    }

    #[test]
    fn what_is_cut_off_is_noticed_and_nothing_breaks_it() {
        let whole = payload(full());
        // The last two texts are not looked at.
        let read = whole.len() - "c".len() - "1".len() - "guest".len() - 3;
        for end in 0..whole.len() {
            let content = Content::read(&whole[..end]);
            assert_eq!(content.is_some(), end >= read, "{end}");
        }
        let mut broken = whole;
        for index in 0..broken.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let before = std::mem::replace(&mut broken[index], value);
                Content::read(&broken);
                broken[index] = before;
            }
        }
    }

    #[test]
    fn a_deadline_of_another_kind_is_none() {
        let mut headers = FieldTable::default();
        headers.insert("deadline".into(), AMQPValue::LongString("soon".into()));
        let properties = BasicProperties::default().with_headers(headers);
        let content = Content::read(&payload(properties)).unwrap();
        assert_eq!(content.deadline, None);
    }
}
