"""Turns an event of the bus back into the JSON that Discord sent.

Everything it needs is in the descriptors of the generated classes: it knows no event, no object
and no member by name, so it also serves objects that the contract gains later.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

# The contract's own fields, which every object has beside Discord's members.
OWN = ("unknown_json", "nulls", "empties")


def payload(event: Message) -> Any:
    """The payload (`d`) of a `gateway.v1.Event`, typed or not."""
    field = event.WhichOneof("data")
    return members(getattr(event, field)) if field else parse(event.json)


def parse(text: str) -> Any:
    """JSON with its numbers as they are written: `float` would round them."""
    return json.loads(text, parse_float=Decimal)


def members(message: Message) -> dict[str, Any]:
    """One of Discord's objects. Fields have the names of Discord's members."""
    found = {
        field.name: member(field, value)
        for field, value in message.ListFields()
        if field.name not in OWN
    }
    fields = message.DESCRIPTOR.fields_by_number
    found |= {fields[number].name: None for number in message.nulls}
    found |= {
        fields[number].name: {} if is_map(fields[number]) else [] for number in message.empties
    }
    # Last, because what was kept as text is exactly what Discord sent.
    return found | parse(message.unknown_json or "{}")


def member(field: FieldDescriptor, value: Any) -> Any:
    """The value of a field: lists and maps are those that cannot be absent."""
    if field.has_presence:
        return single(field, value)
    if is_map(field):
        of = field.message_type.fields_by_name["value"]
        return {str(key): single(of, value[key]) for key in value}
    return [single(field, each) for each in value]


def is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def single(field: FieldDescriptor, value: Any) -> Any:
    """One value; the type of its field says what it is in JSON."""
    if field.message_type:
        return SPECIAL.get(field.message_type.full_name, members)(value)
    match field.cpp_type:
        # Snowflakes and permissions.
        case FieldDescriptor.CPPTYPE_UINT64:
            return str(value)
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return number(value)
        case _:
            return value


def number(value: float) -> int | Decimal:
    """A number in its shortest form: 1, and not 1.0."""
    shortest = Decimal(repr(value))
    return int(shortest) if shortest == shortest.to_integral_value() else shortest


def moment(value: Message) -> str:
    """A `google.protobuf.Timestamp` as Discord writes times."""
    whole = datetime(1970, 1, 1) + timedelta(seconds=value.seconds)
    fraction = f".{value.nanos // 1000:06}" if value.nanos else ""
    return f"{whole.isoformat(timespec='seconds')}{fraction}+00:00"


def anything(value: Message) -> Any:
    """A `google.protobuf.Value`."""
    match value.WhichOneof("kind"):
        case "number_value":
            return number(value.number_value)
        case "struct_value":
            fields = value.struct_value.fields
            return {name: anything(fields[name]) for name in fields}
        case "list_value":
            return [anything(each) for each in value.list_value.values]
        case "null_value" | None:
            return None
        case kind:
            return getattr(value, kind)


SPECIAL: dict[str, Callable[[Message], Any]] = {
    "google.protobuf.Timestamp": moment,
    "google.protobuf.Value": anything,
}
