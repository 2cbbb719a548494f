"""The simulated Discord's control interface."""

import json
import urllib.request

TOKEN = "sim.token"


class Simulator:
    """A running discord-sim."""

    def __init__(self, urls: dict) -> None:
        self.api_url = urls["api"]
        self.control_url = urls["control"]

    def emit(self, rate: int) -> None:
        """Starts the events."""
        post(f"{self.control_url}/emit", {"rate": rate})

    def stop(self) -> None:
        """Stops the events."""
        post(f"{self.control_url}/stop", {})

    def dispatched(self) -> dict[str, int]:
        """The sequence number of every session's newest event; the first one is 1."""
        state = json.loads(get(f"{self.control_url}/state"))
        return {session["id"]: session["seq"] for session in state["sessions"]}

    def application_id(self) -> str:
        return str(json.loads(get(f"{self.control_url}/settings"))["application_id"])

    def public_key(self) -> str:
        """What interactions are signed with."""
        return json.loads(get(f"{self.control_url}/interactions"))["public_key"]

    def interact(self, url: str, command: str) -> dict | None:
        """Uses a slash command; the answer, if there was one."""
        order = {"url": url, "name": command}
        return json.loads(post(f"{self.control_url}/interactions", order))[0]["answer"]

    def voice_channel(self) -> tuple[str, str]:
        """A guild, and a voice channel in it."""
        guild = json.loads(get(f"{self.control_url}/guilds"))["guilds"][0]
        return str(guild["id"]), str(guild["channel_ids"][-1])

    def voice_certificate(self) -> str:
        return get(f"{self.control_url}/voice/certificate")

    def heard(self) -> dict:
        """What the newest voice session has sent."""
        return json.loads(get(f"{self.control_url}/voice"))["clients"][-1]["heard"]

    def violations(self) -> dict[str, int]:
        """How often which of Discord's rules was broken."""
        return json.loads(get(f"{self.control_url}/violations"))["counts"]


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:
        return response.read().decode()


def post(url: str, body: dict) -> str:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=5) as response:
        return response.read().decode()
