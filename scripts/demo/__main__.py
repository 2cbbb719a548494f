"""The demo: simulated Discord -> gateway-ws -> RabbitMQ -> a worker in Python, live.

It prints one summary line at the end, and exits with 1 if an event was lost: one that the
simulator dispatched and that never came to the worker. It leaves no process and, outside of
target/demo, no file. scripts/demo.sh builds what it needs and runs it.
"""

import json
import os
import secrets
import signal
import socket
import sys
import urllib.error

from broker import GivenBroker, PrivateBroker
from processes import FOLDER, ROOT, Failure, Interrupted, Processes, say
from simulator import TOKEN, Simulator, get
from summary import REPORT, sum_up

RELEASE = ROOT / "target" / "release"
WORKER = ROOT / "examples" / "python-worker" / "worker.py"
READY = FOLDER / "sim.json"

# All that the simulated Discord's usual events need.
INTENTS = (
    "GUILDS,GUILD_MEMBERS,GUILD_MESSAGES,GUILD_MESSAGE_REACTIONS,GUILD_MESSAGE_TYPING,"
    "GUILD_PRESENCES,GUILD_VOICE_STATES,MESSAGE_CONTENT"
)
# The worker shows so many events a second; nobody can read more.
LINES = 8


def main() -> int:
    seconds = setting("DEMO_SECONDS", 20)
    rate = setting("DEMO_RATE", 500)
    processes = Processes()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: processes.stopping.set())
    url = os.environ.get("AMQP_URL")
    broker = GivenBroker(url) if url else PrivateBroker()
    prefix = f"demo-{secrets.token_hex(4)}"
    try:
        processes.settings = {"AMQP_URL": broker.start(), "AMQP_PREFIX": prefix}
        start_worker(processes)
        simulator = start_simulator(processes)
        metrics = start_gateway(processes, simulator)
        say(f"{rate} events a second for {seconds} s; Ctrl-C ends it earlier")
        simulator.emit(rate)
        processes.watch(seconds)
        simulator.stop()
        return sum_up(processes, simulator, metrics)
    except Failure as failure:
        say(str(failure))
        return 1
    except Interrupted:
        say("stopped before events flowed")
        return 130
    finally:
        processes.end_all()
        broker.stop(prefix)


def setting(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) == 0:
        sys.exit(f"demo: {name} must be a whole number above 0, not {text!r}")
    return int(text)


def start_worker(processes: Processes) -> None:
    REPORT.unlink(missing_ok=True)
    command = [sys.executable, WORKER, "--lines", str(LINES), "--report", REPORT]
    processes.start("worker", command, shown=True)
    # It writes its report for the first time when its queue is bound.
    processes.wait("the worker's queue", REPORT.exists)


def start_simulator(processes: Processes) -> Simulator:
    READY.unlink(missing_ok=True)
    command = [RELEASE / "discord-sim", "--address", "127.0.0.1:0", "--ready-file", READY]
    processes.start("discord-sim", command)
    processes.wait("the simulated Discord", READY.exists)
    return Simulator(json.loads(READY.read_text()))


def start_gateway(processes: Processes, simulator: Simulator) -> str:
    """Starts gateway-ws and waits for its session. The result is the URL of its metrics."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        admin = f"127.0.0.1:{listener.getsockname()[1]}"
    settings = {
        "ADMIN_ADDRESS": admin,
        "DISCORD_API_URL": simulator.api_url,
        "DISCORD_INTENTS": INTENTS,
        "DISCORD_TOKEN": TOKEN,
    }

    def is_ready() -> bool:
        try:
            get(f"http://{admin}/readyz")
        except urllib.error.URLError:
            return False
        return True

    processes.start("gateway-ws", [RELEASE / "gateway-ws"], settings)
    processes.wait("gateway-ws", is_ready)
    return f"http://{admin}/metrics"


if __name__ == "__main__":
    sys.exit(main())
