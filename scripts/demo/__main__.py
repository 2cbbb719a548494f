"""The demo: simulated Discord -> gateway-ws -> RabbitMQ -> a worker in Python, live, an interaction
that another worker answers through gateway-http, and a tone that a third one plays through gateway-voice.

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
from pathlib import Path

from broker import GivenBroker, PrivateBroker
from processes import FOLDER, ROOT, Failure, Interrupted, Processes, say
from simulator import TOKEN, Simulator, get
from summary import REPORT, sum_up
from voice import save_certificate, show_call

BUILT = Path(os.environ["DEMO_PROGRAMS"])
WORKER = ROOT / "examples" / "python-worker" / "worker.py"
GREETER = ROOT / "examples" / "python-worker" / "greet.py"
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
        show_interaction(processes, simulator)
        start_voice(processes, simulator)
        show_call(processes, simulator)
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
    command = [BUILT / "discord-sim", "--address", "127.0.0.1:0", "--ready-file", READY]
    processes.start("discord-sim", command)
    processes.wait("the simulated Discord", READY.exists)
    return Simulator(json.loads(READY.read_text()))


def show_interaction(processes: Processes, simulator: Simulator) -> None:
    """Has a user use a slash command, which the greeter answers."""
    admin, address = free_address(), free_address()
    settings = {
        "ADMIN_ADDRESS": admin,
        "DISCORD_APPLICATION_ID": simulator.application_id(),
        "DISCORD_PUBLIC_KEY": simulator.public_key(),
        "HTTP_ADDRESS": address,
    }
    processes.start("gateway-http", [BUILT / "gateway-http"], settings)
    processes.start("greeter", [sys.executable, GREETER])
    processes.wait("gateway-http", lambda: is_ready(admin))
    url = f"http://{address}/interactions"

    def is_answered() -> bool:
        # Until the greeter's queue is there, nobody answers.
        answer = simulator.interact(url, "greet") or {}
        text = answer.get("data", {}).get("content", "")
        if text.startswith("Hello"):
            say(f"/greet was answered over HTTP: {text}")
            return True
        return False

    processes.wait("an answer to /greet", is_answered)


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def is_ready(admin: str) -> bool:
    try:
        get(f"http://{admin}/readyz")
    except urllib.error.URLError:
        return False
    return True


def start_gateway(processes: Processes, simulator: Simulator) -> str:
    """Starts gateway-ws and waits for its session. The result is the URL of its metrics."""
    admin = free_address()
    settings = {
        "ADMIN_ADDRESS": admin,
        "DISCORD_API_URL": simulator.api_url,
        "DISCORD_INTENTS": INTENTS,
        "DISCORD_TOKEN": TOKEN,
    }

    processes.start("gateway-ws", [BUILT / "gateway-ws"], settings)
    processes.wait("gateway-ws", lambda: is_ready(admin))
    return f"http://{admin}/metrics"


def start_voice(processes: Processes, simulator: Simulator) -> None:
    admin = free_address()
    settings = {
        "ADMIN_ADDRESS": admin,
        "DISCORD_APPLICATION_ID": simulator.application_id(),
        "SSL_CERT_FILE": str(save_certificate(simulator)),
    }
    processes.start("gateway-voice", [BUILT / "gateway-voice"], settings)
    processes.wait("gateway-voice", lambda: is_ready(admin))


if __name__ == "__main__":
    sys.exit(main())
