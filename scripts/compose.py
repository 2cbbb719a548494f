"""Checks what docker-compose.yml promises: nothing runs with more rights, or reaches more, than it needs.

usage: docker-compose --profile '*' config --format json | python compose.py

It also takes each of these lines away, one after the other, and sees whether it would have noticed.
"""

import copy
import json
import re
import sys
from collections.abc import Iterator

# What only ends, and so has nobody who asks for its health.
ONCE = {"setup"}
# Its image holds neither a shell nor anything else that could ask.
NO_PROBE = {"otel-collector"}
# Who may have a capability, and which.
CAPABILITIES = {"setup": ["DAC_READ_SEARCH"]}
# Who may be root: it writes what others read, without a network.
ROOT = {"setup"}
# Who may be reached from outside of docker, if only from this machine.
PUBLISHED = {"gateway-http", "gateway-webhook", "grafana"}
# Who has no way out, and is on no network from which there is one.
INSIDE = {"prometheus", "rabbitmq", "setup", "valkey", "worker"}
# The networks on which services meet servers: each has only who needs it.
MEMBERS = {
    "broker": {
        "gateway-api",
        "gateway-http",
        "gateway-voice",
        "gateway-webhook",
        "gateway-ws",
        "rabbitmq",
        "worker",
    },
    "store": {"gateway-api", "gateway-voice", "gateway-webhook", "gateway-ws", "valkey"},
}

GATEWAYS = {name for name in MEMBERS["broker"] if name.startswith("gateway-")}
# What they may take to end, SHUTDOWN_GRACE, and 5 s more.
GRACE = 25
OURS = "discord-gateway/"
# What each service has of these it has for a reason.
LINES = {
    "cap_drop",
    "cpus",
    "depends_on",
    "healthcheck",
    "logging",
    "mem_limit",
    "network_mode",
    "networks",
    "pids_limit",
    "read_only",
    "restart",
    "security_opt",
    "user",
}
PINNED = re.compile(r":[^:@]+@sha256:[0-9a-f]{64}$")


def seconds(duration: str) -> int:
    """What Docker's compose writes as 1m30s."""
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration).groups()
    return int(minutes or 0) * 60 + int(rest or 0)


def hardening(name: str, service: dict) -> list[str]:
    """What a service lacks of what each must have."""
    wanted = {
        "read_only is true": service.get("read_only") is True,
        "cap_drop is ALL": service.get("cap_drop") == ["ALL"],
        "cap_add": service.get("cap_add", []) == CAPABILITIES.get(name, []),
        "no-new-privileges": "no-new-privileges:true" in service.get("security_opt", []),
        "not privileged": not service.get("privileged") and not service.get("pid"),
        "a numeric user": all(part.isdigit() for part in service.get("user", "").split(":")),
        "not root": (service.get("user", "0").split(":")[0] == "0") == (name in ROOT),
        "pids_limit": 0 < int(service.get("pids_limit", 0)) <= 512,
        "mem_limit": 0 < int(service.get("mem_limit", 0)) <= 1 << 30,
        "cpus": 0 < float(service.get("cpus", 0)) <= 2,
        "log rotation": {"max-file", "max-size"}
        <= service.get("logging", {}).get("options", {}).keys(),
        "restart": service.get("restart") == ("no" if name in ONCE else "unless-stopped"),
        "healthcheck": name in ONCE | NO_PROBE or "test" in service.get("healthcheck", {}),
        "an image of ours, or one digest": service["image"].startswith(OURS)
        or PINNED.search(service["image"]) is not None,
        "time to end": name not in GATEWAYS
        or seconds(service.get("stop_grace_period", "")) >= GRACE,
    }
    return [what for what, holds in wanted.items() if not holds]


def surroundings(name: str, service: dict, internal: set[str]) -> list[str]:
    """What is wrong with the networks, ports, files and secrets of a service."""
    wrong = []
    networks = set(service.get("networks") or {})
    if (
        bool(networks) == ("network_mode" in service)
        or service.get("network_mode", "none") != "none"
    ):
        wrong.append("it is on a network that this file does not name")
    if name in INSIDE and networks - internal:
        wrong.append(f"it is on {networks - internal}, from which there is a way out")
    for network, members in MEMBERS.items():
        if network in networks and name not in members:
            wrong.append(f"it is on {network}")
    for port in service.get("ports", []):
        if name not in PUBLISHED or port.get("host_ip") != "127.0.0.1":
            wrong.append(f"it publishes {port}")
    for mount in service.get("volumes", []):
        source = mount["source"]
        if "docker.sock" in source:
            wrong.append("it has docker's socket")
        own = name == "setup" or source in ("secrets-" + name, "secrets-worker-audit")
        if source.startswith("secrets-") and not own:
            wrong.append(f"it has {source}")
        if name != "setup" and source.startswith("secrets-") and not mount.get("read_only"):
            wrong.append(f"it may write {source}")
        if mount["type"] == "bind" and not mount.get("read_only"):
            wrong.append(f"it may write {source}")
    for key, value in (service.get("environment") or {}).items():
        words = ("PASSWORD", "SECRET", "TOKEN", "_URL")
        if value and key.upper().endswith(words):
            wrong.append(f"a secret in {key}: name a file")
    return wrong


def judge(composition: dict) -> list[str]:
    """All that is wrong."""
    networks = composition["networks"]
    internal = {name for name, network in networks.items() if network.get("internal")}
    services = composition["services"]
    wrong = []
    for name, service in sorted(services.items()):
        found = hardening(name, service) + surroundings(name, service, internal)
        wrong += [f"{name}: {what}" for what in found]
        for other, how in service.get("depends_on", {}).items():
            once = other in ONCE
            condition = "service_completed_successfully" if once else "service_healthy"
            if how["condition"] != condition:
                wrong.append(f"{name} does not wait until {other} is well")
        if not once_needs_nobody(name, service):
            wrong.append(f"{name} waits for nobody")
    return wrong if services else ["there are no services"]


def once_needs_nobody(name: str, service: dict) -> bool:
    """Whether it waits for somebody, or has nobody to wait for."""
    return bool(service.get("depends_on")) or name in ONCE | NO_PROBE | {"prometheus"}


def weakened(composition: dict) -> Iterator[tuple[str, dict]]:
    """What could be changed for the worse, line by line, and the composition that it would be."""

    def without(what: str, *path: str | int) -> tuple[str, dict]:
        weak = copy.deepcopy(composition)
        inner = weak
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        return what, weak

    for name, service in composition["services"].items():
        at = ("services", name)
        lines = LINES | {"stop_grace_period"} if name in GATEWAYS else LINES
        for line in sorted(lines & service.keys()):
            yield without(f"{name} without {line}", *at, line)
        for option in service["logging"]["options"]:
            yield without(f"{name} without {option}", *at, "logging", "options", option)
        for each, mount in enumerate(service.get("volumes", ())):
            if mount.get("read_only"):
                what = f"{name} may write {mount['source']}"
                yield without(what, *at, "volumes", each, "read_only")
        for each, port in enumerate(service.get("ports", ())):
            yield without(f"{name} opens {port['target']}", *at, "ports", each, "host_ip")
        for other in service.get("depends_on", ()):
            weak = copy.deepcopy(composition)
            weak["services"][name]["depends_on"][other]["condition"] = "service_started"
            yield f"{name} does not wait for {other}", weak
        if not service["image"].startswith(OURS):
            weak = copy.deepcopy(composition)
            weak["services"][name]["image"] = service["image"].split("@")[0]
            yield f"{name} without a digest", weak
        for network, members in (
            *MEMBERS.items(),
            ("internet", composition["services"].keys() - INSIDE),
        ):
            if name not in members and "networks" in service:
                weak = copy.deepcopy(composition)
                weak["services"][name]["networks"][network] = None
                yield f"{name} on {network}", weak
    for network, how in composition["networks"].items():
        if how.get("internal"):
            yield without(f"{network} without internal", "networks", network, "internal")


def unnoticed(composition: dict) -> list[str]:
    """What could be changed for the worse without anybody's noticing."""
    return [what for what, weak in weakened(composition) if not judge(weak)]


def main() -> int:
    composition = json.load(sys.stdin)
    wrong = judge(composition) or [f"unnoticed: {what}" for what in unnoticed(composition)]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
