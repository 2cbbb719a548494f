//! From an operation's request message to the HTTP request.

use serde_json::value::RawValue;
use transcode::Scratch;

use crate::error::RequestError;
use crate::file::{self, Part};
use crate::member::{Members, members, scalar, scalars};
use crate::operation::{Operation, Place, Segment};
use crate::operations::Operations;
use crate::percent;

/// The field that the caller's application stands in for.
const APPLICATION: &str = "application_id";

/// An HTTP request. Paths and headers can have tokens in them, so nothing of them is shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path below the API's base, percent-encoded.
    pub path: String,
    /// Parameters of the query, not encoded.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// The body of a request.
#[derive(Clone, Eq, PartialEq)]
pub enum Body {
    /// `multipart/form-data`: fields, and files behind them.
    Form(Vec<(String, String)>, Vec<Part>),
    /// JSON.
    Json(String),
    /// None.
    None,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Form(..) => "Form",
            Self::Json(_) => "Json",
            Self::None => "None",
        })
    }
}

impl Operation {
    /// The HTTP request that an encoded request message stands for, where `application` asks.
    ///
    /// # Errors
    ///
    /// If the bytes are no such message, lack what the operation cannot do without, or have a value
    /// that cannot stand where it is to go.
    ///
    /// # Panics
    ///
    /// If the operation is one of other `operations`.
    pub fn request(
        &self,
        operations: &Operations,
        application: u64,
        message: &[u8],
        scratch: &mut Scratch,
    ) -> Result<Request, RequestError> {
        let (parts, message) = file::split(&self.files, message)?;
        let json = operations.schema.render(self.request, &message, scratch)?;
        let members = members(json)?;
        Ok(Request {
            method: self.method,
            path: self.path(&members, application)?,
            query: self.query(&members)?,
            headers: self.headers(&members)?,
            body: self.body(&members, parts)?,
        })
    }

    fn path(&self, members: &Members<'_>, application: u64) -> Result<String, RequestError> {
        let mut path = String::new();
        for segment in &self.path {
            let name = match segment {
                Segment::Text(text) => {
                    path.push_str(text);
                    continue;
                }
                Segment::Value(name) => name,
            };
            let value = match members.get(name) {
                None if name == APPLICATION => Some(application.to_string()),
                value => value.and_then(|value| scalar(value)),
            };
            let value = value.filter(|it| !it.is_empty());
            let value = value.ok_or_else(|| RequestError::Missing(name.clone()))?;
            if value == "." || value == ".." {
                return Err(RequestError::Path(name.clone()));
            }
            path.push_str(&percent::encode(&value));
        }
        Ok(path)
    }

    fn query(&self, members: &Members<'_>) -> Result<Vec<(String, String)>, RequestError> {
        let mut query = Vec::new();
        for (name, value) in members {
            let place = self.places.get(name);
            let is_joined = matches!(place, Some(Place::Joined));
            if place.is_some() && !is_joined {
                continue;
            }
            let values = scalars(value).ok_or_else(|| RequestError::Query(name.clone()))?;
            let values = match is_joined && !values.is_empty() {
                true => vec![values.join(",")],
                false => values,
            };
            query.extend(values.into_iter().map(|value| (name.clone(), value)));
        }
        Ok(query)
    }

    fn headers(&self, members: &Members<'_>) -> Result<Vec<(String, String)>, RequestError> {
        let mut headers = Vec::new();
        for (member, value) in members {
            let Some(Place::Header {
                name,
                prefix,
                is_encoded,
            }) = self.places.get(member)
            else {
                continue;
            };
            let wrong = || RequestError::Header(member.clone());
            let value = scalar(value).ok_or_else(wrong)?;
            let value = if *is_encoded {
                percent::encode(&value)
            } else {
                value
            };
            if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                return Err(wrong());
            }
            headers.push((name.clone(), format!("{prefix}{value}")));
        }
        Ok(headers)
    }

    fn body(&self, members: &Members<'_>, parts: Vec<Part>) -> Result<Body, RequestError> {
        let json = self.content(members)?;
        let needs_file = self.is_form || self.body.is_none();
        if let (Some(field), true, true) = (self.files.first(), needs_file, parts.is_empty()) {
            return Err(RequestError::Missing(field.name.clone()));
        }
        Ok(match json {
            Some(json) if self.is_form => Body::Form(self.form(json)?, parts),
            Some(json) if parts.is_empty() => Body::Json(json.to_owned()),
            Some(json) => Body::Form(vec![("payload_json".to_owned(), json.to_owned())], parts),
            None if parts.is_empty() => Body::None,
            None => Body::Form(Vec::new(), parts),
        })
    }

    /// The JSON of the body. `None`: the operation has none.
    fn content<'a>(&self, members: &Members<'a>) -> Result<Option<&'a str>, RequestError> {
        let Some(body) = &self.body else {
            return Ok(None);
        };
        match members.get(&body.name) {
            Some(value) => Ok(Some(value.get())),
            None if body.is_object => Ok(Some("{}")),
            None => Err(RequestError::List(body.name.clone())),
        }
    }

    /// The members of the body as fields of a form.
    fn form(&self, json: &str) -> Result<Vec<(String, String)>, RequestError> {
        let members = members(json)?;
        let text = |(name, value): (String, &RawValue)| match scalar(value) {
            Some(value) => Ok((name, value)),
            None => Err(RequestError::Query(name)),
        };
        members.into_iter().map(text).collect()
    }
}
