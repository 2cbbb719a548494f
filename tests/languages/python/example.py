"""Gives the golden batch and this system's own events to the example worker, as RabbitMQ would.

usage: python example.py FOLDER    the example must be on PYTHONPATH, and CONTRACT_FOLDER set
"""

import contextlib
import io
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from worker import Worker, parse

EVENT = "gateway.v1.Event"
BATCH = "gateway.v1.EventBatch"

# What the worker prints for each, without the time.
AWAY = (
    "GATEWAY_SHARD_STATUS    shard 3/16 is away, closed, resumed, code 4009, up to 1207, on ws-2, "
    "Discord closed the connection (4009, session timed out): it is resumed"
)
RESHARD = (
    "GATEWAY_RESHARD         16 shards become 32: switching, "
    "all 32 shards have caught up and begin to publish"
)


class Channel:
    """What the worker settles."""

    def __init__(self) -> None:
        self.settled: list[tuple[str, int]] = []

    def basic_ack(self, tag: int) -> None:
        self.settled.append(("ack", tag))

    def basic_reject(self, tag: int, requeue: bool) -> None:
        self.settled.append(("requeue" if requeue else "reject", tag))


def deliver(messages: list[tuple[str | None, bytes]]) -> tuple[list[str], list[tuple[str, int]]]:
    """The lines that the worker prints, and what becomes of the messages."""
    worker, channel = Worker(parse([])), Channel()
    worker.printer.width = 1000
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for tag, (kind, body) in enumerate(messages):
            properties: Any = SimpleNamespace(type=kind, message_id="of the message")
            worker.deliver(channel, tag, properties, body)
    return [line.partition(" ")[2] for line in printed.getvalue().splitlines()], channel.settled


def main(folder: Path) -> None:
    # Poison is logged, as it should be.
    logging.disable()
    batch = next((folder / "batch").iterdir()).read_bytes()
    # The golden events all have one id, so of three the worker shows one.
    lines, settled = deliver([(BATCH, batch), (BATCH, batch)])
    assert [line.split()[0] for line in lines] == ["PRESENCE_UPDATE"], lines
    assert settled == [("ack", 0), ("ack", 1)], settled

    for name, line in (("GATEWAY_SHARD_STATUS", AWAY), ("GATEWAY_RESHARD", RESHARD)):
        lines, settled = deliver([(EVENT, (folder / f"own/{name}.binpb").read_bytes())])
        assert (lines, settled) == ([line], [("ack", 0)]), (lines, settled)

    lines, settled = deliver([(BATCH, b"\xff poison"), (None, b"\xff poison")])
    assert (lines, settled) == ([], [("reject", 0), ("reject", 1)]), (lines, settled)
    print("python: the example worker takes batches and this system's own events")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
