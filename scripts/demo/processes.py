"""The processes of the demo: they start in order, are watched, and end in reverse order."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "target" / "demo"

# How long something may take to be ready, and a process to end after SIGTERM, in seconds.
START = 60
STOP = 25
# What a process gets of our environment: a DISCORD_TOKEN of the person's is not for the demo.
INHERITED = ("CONTRACT_FOLDER", "HOME", "LANG", "PATH", "PYTHONPYCACHEPREFIX", "TERM", "TMPDIR")


class Failure(Exception):
    """What went wrong, for a person."""


class Interrupted(Exception):
    """Ctrl-C or SIGTERM, before there was anything to sum up."""


class Processes:
    """What runs, by name."""

    def __init__(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.running: dict[str, subprocess.Popen] = {}
        # Environment variables for all of them.
        self.settings: dict[str, str] = {}
        # Set by Ctrl-C and SIGTERM.
        self.stopping = threading.Event()

    def start(
        self,
        name: str,
        command: list[str | Path],
        settings: dict[str, str] | None = None,
        shown: bool = False,
    ) -> None:
        """Starts a process, its output in a file or shown on the terminal."""
        environment = {key: os.environ[key] for key in INHERITED if key in os.environ}
        with log_file(name).open("w") as log:
            self.running[name] = subprocess.Popen(
                command,
                cwd=FOLDER,
                env=environment | self.settings | (settings or {}),
                stdin=subprocess.DEVNULL,
                stdout=None if shown else log,
                stderr=None if shown else log,
                # Ctrl-C is for us: the others end one after the other.
                start_new_session=True,
            )

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Waits until something is ready, while all processes live."""
        end = time.monotonic() + START
        while not condition():
            self.check()
            if self.stopping.wait(0.05):
                raise Interrupted
            if time.monotonic() > end:
                raise Failure(f"{what} is not ready after {START} s{self.logs()}")

    def watch(self, seconds: int) -> None:
        """Lets everything run for a while, or until Ctrl-C."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.stopping.wait(0.2):
            self.check()

    def check(self) -> None:
        for name, process in self.running.items():
            if process.poll() is not None:
                raise Failure(f"{name} ended with status {process.returncode}{tail(name)}")

    def end(self, name: str) -> None:
        process = self.running.pop(name)
        process.terminate()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            say(f"{name} did not end by itself")
            process.kill()
            process.wait()

    def end_all(self) -> None:
        for name in reversed(list(self.running)):
            self.end(name)

    def logs(self) -> str:
        return "".join(tail(name) for name in self.running)


def log_file(name: str) -> Path:
    return FOLDER / f"{name}.log"


def tail(name: str) -> str:
    """The end of a process's log."""
    path = log_file(name)
    lines = path.read_text(errors="replace").splitlines()[-10:]
    return "\n  ".join([f"\n{path}:", *lines]) if lines else ""


def say(text: str) -> None:
    print(f"demo: {text}", file=sys.stderr, flush=True)
