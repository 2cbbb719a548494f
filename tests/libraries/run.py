"""Starts discord-sim and gateway-api with its HTTP listener, runs a command against them, and ends them.

`run.py DISCORD_SIM GATEWAY_API COMMAND…`; the command gets the base URL as BASE, what a library is to use as its token as
TOKEN, and the ids of a CHANNEL and of a WEBHOOK, whose token is `token`. Nothing may have been against Discord's rules.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import urllib.request

# The simulator's first guild, whose first channel has the next id.
GUILD = (1_622_505_600_000 - 1_420_070_400_000) << 22
WEBHOOK = 5001
# What callers have to know; it is no bot token.
SECRET = "a-secret-for-this-run"


def main(sim: str, gateway: str, command: list[str]) -> int:
    with Process([sim], {}) as discord:
        urls = json.loads(discord.process.stdout.readline())
        ask(f"{urls['control']}/settings", {"rest": {"webhooks": [WEBHOOK]}})
        settings = {
            "ADMIN_ADDRESS": "127.0.0.1:0",
            "BROKER_TYPE": "stdio",
            "DISCORD_API_URL": urls["api"],
            "DISCORD_TOKEN": "sim.token",
            "HTTP_ADDRESS": "127.0.0.1:0",
            "HTTP_SECRET": SECRET,
        }
        with Process([gateway], settings) as service:
            address = service.logged(r"\bhttp=(\S+)")
            given = {
                # The secret stands in the path as well: for webhooks libraries send no token.
                "BASE": f"http://{address}/{SECRET}",
                "CHANNEL": str(GUILD + 1),
                "TOKEN": "any",
                "WEBHOOK": str(WEBHOOK),
            }
            environment = os.environ | given
            status = subprocess.run(command, env=environment, timeout=120, check=False).returncode
        broken = ask(f"{urls['control']}/violations")["counts"]
        if broken:
            print(f"Discord's rules were broken: {broken}", file=sys.stderr)
        return status or bool(broken)


class Process(contextlib.AbstractContextManager):
    """A process with nothing but these settings in its environment; it ends with the block."""

    def __init__(self, command: list[str], settings: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, env=settings, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        self.log: list[str] = []

    def logged(self, pattern: str) -> str:
        """What the pattern's group is in the first line of the log that has it."""
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(pattern, line):
                # Who writes more than a pipe holds would wait for a reader.
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return found[1]
        raise SystemExit(f"{self.process.args[0]} has ended:\n{''.join(self.log)}")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def ask(url: str, body: dict | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
