//! Files that travel with a request: `discord.v1.FileUpload`, which is the one thing in a request that
//! has no JSON.

use prost_reflect::{DynamicMessage, MessageDescriptor};
use transcode::{Mistake, RenderError};

use crate::RequestError;

/// One file, as a part of `multipart/form-data`.
#[derive(Clone, Eq, PartialEq)]
pub struct Part {
    /// Name of the part.
    pub name: String,
    /// Name of the file.
    pub filename: String,
    /// Media type. Empty: not said.
    pub content_type: String,
    /// The content.
    pub data: Vec<u8>,
    /// In place of the content: where it is to be read from. Empty: nowhere.
    pub url: String,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.data.len();
        write!(f, "Part({}, {bytes} bytes)", self.name)
    }
}

/// Where the files of a field go.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) name: String,
    /// Name of the part; `[n]` stands for the place.
    pub(crate) part: String,
    pub(crate) message: MessageDescriptor,
}

/// The fields of `message` that hold files, and the rest of it.
pub(crate) fn split(
    fields: &[Field],
    mut message: &[u8],
) -> Result<(Vec<Part>, Vec<u8>), RequestError> {
    let mut parts = Vec::new();
    let mut counts = vec![0_usize; fields.len()];
    let mut others = Vec::new();
    while !message.is_empty() {
        let (number, wire, value) = tag(message)?;
        let end = skip(value, wire)?;
        let length = message.len() - end.len();
        match fields.iter().position(|field| field.number == number) {
            Some(at) if wire == 2 => {
                let field = &fields[at];
                let data = payload(&value[..value.len() - end.len()])?;
                parts.push(part(field, counts[at], data)?);
                counts[at] += 1;
            }
            _ => others.extend_from_slice(&message[..length]),
        }
        message = end;
    }
    Ok((parts, others))
}

fn part(field: &Field, place: usize, data: &[u8]) -> Result<Part, RequestError> {
    let malformed = |error: prost_reflect::prost::DecodeError| RenderError {
        path: field.name.clone(),
        mistake: Mistake::Malformed(error.to_string()),
    };
    let file = DynamicMessage::decode(field.message.clone(), data).map_err(malformed)?;
    let unknown = file.unknown_fields().next().map(|it| it.number());
    if let Some(number) = unknown {
        return Err(RequestError::Message(RenderError {
            path: field.name.clone(),
            mistake: Mistake::Unknown(number),
        }));
    }
    let text = |name| {
        let value = file.get_field_by_name(name);
        value
            .and_then(|it| it.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let data = file.get_field_by_name("data");
    let part = Part {
        name: field.part.replace("[n]", &format!("[{place}]")),
        filename: text("filename"),
        content_type: text("content_type"),
        data: data
            .and_then(|it| it.as_bytes().map(|it| it.to_vec()))
            .unwrap_or_default(),
        url: text("url"),
    };
    if !part.data.is_empty() && !part.url.is_empty() {
        return Err(RequestError::File(part.name));
    }
    Ok(part)
}

/// The number and wire type of the next field, and what follows its tag.
fn tag(rest: &[u8]) -> Result<(u32, u64, &[u8]), RequestError> {
    let (tag, rest) = varint(rest)?;
    let number = u32::try_from(tag >> 3).map_err(|_| cut())?;
    Ok((number, tag & 7, rest))
}

/// What follows a value.
fn skip(rest: &[u8], wire: u64) -> Result<&[u8], RequestError> {
    match wire {
        0 => varint(rest).map(|(_, rest)| rest),
        1 => rest.get(8..).ok_or_else(cut),
        2 => {
            let (length, rest) = varint(rest)?;
            let length = usize::try_from(length).map_err(|_| cut())?;
            rest.get(length..).ok_or_else(cut)
        }
        5 => rest.get(4..).ok_or_else(cut),
        _ => Err(cut()),
    }
}

/// What stands behind a length.
fn payload(value: &[u8]) -> Result<&[u8], RequestError> {
    varint(value).map(|(_, rest)| rest)
}

fn varint(mut rest: &[u8]) -> Result<(u64, &[u8]), RequestError> {
    let value = prost_reflect::prost::encoding::decode_varint(&mut rest).map_err(|_| cut())?;
    Ok((value, rest))
}

fn cut() -> RequestError {
    RequestError::Message(RenderError {
        path: String::new(),
        mistake: Mistake::Truncated,
    })
}
