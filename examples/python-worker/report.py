"""Counts what a worker got, for `make demo` and for measurements.

Gateway events have the id `<session id>:<sequence>`, and a session's sequence has no holes: so the
report can say of every session which events have come.
"""

import json
import os
import time
from collections import Counter
from pathlib import Path

from contract import Event, Source


class Sequence:
    """Which numbers from 1 upwards have come: all up to `through`, and the few in `beyond`."""

    def __init__(self) -> None:
        self.through = 0
        self.beyond: set[int] = set()

    def add(self, number: int) -> bool:
        """Says whether the number is new."""
        if number <= self.through or number in self.beyond:
            return False
        self.beyond.add(number)
        while self.through + 1 in self.beyond:
            self.through += 1
            self.beyond.remove(self.through)
        return True


class Report:
    """What has come: how much of it, how much of it twice, how fast."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.saved_at = 0.0
        self.received = 0
        self.duplicates = 0
        self.sessions: dict[str, Sequence] = {}
        # Events by latency in microseconds, to three digits.
        self.latencies: Counter[int] = Counter()

    def add(self, event: Event) -> None:
        # Only Discord's gateway events have a session.
        if event.source != Source.SOURCE_WS:
            return
        now = time.time_ns() // 1000
        session, _, number = event.id.rpartition(":")
        if not self.sessions.setdefault(session, Sequence()).add(int(number)):
            self.duplicates += 1
            return
        self.received += 1
        sent_at = sent_at_us(event)
        if sent_at is not None:
            self.latencies[int(float(f"{now - sent_at:.2e}"))] += 1

    def save_now_and_then(self) -> None:
        if time.monotonic() - self.saved_at >= 0.5:
            self.save()

    def save(self) -> None:
        """Writes the report in one step: a reader never sees half of it."""
        self.saved_at = time.monotonic()
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.summary()))
        os.replace(part, self.path)

    def summary(self) -> dict[str, object]:
        return {
            "received": self.received,
            "duplicates": self.duplicates,
            "sessions": {
                session: {"through": numbers.through, "beyond": sorted(numbers.beyond)}
                for session, numbers in self.sessions.items()
            },
            "p50_ms": self.percentile(50),
            "p99_ms": self.percentile(99),
        }

    def percentile(self, percent: int) -> float | None:
        wanted = self.latencies.total() * percent / 100
        passed = 0
        for latency, count in sorted(self.latencies.items()):
            passed += count
            if passed >= wanted:
                return latency / 1000
        return None


def sent_at_us(event: Event) -> int | None:
    """When the simulator sent it: the mark is a member that the schema doesn't know."""
    data = event.WhichOneof("data")
    text = getattr(event, data).unknown_json if data else event.json
    if '"sim"' not in text:
        return None
    return json.loads(text)["sim"]["sent_at_us"]
