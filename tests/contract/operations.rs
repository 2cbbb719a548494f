//! Where the operations of the service `rest` differ from those of Discord's HTTP API, in either
//! direction.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    Value,
};

use super::compare::Comparison;
use super::mapping::Mapping;
use super::surface::{Operation, Surface, Type};

/// The places where the contract lacks something, has more, or cannot hold it, each with the reason.
/// A place is a method, or a method and a field, `body`, or a status.
pub(super) fn differences(
    surface: &Surface,
    mapping: &Mapping,
    contract: &DescriptorPool,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let service = contract.get_service_by_name("discord.v1.Rest");
    let service = service.expect("the contract has the service");
    let mut operations: BTreeMap<String, &Operation> = BTreeMap::new();
    for (name, operation) in &surface.operations {
        operations.insert(camel(name), operation);
    }
    let comparison = Comparison::new(surface, mapping, contract);
    for method in service.methods() {
        let Some(operation) = operations.remove(method.name()) else {
            found.insert(method.name().to_owned(), "Discord has none".to_owned());
            continue;
        };
        let mut differences = Differences {
            method: &method,
            operation,
            comparison: &comparison,
            found: &mut found,
        };
        differences.request();
        differences.response();
    }
    let missing = operations
        .into_keys()
        .map(|name| (name, "there is no such method".to_owned()));
    found.extend(missing);
    found.extend(superfluous(surface, mapping, contract));
    found
}

struct Differences<'a> {
    method: &'a MethodDescriptor,
    operation: &'a Operation,
    comparison: &'a Comparison<'a>,
    found: &'a mut BTreeMap<String, String>,
}

impl Differences<'_> {
    fn request(&mut self) {
        let rule = option(&self.method.options(), "google.api.http");
        let route = ["get", "put", "post", "delete", "patch"]
            .map(|verb| format!("{} {}", verb.to_uppercase(), text(rule.as_ref(), verb)));
        if !route.contains(&self.operation.route) {
            self.add("route", format!("Discord has {}", self.operation.route));
        }
        let input = self.method.input();
        let mut left: BTreeMap<String, FieldDescriptor> = own(&input);
        let operation = self.operation;
        for (name, kind) in operation.path.iter().chain(&operation.query) {
            let field = left.remove(name);
            self.fits(name, field, kind);
        }
        let body = left.remove(&text(rule.as_ref(), "body"));
        match &operation.body {
            Some(kind) => self.fits("body", body, kind),
            None if body.is_some() => self.add("body", "Discord takes none"),
            None => {}
        }
        for name in &operation.files {
            left.retain(|_, field| part(field).as_ref() != Some(name));
            if !input
                .fields()
                .any(|field| part(&field).as_ref() == Some(name))
            {
                self.add(name, "there is no such file");
            }
        }
        for (name, field) in left {
            let parameter = option(&field.options(), "discord.v1.parameter");
            if text(parameter.as_ref(), "header").is_empty() {
                self.add(&name, "Discord takes no such thing");
            }
        }
    }

    fn response(&mut self) {
        let rule = option(&self.method.options(), "google.api.http");
        let name = text(rule.as_ref(), "response_body");
        let mut left = own(&self.method.output());
        let mut fields = BTreeMap::new();
        let operation = self.operation;
        for (status, kind) in &operation.answers {
            let special = left
                .iter()
                .find(|(_, field)| self::status(field) == *status);
            let name = special
                .map_or(name.as_str(), |(name, _)| name.as_str())
                .to_owned();
            let field = left.remove(&name).or_else(|| fields.get(&name).cloned());
            fields.extend(field.clone().map(|field| (name, field)));
            self.fits(status, field, kind);
        }
        for name in left.into_keys() {
            self.add(&name, "Discord answers no such thing");
        }
    }

    /// Whether a field can hold what Discord has at its place.
    fn fits(&mut self, place: &str, field: Option<FieldDescriptor>, kind: &Type) {
        let Some(field) = field else {
            return self.add(place, format!("there is nothing for {kind}"));
        };
        if field.kind() == Kind::Bytes && kind.to_string() == "bytes" {
            return;
        }
        if let Err(why) = self.comparison.fits(&field, &kind.alternatives()) {
            self.add(place, format!("{why} ({kind})"));
        }
    }

    fn add(&mut self, place: &str, why: impl Into<String>) {
        let place = format!("{}.{place}", self.method.name());
        self.found.insert(place, why.into());
    }
}

/// Members of what workers write for operations that no body of Discord's has.
fn superfluous(
    surface: &Surface,
    mapping: &Mapping,
    contract: &DescriptorPool,
) -> BTreeMap<String, String> {
    let mut members: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (schema, object) in &surface.objects {
        if let Some(Ok(name)) = mapping.find(schema, object.body) {
            let names = object.members.iter().map(|(name, _)| name.as_str());
            members.entry(name).or_default().extend(names);
        }
    }
    let mut found = BTreeMap::new();
    for message in contract.all_messages() {
        let is_ours = message.parent_file().name().starts_with("discord/v1/rest_");
        if !is_ours || !message.name().ends_with("Params") {
            continue;
        }
        let known = members.remove(message.name()).unwrap_or_default();
        for name in own(&message).into_keys() {
            if !known.contains(name.as_str()) {
                let place = format!("{}.{name}", message.name());
                found.insert(place, "Discord takes no such member".to_owned());
            }
        }
    }
    found
}

/// The fields of a message that are not this system's own, by name.
fn own(message: &MessageDescriptor) -> BTreeMap<String, FieldDescriptor> {
    let fields = message.fields().filter(|field| field.number() < 1000);
    fields
        .map(|field| (field.name().to_owned(), field))
        .collect()
}

/// `create_message` as the name of a method.
fn camel(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    words.collect()
}

fn option(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let extension = wire::rest::descriptors().get_extension_by_name(name)?;
    if !options.has_extension(&extension) {
        return None;
    }
    match options.get_extension(&extension).into_owned() {
        Value::Message(message) => Some(message),
        _ => None,
    }
}

fn text(option: Option<&DynamicMessage>, field: &str) -> String {
    let value = option.and_then(|option| option.get_field_by_name(field));
    value
        .and_then(|it| it.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The name of the part that holds a field's files, without their places.
fn part(field: &FieldDescriptor) -> Option<String> {
    let parameter = option(&field.options(), "discord.v1.parameter")?;
    let part = text(Some(&parameter), "part");
    (!part.is_empty()).then(|| part.replace("[n]", ""))
}

/// The status that a field of a response is for. Empty: no particular one.
fn status(field: &FieldDescriptor) -> String {
    let parameter = option(&field.options(), "discord.v1.parameter");
    let status = parameter.and_then(|it| it.get_field_by_name("status")?.as_u32());
    status
        .filter(|it| *it > 0)
        .map(|it| it.to_string())
        .unwrap_or_default()
}

#[test]
fn differences_of_operations_are_found() {
    let surface = Surface::parse(
        "operation get_my_user PUT /users/@me\n  query x snowflake\n  body UserResponse\n  \
         files file\n  answer 200 int32\noperation nope GET /nope\noperation get_user GET \
         /users/{user_id}\n  path user_id string\n  answer 200 UserResponse\nobject UserResponse\n  \
         id snowflake\n",
    );
    let mapping = Mapping::parse("*Response = *\n", wire::rest::descriptors());
    let found = differences(&surface, &mapping, wire::rest::descriptors());
    let places = ["200", "body", "file", "route", "x"].map(|it| format!("GetMyUser.{it}"));
    for place in places
        .iter()
        .map(String::as_str)
        .chain(["Nope", "GetUser.user_id", "ListPins"])
    {
        assert!(found.contains_key(place), "{place}");
    }
    assert!(!found.contains_key("GetUser.200") && !found.contains_key("GetUser.route"));
}
