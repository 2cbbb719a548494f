"""A first worker: prints every event it gets, one readable line each.

It needs a RabbitMQ login and the .proto files; it knows nothing of tokens, shards or websockets.

    python worker.py                                  every event
    python worker.py '*.MESSAGE_CREATE.#'             messages
    python worker.py '#.81384788765712384.#'          one guild
    python worker.py '*.INTERACTION_CREATE.*.*.command.play'
"""

import argparse
import logging
import os
import random
import shutil
import signal
import time
from collections import OrderedDict
from pathlib import Path

import pika
from contract import Event, EventBatch
from describe import describe
from google.protobuf.message import DecodeError
from pika.exceptions import AMQPError, ChannelClosedByBroker
from report import Report

log = logging.getLogger("worker")

# So many messages may be on their way to us, or in our hands, without being acknowledged.
PREFETCH = 200
# So many ids are remembered to tell a duplicate. Duplicates come soon after the first copy.
REMEMBERED = 100_000
# What RabbitMQ says to a user that may not do something.
REFUSED = 403
# The first and the longest pause before connecting again, in seconds.
BACKOFF = (0.5, 30.0)


class Seen:
    """Remembers the latest ids, a bounded number of them."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self.limit = limit
        self.ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, event_id: str) -> bool:
        return event_id in self.ids

    def add(self, event_id: str) -> None:
        self.ids[event_id] = None
        if len(self.ids) > self.limit:
            self.ids.popitem(last=False)


class Printer:
    """Prints events, at most so many lines a second; says how many it left out."""

    def __init__(self, per_second: int | None) -> None:
        self.per_second = per_second
        self.width = shutil.get_terminal_size((160, 24)).columns
        self.second = 0
        self.printed = 0
        self.left_out = 0

    def show(self, event: Event) -> None:
        if self.per_second == 0:
            return
        second = int(time.monotonic())
        if second != self.second:
            if self.left_out:
                print(f"         … and {self.left_out} more", flush=True)
            self.second, self.printed, self.left_out = second, 0, 0
        if self.per_second is None or self.printed < self.per_second:
            line = f"{time.strftime('%H:%M:%S')} {describe(event)}"
            print(line[: self.width], flush=True)
            self.printed += 1
        else:
            self.left_out += 1


class Worker:
    """Takes events from its queue until it is told to stop."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.exchange = f"{options.prefix}.events"
        self.queue = options.queue or f"{options.prefix}.example"
        self.seen = Seen()
        self.printer = Printer(options.lines)
        self.report = Report(options.report) if options.report else None
        self.stopping = False

    def stop(self, *_: object) -> None:
        self.stopping = True

    def run(self) -> None:
        """Works, and connects again whenever the connection is lost."""
        failures = 0
        while not self.stopping:
            try:
                with pika.BlockingConnection(self.options.broker) as connection:
                    channel = self.open(connection)
                    failures = 0
                    log.info("waiting for events in the queue %s", self.queue)
                    self.consume(channel)
            except (AMQPError, OSError) as error:
                failures += 1
                pause = min(BACKOFF[0] * 2**failures, BACKOFF[1]) * random.uniform(0.5, 1.0)
                log.warning("no connection (%s), next attempt in %.1f s", reason(error), pause)
                self.rest(pause)

    def open(self, connection: pika.BlockingConnection) -> pika.channel.Channel:
        """Makes the queue and its bindings; what is there already stays as it is."""
        channel = connection.channel()
        # Durable: the queue keeps events while no worker is connected.
        for declare in (
            lambda channel: channel.exchange_declare(self.exchange, "topic", durable=True),
            lambda channel: channel.queue_declare(self.queue, durable=True),
        ):
            try:
                declare(channel)
            except ChannelClosedByBroker as error:
                if error.reply_code != REFUSED:
                    raise
                # Only the operator may: he has declared it, or what follows says that it is missing.
                channel = connection.channel()
        channel.basic_qos(prefetch_count=PREFETCH)
        for key in self.options.keys:
            channel.queue_bind(self.queue, self.exchange, key)
        return channel

    def consume(self, channel: pika.channel.Channel) -> None:
        for method, properties, body in channel.consume(self.queue, inactivity_timeout=0.2):
            if self.stopping:
                break
            if method is not None:
                self.deliver(channel, method.delivery_tag, properties, body)
            if self.report:
                self.report.save_now_and_then()
        # What we hold unacknowledged goes back to the queue.
        channel.cancel()

    def deliver(
        self,
        channel: pika.channel.Channel,
        tag: int,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        try:
            events = unpack(properties.type, body)
        except DecodeError:
            log.error("%s is not an event: refused", properties.message_id)
            channel.basic_reject(tag, requeue=False)
            return
        for event in events:
            self.work(event)
        # Only now, and once for all of them: had we died before this line, RabbitMQ would give the
        # message to another worker.
        channel.basic_ack(tag)

    def work(self, event: Event) -> None:
        """Does what the worker is for, once for each event.

        That no event is lost has a price: after a crash, of ours or of the gateway's, an event may
        come twice. Both copies have one `id`; AMQP's `message_id` is the same for an event that
        travels alone, but not for a batch, which may be another one the next time. AMQP's
        `redelivered` flag is no help here: it is set for events that we never saw, and not set for
        what the gateway sent twice. Work that must not be done twice wants these ids in a database,
        beside the work's result.
        """
        if self.report:
            self.report.add(event)
        if event.id not in self.seen:
            self.printer.show(event)
            self.seen.add(event.id)

    def rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < end:
            time.sleep(0.1)


def unpack(kind: str | None, body: bytes) -> list[Event]:
    """The events of a message: one, or several in their order, as the message's type says."""
    if kind == "gateway.v1.EventBatch":
        return list(EventBatch.FromString(body).events)
    return [Event.FromString(body)]


def reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Prints events of Discord's, one line each.")
    parser.add_argument("keys", nargs="*", default=["#"], help="binding keys; default: # (all)")
    parser.add_argument("--queue", help="default: <prefix>.example")
    parser.add_argument("--lines", type=int, metavar="N", help="print at most N lines a second")
    parser.add_argument("--quiet", action="store_const", const=0, dest="lines", help="print none")
    parser.add_argument("--report", type=Path, metavar="FILE", help="count, and write it as JSON")
    options = parser.parse_args(arguments)
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672")
    if "AMQP_URL_FILE" in os.environ:
        # Where a secret is a file, as in a container.
        url = Path(os.environ["AMQP_URL_FILE"]).read_text().strip()
    try:
        options.broker = pika.URLParameters(url)
    except (IndexError, ValueError):
        parser.error("AMQP_URL is not a URL like amqp://user:password@host:port/vhost")
    options.prefix = os.environ.get("AMQP_PREFIX", "discord")
    return options


def main() -> None:
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    log.setLevel(logging.INFO)
    # pika reports one lost connection in ten ways; the worker says it once.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    worker = Worker(parse())
    signal.signal(signal.SIGINT, worker.stop)
    signal.signal(signal.SIGTERM, worker.stop)
    worker.run()
    if worker.report:
        worker.report.save()


if __name__ == "__main__":
    main()
