"""The demo's RabbitMQ: the one that AMQP_URL names, or a private one."""

import subprocess

import pika
from pika.exceptions import AMQPError
from processes import FOLDER, ROOT, Failure, say

EXCHANGES = ("events", "requests", "replies", "dead-letter", "voice-audio")


class PrivateBroker:
    """A RabbitMQ of our own, gone when the demo ends."""

    def start(self) -> str:
        """The result is its URL."""
        say("starting a private RabbitMQ")
        return script("start")

    def stop(self, prefix: str) -> None:
        script("stop")


class GivenBroker:
    """Somebody else's RabbitMQ, where everything of ours has names that begin with a prefix."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.reached = False

    def start(self) -> str:
        try:
            with pika.BlockingConnection(pika.URLParameters(self.url)):
                self.reached = True
        except (AMQPError, OSError, IndexError, ValueError) as error:
            raise Failure(f"cannot connect to AMQP_URL: {error!r}") from error
        return self.url

    def stop(self, prefix: str) -> None:
        """Takes away what the demo made there."""
        if not self.reached:
            return
        try:
            with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
                channel = connection.channel()
                for queue in ("example", "greet"):
                    channel.queue_delete(f"{prefix}.{queue}")
                for exchange in EXCHANGES:
                    channel.exchange_delete(f"{prefix}.{exchange}")
        except (AMQPError, OSError) as error:
            say(f"could not remove {prefix}.* from the broker: {error!r}")


def script(action: str) -> str:
    """Runs scripts/rabbitmq.sh, out of Ctrl-C's reach."""
    done = subprocess.run(
        [ROOT / "scripts" / "rabbitmq.sh", action, FOLDER / "rabbitmq"],
        check=False,
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise Failure(f"the private RabbitMQ did not {action}")
    return done.stdout.strip()
