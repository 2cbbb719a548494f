"""What has come of the events: the demo's one line, and its exit status."""

import json
import time

from processes import FOLDER, Failure, Processes, say
from simulator import Simulator, get

REPORT = FOLDER / "report.json"
# While events are missing: how long the worker may stand still, in seconds.
STILL = 15


def sum_up(processes: Processes, simulator: Simulator, metrics: str) -> int:
    """Waits until the worker has everything, or gets nothing more, and prints the summary."""
    received = 0
    moved = time.monotonic()
    while lost(simulator.dispatched(), report()) and time.monotonic() < moved + STILL:
        processes.check()
        time.sleep(0.2)
        if report()["received"] != received:
            received, moved = report()["received"], time.monotonic()
    dispatched = simulator.dispatched()
    published = confirmed(get(metrics))
    # The worker's last report is the complete one.
    processes.end("worker")
    come = report()
    missing = lost(dispatched, come)
    if violations := simulator.violations():
        say(f"gateway-ws broke Discord's rules: {violations}")
    print(
        f"demo: emitted={sum(dispatched.values())} published={published}"
        f" received={come['received']} lost={missing} duplicates={come['duplicates']}"
        f" p50_ms={milliseconds(come['p50_ms'])} p99_ms={milliseconds(come['p99_ms'])}",
        flush=True,
    )
    return 1 if missing else 0


def lost(dispatched: dict[str, int], report: dict) -> int:
    """How many of the dispatched events the worker's report does not have."""
    nothing = {"through": 0, "beyond": []}
    missing = 0
    for session, last in dispatched.items():
        come = report["sessions"].get(session, nothing)
        beyond = [sequence for sequence in come["beyond"] if sequence <= last]
        missing += max(last - come["through"] - len(beyond), 0)
    return missing


def report() -> dict:
    return json.loads(REPORT.read_text())


def confirmed(metrics: str) -> int:
    """How many events RabbitMQ has confirmed, by gateway-ws's own count."""
    for line in metrics.splitlines():
        if line.startswith("gateway_broker_confirmed_total"):
            return int(float(line.split()[-1]))
    raise Failure("gateway-ws does not say how many events it has published")


def milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
