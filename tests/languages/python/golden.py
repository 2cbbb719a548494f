"""Decodes all golden events with the official protobuf package and compares them with their JSON.

usage: python golden.py FOLDER    the classes of the contract must be on PYTHONPATH
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.v1.event_pb2 import Event
from mapping import parse, payload


def check(body: Path) -> list[str]:
    """What is wrong with one event."""
    event = Event.FromString(body.read_bytes())
    name = body.name.split(".")[0]
    wrong = [] if event.name == name else [f"the event is called {event.name}"]
    sent = parse(body.with_suffix(".json").read_text(encoding="utf-8"))
    return wrong + list(differences(sent, payload(event), "d"))


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
    bodies = sorted(folder.glob("*.binpb"))
    wrong = [f"{body.name}: {what}" for body in bodies for what in check(body)]
    print("\n".join(wrong or [f"python: {len(bodies)} events are as Discord sent them"]))
    return 1 if wrong or not bodies else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
