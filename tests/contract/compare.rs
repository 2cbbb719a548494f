//! Where the contract differs from the table of Discord's HTTP API.
//!
//! Several schemas often describe one object: a message of the contract has the members of all. So
//! what all of them want of a field is collected first, and then each field is judged once.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

use super::mapping::Mapping;
use super::surface::{Enum, Surface, Type};

/// The places where the contract lacks something or cannot hold it, each with the reason. A place is
/// a schema, a message's field, or an enum's value.
pub(super) fn compare(
    surface: &Surface,
    mapping: &Mapping,
    contract: &DescriptorPool,
) -> BTreeMap<String, String> {
    let mut comparison = Comparison::new(surface, mapping, contract);
    for schema in surface.schemas() {
        comparison.schema(schema);
    }
    comparison.judge();
    comparison.gaps
}

pub(super) struct Comparison<'a> {
    surface: &'a Surface,
    mapping: &'a Mapping,
    contract: &'a DescriptorPool,
    /// What schemas want of the fields of messages: by message and field, then by schema.
    wanted: BTreeMap<(String, &'a str), BTreeMap<&'a str, &'a Type>>,
    gaps: BTreeMap<String, String>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        surface: &'a Surface,
        mapping: &'a Mapping,
        contract: &'a DescriptorPool,
    ) -> Self {
        Self {
            surface,
            mapping,
            contract,
            wanted: BTreeMap::new(),
            gaps: BTreeMap::new(),
        }
    }

    /// Compares an enum at once, and takes down what an object wants.
    fn schema(&mut self, schema: &'a str) {
        let values = self.surface.enums.get(schema);
        if values.is_some_and(|it| it.words) {
            return;
        }
        let name = match self.mapping.find(schema, self.surface.is_body(schema)) {
            Some(Ok(name)) => format!("discord.v1.{name}"),
            Some(Err(_)) => return,
            None => return self.gap(schema, "nothing stands for it"),
        };
        if let Some(values) = values {
            return self.values(schema, &name, values);
        }
        match self.contract.get_message_by_name(&name) {
            Some(message) => self.object(schema, &message),
            None => self.gap(schema, format!("there is no message {name}")),
        }
    }

    fn values(&mut self, schema: &str, name: &str, values: &Enum) {
        let Some(known) = self.contract.get_enum_by_name(name) else {
            return self.gap(schema, format!("there is no enum {name}"));
        };
        for (value, number) in &values.values {
            let why = match known.get_value(*number) {
                None => format!("{schema} has it with the number {number}"),
                Some(it) if !alike(known.name(), it.name(), value) => {
                    format!("{schema} has {number} for it, which is {}", it.name())
                }
                Some(_) => continue,
            };
            self.gap(&format!("{}.{value}", known.name()), why);
        }
    }

    /// Takes down what an object's members want of the fields of `message`.
    fn object(&mut self, schema: &'a str, message: &MessageDescriptor) {
        for (member, kind) in &self.surface.objects[schema].members {
            let field = (message.full_name().to_owned(), member.as_str());
            self.wanted.entry(field).or_default().insert(schema, kind);
            self.nameless(kind, message.get_field_by_name(member));
        }
    }

    /// The same for an object that has no name of its own, and stands for the field's message.
    fn nameless(&mut self, kind: &'a Type, field: Option<FieldDescriptor>) {
        let name = kind.innermost().filter(|name| name.contains('.'));
        if let (Some(name), Some(Kind::Message(message))) = (name, field.map(|it| innermost(&it))) {
            self.object(name, &message);
        }
    }

    fn judge(&mut self) {
        for ((message, member), wants) in std::mem::take(&mut self.wanted) {
            let descriptor = self.contract.get_message_by_name(&message);
            let field = descriptor.and_then(|it| it.get_field_by_name(member));
            let types: BTreeSet<&Type> = wants.values().flat_map(|it| it.alternatives()).collect();
            let why = match field {
                Some(field) => self.fits(&field, &types).err(),
                None => Some("there is no such field".to_owned()),
            };
            if let Some(why) = why {
                let message = message.trim_start_matches("discord.v1.");
                let wants: Vec<String> = wants
                    .iter()
                    .map(|(schema, it)| format!("{schema} {it}"))
                    .collect();
                self.gap(
                    &format!("{message}.{member}"),
                    format!("{why} ({})", wants.join(", ")),
                );
            }
        }
    }

    /// Whether a field can hold all of `types`.
    pub(super) fn fits(
        &self,
        field: &FieldDescriptor,
        types: &BTreeSet<&Type>,
    ) -> Result<(), String> {
        // What Discord takes as a text with commas as well.
        let listed = types.iter().any(|kind| matches!(kind, Type::Array(_)));
        let is_text = |kind: &Type| matches!(kind, Type::Named(name) if name == "string");
        let inner: Option<Vec<BTreeSet<&Type>>> = types
            .iter()
            .filter(|kind| !(field.is_list() && listed && is_text(kind)))
            .map(|kind| match kind {
                Type::Array(inner) if field.is_list() => Some(inner.alternatives()),
                Type::Map(inner) if field.is_map() => Some(inner.alternatives()),
                _ => None,
            })
            .collect();
        if !field.is_list() && !field.is_map() {
            return self.kind_fits(&field.kind(), types);
        }
        let inner = inner.ok_or("the field is an array or a map")?;
        self.kind_fits(&innermost(field), &inner.into_iter().flatten().collect())
    }

    /// Whether values of a kind can be all of `types`.
    fn kind_fits(&self, kind: &Kind, types: &BTreeSet<&Type>) -> Result<(), String> {
        if is(kind, "google.protobuf.Value") {
            return match types.len() == 1 && !types.iter().any(|kind| self.is_loose(kind)) {
                true => Err("any value is more than is needed".to_owned()),
                false => Ok(()),
            };
        }
        for wanted in types {
            let Type::Named(name) = wanted else {
                return Err("the field is no array or map".to_owned());
            };
            if !self.name_fits(kind, name, types) {
                return Err(format!("{kind:?} cannot hold {name}"));
            }
        }
        Ok(())
    }

    /// Whether nothing narrower than any value can stand for a type.
    fn is_loose(&self, kind: &Type) -> bool {
        match kind {
            Type::Named(name) if self.surface.objects.contains_key(name) => {
                matches!(self.mapping.find(name, false), Some(Err(_)))
            }
            Type::Named(name) => name == "any",
            Type::Array(_) | Type::Map(_) | Type::OneOf(_) => true,
        }
    }

    /// Whether values of a kind can be what `name` names, where `all` is wanted of the field.
    fn name_fits(&self, kind: &Kind, name: &str, all: &BTreeSet<&Type>) -> bool {
        let has = |found: &dyn Fn(&str) -> bool| {
            let names = all.iter().filter_map(|kind| kind.innermost());
            names.filter(|name| found(name)).count()
        };
        let meant = self.mapping.find(name, self.surface.is_body(name));
        if let Some(values) = self.surface.enums.get(name) {
            let several = has(&|name| self.surface.enums.contains_key(name)) > 1;
            return match (values.words, meant) {
                (true, _) => *kind == Kind::String,
                (false, Some(Ok(_))) if several => is_whole(kind),
                (false, Some(Ok(meant))) => is(kind, &format!("discord.v1.{meant}")),
                (false, _) => is_whole(kind),
            };
        }
        if self.surface.objects.contains_key(name) {
            return match meant {
                Some(Ok(meant)) => is(kind, &format!("discord.v1.{meant}")),
                _ => matches!(kind, Kind::Message(_)),
            };
        }
        match name {
            "snowflake" => *kind == Kind::Fixed64,
            "boolean" => *kind == Kind::Bool,
            "date-time" => is(kind, "google.protobuf.Timestamp"),
            "number" => *kind == Kind::Double,
            "string" => matches!(kind, Kind::String | Kind::Uint64),
            // Where fractions can stand in the same place, whole numbers have their kind.
            "integer" | "int32" | "int64" if has(&|name| name == "number") > 0 => {
                *kind == Kind::Double
            }
            "integer" | "int32" => is_whole(kind),
            "int64" => *kind == Kind::Int64,
            "uint32" => matches!(kind, Kind::Uint32 | Kind::Int64),
            _ => false,
        }
    }

    fn gap(&mut self, place: &str, why: impl Into<String>) {
        self.gaps.insert(place.to_owned(), why.into());
    }
}

/// Whether a value of an enum is called as Discord calls it, or one name is a part of the other.
fn alike(kind: &str, name: &str, wanted: &str) -> bool {
    let plain = |name: &str| name.replace('_', "").to_uppercase();
    let (kind, name, wanted) = (plain(kind), plain(name), plain(wanted));
    let name = name.strip_prefix(&kind).unwrap_or(&name);
    name.contains(&wanted) || wanted.contains(name)
}

/// The kind of a field's elements, or of its values.
fn innermost(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

/// Whether a kind is the message or enum of that full name.
fn is(kind: &Kind, name: &str) -> bool {
    match kind {
        Kind::Message(message) => message.full_name() == name,
        Kind::Enum(values) => values.full_name() == name,
        _ => false,
    }
}

/// Whether values of a kind are whole numbers in JSON.
fn is_whole(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Enum(_)
    )
}

#[test]
fn differences_are_found() {
    let surface = Surface::parse(
        "object UserResponse\n  id string\n  username ?string\n  nope? snowflake\n  flags [int32]\n  \
         system any\nobject Other\n  id snowflake\nenum PremiumTypes integer: NONE=0 GOLD=1 NITRO_99=99\n\
         enum Words string: a b\nobject create_user.body body\n  x int32\n",
    );
    let rules = "body : not yet\n*Types = *Type\n*Response = *\n";
    let mapping = Mapping::parse(rules, wire::descriptors());
    let gaps = compare(&surface, &mapping, wire::descriptors());
    let places: Vec<&str> = gaps.keys().map(String::as_str).collect();
    assert_eq!(
        places,
        [
            "Other",
            "PremiumType.GOLD",
            "PremiumType.NITRO_99",
            "User.flags",
            "User.id",
            "User.nope",
            "User.system"
        ]
    );
}
