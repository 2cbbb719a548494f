"""Decodes all golden events with the official protobuf package and compares them with their JSON:
Discord's, several in one message, and this system's own.

usage: python golden.py FOLDER    the classes of the contract must be on PYTHONPATH
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.v1.event_pb2 import Event, EventBatch
from google.protobuf.json_format import MessageToJson
from mapping import parse, payload


def check(body: Path) -> list[str]:
    """What is wrong with one event of Discord's."""
    event = Event.FromString(body.read_bytes())
    return misnamed(event, body) + list(differences(written(body), payload(event), "d"))


def check_batch(body: Path) -> list[str]:
    """What is wrong with a batch: it has all golden events of one name, in the order of their files."""
    events = EventBatch.FromString(body.read_bytes()).events
    alone = sorted(body.parent.parent.glob(f"{body.stem}.*binpb"))
    if len(events) != len(alone):
        return [f"it has {len(events)} events, not {len(alone)}"]
    return [
        what
        for event, one in zip(events, alone, strict=True)
        for what in differences(written(one), payload(event), one.stem)
    ]


def check_own(body: Path) -> list[str]:
    """What is wrong with an event of this system's own. Its payload is no object of Discord's, so
    protobuf's own JSON stands for it."""
    event = Event.FromString(body.read_bytes())
    data = getattr(event, event.WhichOneof("data"))
    found = parse(MessageToJson(data, preserving_proto_field_name=True))
    return misnamed(event, body) + list(differences(written(body), found, "data"))


def misnamed(event: Event, body: Path) -> list[str]:
    right = event.name == body.name.split(".")[0]
    return [] if right else [f"the event is called {event.name}"]


def written(body: Path) -> Any:
    return parse(body.with_suffix(".json").read_text(encoding="utf-8"))


def differences(sent: Any, found: Any, path: str) -> Iterator[str]:
    """Where two JSON values differ. Types count: 1 is neither 1.0 nor true."""
    if isinstance(sent, dict) and isinstance(found, dict):
        for name in sent.keys() | found.keys():
            if name in sent and name in found:
                yield from differences(sent[name], found[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}: {'lost' if name in sent else 'not sent'}"
    elif isinstance(sent, list) and isinstance(found, list) and len(sent) == len(found):
        for index, (one, other) in enumerate(zip(sent, found, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif type(sent) is not type(found) or sent != found:
        yield f"{path}: sent {sent!r}, found {found!r}"


def main(folder: Path) -> int:
    wrong = []
    counts = []
    for pattern, examine in (
        ("*.binpb", check),
        ("batch/*.binpb", check_batch),
        ("own/*.binpb", check_own),
    ):
        bodies = sorted(folder.glob(pattern))
        wrong += [f"{body.name}: {what}" for body in bodies for what in examine(body)]
        counts.append(len(bodies))
    events, batches, own = counts
    well = f"python: {events} events, {batches} batch and {own} events of our own are as they were sent"
    print("\n".join(wrong or [well]))
    return 0 if all(counts) and not wrong else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
