//! One operation: what its descriptors say of its request and its response.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MethodDescriptor};
use transcode::{Schema, Shape};

use crate::file;

/// An operation of Discord's HTTP API.
#[derive(Debug)]
pub struct Operation {
    pub(crate) name: String,
    pub(crate) method: &'static str,
    pub(crate) path: Vec<Segment>,
    /// The fields that do not go to the query, by name.
    pub(crate) places: BTreeMap<String, Place>,
    pub(crate) body: Option<Content>,
    pub(crate) files: Vec<file::Field>,
    pub(crate) is_form: bool,
    pub(crate) request: Shape,
    pub(crate) response: Shape,
    response_name: String,
    pub(crate) answer: Option<Answer>,
    /// The fields that hold the body of one status.
    pub(crate) statuses: Vec<(u32, Answer)>,
}

/// A piece of a path.
#[derive(Debug)]
pub(crate) enum Segment {
    /// Text as it is.
    Text(String),
    /// The value of a field.
    Value(String),
}

/// Where a field goes.
#[derive(Debug)]
pub(crate) enum Place {
    Body,
    Header {
        name: String,
        prefix: String,
        is_encoded: bool,
    },
    /// One parameter of the query for all values.
    Joined,
    Path,
}

/// The field that is the body of a request.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) name: String,
    /// Whether it is one message, so that an absent one is an empty one.
    pub(crate) is_object: bool,
}

/// The field that is the body of a response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) name: String,
    pub(crate) number: u32,
    /// Whether the body is no JSON.
    pub(crate) is_raw: bool,
}

impl Operation {
    /// What stands in the descriptors. `None`: the method is no operation of Discord's.
    pub(crate) fn read(method: &MethodDescriptor, schema: &Schema) -> Option<Self> {
        let rule = option(&method.options(), "google.api.http")?;
        let rule = rule.as_message()?;
        let (verb, path) = METHODS.into_iter().find_map(|(field, verb)| {
            let is_set = rule.has_field_by_name(field);
            is_set.then(|| (verb, text(rule, field)))
        })?;
        let (request, response) = (method.input(), method.output());
        let mut operation = Self {
            name: method.name().to_owned(),
            method: verb,
            places: BTreeMap::new(),
            body: None,
            files: Vec::new(),
            is_form: option(&method.options(), "discord.v1.form").is_some(),
            request: schema.shape(request.full_name())?,
            response: schema.shape(response.full_name())?,
            response_name: response.full_name().to_owned(),
            answer: None,
            statuses: Vec::new(),
            path: segments(&path),
        };
        let body = text(rule, "body");
        for field in request.fields() {
            operation.place(&field, &body);
        }
        let answer = text(rule, "response_body");
        for field in response.fields() {
            operation.answer(&field, &answer);
        }
        Some(operation)
    }

    /// Its name, for example `CreateMessage`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The HTTP method.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Full name of the response message, for example `discord.v1.CreateMessageResponse`.
    pub fn response_name(&self) -> &str {
        &self.response_name
    }

    /// The path with the names of fields in braces: what a route is known by.
    pub fn template(&self) -> String {
        let pieces = self.path.iter().map(|segment| match segment {
            Segment::Text(text) => text.clone(),
            Segment::Value(name) => format!("{{{name}}}"),
        });
        pieces.collect()
    }

    /// Takes down where a field of the request goes.
    fn place(&mut self, field: &FieldDescriptor, body: &str) {
        let name = field.name().to_owned();
        let is_path = |it: &Segment| matches!(it, Segment::Value(value) if *value == name);
        if self.path.iter().any(is_path) {
            self.places.insert(name, Place::Path);
            return;
        }
        if name == body {
            let is_value = |it: &str| it == "google.protobuf.Value";
            let is_object = match field.kind() {
                Kind::Message(message) => {
                    !field.is_list() && !field.is_map() && !is_value(message.full_name())
                }
                _ => false,
            };
            let content = Content { name, is_object };
            self.places.insert(content.name.clone(), Place::Body);
            self.body = Some(content);
            return;
        }
        let Some(parameter) = option(&field.options(), "discord.v1.parameter") else {
            return;
        };
        let Some(parameter) = parameter.as_message() else {
            return;
        };
        let (header, part) = (text(parameter, "header"), text(parameter, "part"));
        if let (Kind::Message(message), false) = (field.kind(), part.is_empty()) {
            let number = field.number();
            self.files.push(file::Field {
                number,
                name,
                part,
                message,
            });
        } else if !header.is_empty() {
            let place = Place::Header {
                name: header,
                prefix: text(parameter, "prefix"),
                is_encoded: flag(parameter, "encoded"),
            };
            self.places.insert(name, place);
        } else if flag(parameter, "joined") {
            self.places.insert(name, Place::Joined);
        }
    }

    /// Takes down what a field of the response holds.
    fn answer(&mut self, field: &FieldDescriptor, name: &str) {
        let answer = Answer {
            name: field.name().to_owned(),
            number: field.number(),
            is_raw: field.kind() == Kind::Bytes,
        };
        let parameter = option(&field.options(), "discord.v1.parameter");
        let status = parameter.as_ref().and_then(|it| it.as_message()).map(|it| {
            let status = it.get_field_by_name("status");
            status.and_then(|it| it.as_u32()).unwrap_or_default()
        });
        match status {
            Some(status) if status > 0 => self.statuses.push((status, answer)),
            _ if field.name() == name => self.answer = Some(answer),
            _ => {}
        }
    }
}

/// Fields of `google.api.HttpRule`, and the methods that they stand for.
const METHODS: [(&str, &str); 5] = [
    ("delete", "DELETE"),
    ("get", "GET"),
    ("patch", "PATCH"),
    ("post", "POST"),
    ("put", "PUT"),
];

/// The pieces of a path such as `/channels/{channel_id}`.
fn segments(path: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    for piece in path.split_inclusive(['{', '}']) {
        segments.extend(match (piece.strip_suffix('{'), piece.strip_suffix('}')) {
            (Some(text), _) => Some(Segment::Text(text.to_owned())),
            (_, Some(name)) => Some(Segment::Value(name.to_owned())),
            (None, None) => Some(Segment::Text(piece.to_owned())),
        });
    }
    segments
}

/// An option by its full name, if it is set.
fn option(options: &DynamicMessage, name: &str) -> Option<prost_reflect::Value> {
    let extension = wire::rest::descriptors().get_extension_by_name(name)?;
    let is_set = options.has_extension(&extension);
    is_set.then(|| options.get_extension(&extension).into_owned())
}

fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field);
    value
        .and_then(|it| it.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn flag(message: &DynamicMessage, field: &str) -> bool {
    let value = message.get_field_by_name(field);
    value.and_then(|it| it.as_bool()).unwrap_or_default()
}
