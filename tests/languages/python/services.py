"""A worker in Python between RabbitMQ and a simulated Discord: every kind of interaction with every type of answer, webhook events, and
a webhook's messages.

usage: python services.py FOLDER AMQP_URL    FOLDER has the programs; gen/ of the contract and tests/libraries are on PYTHONPATH
"""

import contextlib
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from gateway.v1 import webhook_pb2 as webhooks
from gateway.v1.error_pb2 import Code, Error
from gateway.v1.event_pb2 import Source
from run import WEBHOOK, Process, ask
from sides import PATIENCE, Events, Requests

PREFIX = "languages"
USER = "1100000000000000088"
# How an interaction is made: its kind for the simulator, its data if it is not the simulator's own, the answers that it can have,
# and the end of its routing key, which has its name in it.
COMMAND = {"id": "1100000000000000101"}
NESTED = {
    **COMMAND,
    "type": 1,
    "options": [
        {"name": "group", "type": 2, "options": [{"name": "sub", "type": 1, "options": []}]}
    ],
}
KINDS = [
    ("command", None, ["n4", "n5", "n9", "n12", "f"]),
    ("command", NESTED, ["n4"]),
    ("command", {**COMMAND, "type": 2, "target_id": USER}, ["n4"]),
    ("command", {**COMMAND, "type": 3, "target_id": "5"}, ["n4"]),
    ("command", {**COMMAND, "type": 4}, ["n12"]),
    ("component", None, ["n4", "n5", "n6", "n7", "n9", "n12", "f"]),
    ("component_modal", None, ["n4", "n5", "n6", "n7", "n12", "f"]),
    ("modal", None, ["n4", "n5", "n12", "f"]),
    ("autocomplete", None, ["n8"]),
    ("purchase", None, ["n13"]),
]


def main(programs: Path, amqp: str) -> None:
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Process([str(programs / "discord-sim")], {}))
        urls = json.loads(sim.process.stdout.readline())
        control = urls["control"]
        ask(f"{control}/settings", {"rest": {"webhooks": [WEBHOOK]}})
        application = str(ask(f"{control}/settings")["application_id"])
        settings = {
            "AMQP_PREFIX": PREFIX,
            "AMQP_URL": amqp,
            "DISCORD_API_URL": urls["api"],
            "DISCORD_APPLICATION_ID": application,
            "DISCORD_PUBLIC_KEY": ask(f"{control}/interactions")["public_key"],
        }
        http, events = free_address(), free_address()
        start(stack, programs / "gateway-api", settings | {"DISCORD_TOKEN": "sim.token"})
        start(stack, programs / "gateway-http", settings | {"HTTP_ADDRESS": http})
        start(stack, programs / "gateway-webhook", settings | {"HTTP_ADDRESS": events})
        worker, requests = Events(amqp, PREFIX), Requests(amqp, PREFIX, application)
        worker.start()
        interactions(worker, control, f"http://{http}/interactions")
        webhook_events(worker, control, f"http://{events}/events")
        webhook(requests)
        worker.stop()
        requests.close()
        broken = ask(f"{control}/violations")
        assert not broken["counts"], broken
    print(
        "python: a worker answers all kinds of interactions, hears webhook events and uses a webhook"
    )


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def start(stack: contextlib.ExitStack, program: Path, settings: dict[str, str]) -> None:
    """Starts a service, and waits until it is ready."""
    admin = free_address()
    service = stack.enter_context(Process([str(program)], settings | {"ADMIN_ADDRESS": admin}))
    service.logged(r"\badmin=(\S+)")
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"http://{admin}/readyz", timeout=5):
                return
        except urllib.error.URLError:
            assert time.monotonic() < end, f"{program} is not ready"
            time.sleep(0.05)


def interactions(worker: Events, control: str, url: str) -> None:
    """Each kind of interaction is answered by each type that it can be answered by."""
    count = 0
    for kind, data, names in KINDS:
        for name in names:
            order = {"url": url, "kind": kind, "name": name}
            if data is not None:
                order["json"] = {"data": {**data, "name": name}}
            sent = ask(f"{control}/interactions", order)[0]
            count += 1
            if name == "f":
                assert (sent["status"], sent["callback"]) == (202, 4), sent
                assert sent["original"]["files"] == 1, sent
            else:
                assert sent["status"] == 200, sent
                assert sent["answer"]["type"] == int(name[1:]), sent
            worker.wait(lambda: len(worker.events) == count)  # noqa: B023
            event = worker.events[-1]
            assert (event.name, event.source) == ("INTERACTION_CREATE", Source.SOURCE_HTTP), event
            if data is not None:
                assert event.interaction_create.data.type == data["type"], event
    follow(worker, control, url)


def follow(worker: Events, control: str, url: str) -> None:
    """What follows an answer: an edit of what was put off, a further message, and the error for what is no answer."""
    totals = ask(f"{control}/interactions")["totals"]
    for kind, name, edits, followups in [
        ("command", "n5n4", 1, 0),
        ("command", "n5f", 1, 0),
        ("component", "n6n7", 1, 0),
        ("modal", "n4n4", 0, 1),
        ("command", "n4f", 0, 1),
    ]:
        ask(f"{control}/interactions", {"url": url, "kind": kind, "name": name})
        totals["edits"] += edits
        totals["followups"] += followups
        end = time.monotonic() + PATIENCE
        while True:
            now = ask(f"{control}/interactions")["totals"]
            if all(now[key] == totals[key] for key in ("edits", "followups")):
                break
            assert time.monotonic() < end, (name, totals, now)
            time.sleep(0.05)
    sent = ask(f"{control}/interactions", {"url": url, "kind": "command", "name": "n7"})[0]
    assert sent["answer"]["data"]["flags"] == 64, sent
    worker.wait(lambda: any("`callback.type`" in error for error in worker.errors))


def webhook_events(worker: Events, control: str, url: str) -> None:
    """Webhook events come as typed as others, and one that nobody knows as its JSON."""
    before = len(worker.events)
    for name, data in [("ENTITLEMENT_CREATE", {"id": "5"}), ("NEVER_HEARD_OF", {"a": [1]})]:
        taken = ask(f"{control}/events", {"url": url, "name": name, "data": data})
        assert taken["taken"], taken
    worker.wait(lambda: len(worker.events) == before + 2)
    known, unknown = worker.events[before:]
    assert (known.source, known.entitlement_create.id) == (Source.SOURCE_WEBHOOK, 5), known
    assert (unknown.name, unknown.json) == ("NEVER_HEARD_OF", '{"a":[1]}'), unknown


def webhook(requests: Requests) -> None:
    """A message is sent with a file, read, changed and deleted."""
    address = webhooks.WebhookAddress(url=f"https://discord.com/api/webhooks/{WEBHOOK}/token")
    execute = webhooks.WebhookExecuteRequest(webhook=address, wait=True)
    execute.message.content = "hello"
    execute.files.add(filename="a.txt", data=b"hello")
    sent = requests.ask("Webhook", "Execute", execute, webhooks.WebhookExecuteResponse).message
    assert (sent.content, sent.attachments[0].size) == ("hello", 5), sent
    named = {"webhook": address, "message_id": sent.id}
    get = webhooks.WebhookGetRequest(**named)
    read = requests.ask("Webhook", "Get", get, webhooks.WebhookGetResponse).message
    assert read.id == sent.id, read
    edit = webhooks.WebhookEditRequest(**named)
    edit.message.content = "bye"
    changed = requests.ask("Webhook", "Edit", edit, webhooks.WebhookEditResponse).message
    assert changed.content == "bye", changed
    delete = webhooks.WebhookDeleteRequest(**named)
    gone = requests.ask("Webhook", "Delete", delete, webhooks.WebhookDeleteResponse)
    assert isinstance(gone, webhooks.WebhookDeleteResponse), gone
    error = requests.ask("Webhook", "Get", get, webhooks.WebhookGetResponse)
    assert isinstance(error, Error) and error.code == Code.CODE_NOT_FOUND, error


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
