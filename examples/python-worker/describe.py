"""Says in one line what an event is about."""

import json
from collections.abc import Callable

from contract import Event, ReshardPhase, SessionStart, ShardReason, ShardState
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message


def describe(event: Event) -> str:
    """The event's name, where it happened, and what."""
    where = [
        f"{kind} {getattr(event, kind + '_id')}"
        for kind in ("guild", "channel")
        if event.HasField(kind + "_id")
    ]
    line = "  ".join([f"{event.name:<22}", *where, what(event)]).rstrip()
    # People write what they like into messages and names: nothing of it may steer a terminal.
    return "".join(each if each.isprintable() else " " for each in line)


def what(event: Event) -> str:
    """The typed payload where there is one; else the JSON that Discord sent."""
    field = event.WhichOneof("data")
    if field in TYPED:
        return TYPED[field](getattr(event, field))
    if field:
        return ""
    return from_json(event.json)


def from_json(text: str) -> str:
    """The members of an event that the schema doesn't know, as far as they fit."""
    try:
        members = json.loads(text)
    except ValueError:
        return f"{len(text)} characters that are not JSON"
    return json.dumps(members, ensure_ascii=False)[:100]


def message(data: Message) -> str:
    return f"{data.author.username}: {data.content}"


def presence(data: Message) -> str:
    playing = ", ".join(activity.name for activity in data.activities)
    return f"user {data.user.id} is {data.status}" + (f", {playing}" if playing else "")


def interaction(data: Message) -> str:
    who = data.member.user.username or data.user.username
    return f"{who} uses {data.data.name or data.data.custom_id}"


def member(data: Message) -> str:
    return f"{data.user.username} has {len(data.roles)} roles" + (
        f" and the nickname {data.nick}" if data.nick else ""
    )


def voice_state(data: Message) -> str:
    place = f"is in {data.channel_id}" if data.HasField("channel_id") else "has left"
    return f"user {data.user_id} {place}"


def shard_status(data: Message) -> str:
    """How it is with a shard, and why: what the gateway left out is left out here."""
    facts = [
        data.reason and word(ShardReason, data.reason),
        data.session_start and word(SessionStart, data.session_start),
        data.HasField("close_code") and f"code {data.close_code}",
        data.HasField("sequence") and f"up to {data.sequence}",
        data.replica and f"on {data.replica}",
        data.detail,
    ]
    shard = f"shard {data.shard_id}/{data.shard_count} is {word(ShardState, data.state)}"
    return ", ".join([shard, *filter(None, facts)])


def reshard(data: Message) -> str:
    line = f"{data.from_count} shards become {data.to_count}: {word(ReshardPhase, data.phase)}"
    return f"{line}, {data.detail}" if data.detail else line


def word(kind: EnumTypeWrapper, number: int) -> str:
    """A value of an enum as people say it: SHARD_REASON_HAND_OVER is "hand over"."""
    value = kind.DESCRIPTOR.values_by_number.get(number)
    # An enum gains values; a worker that is older than the gateway gets their numbers.
    if value is None:
        return str(number)
    start = kind.DESCRIPTOR.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return value.name.removeprefix(start).lower().replace("_", " ")


TYPED: dict[str, Callable[[Message], str]] = {
    "gateway_reshard": reshard,
    "gateway_shard_status": shard_status,
    "guild_create": lambda data: data.name,
    "guild_delete": lambda data: "unavailable" if data.unavailable else "the bot was removed",
    "guild_member_update": member,
    "interaction_create": interaction,
    "message_create": message,
    "message_delete": lambda data: f"message {data.id}",
    "message_reaction_add": lambda data: f"user {data.user_id} adds {data.emoji.name}",
    "message_update": message,
    "presence_update": presence,
    "ready": lambda data: f"{data.user.username} is in {len(data.guilds)} guilds",
    "resumed": lambda data: "nothing was missed",
    "typing_start": lambda data: f"user {data.user_id} is typing",
    "voice_server_update": lambda data: data.endpoint,
    "voice_state_update": voice_state,
}
