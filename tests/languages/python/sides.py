"""A worker of a bot: it answers interactions by what they are called, and uses a webhook.

All that it has of the system is a login to RabbitMQ and what protobuf's own compiler has made of proto/.
"""

import threading

import pika
from gateway.v1.error_pb2 import Error
from gateway.v1.event_pb2 import Event
from gateway.v1.interactions_pb2 import InteractionResponse

DIRECT = "amq.rabbitmq.reply-to"
# How long an answer may take, in seconds.
PATIENCE = 30


class Events(threading.Thread):
    """Takes events, and answers those that are interactions."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(daemon=True)
        self.replies = f"{prefix}.replies"
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.came = threading.Condition()
        self.events: list[Event] = []
        self.errors: list[str] = []
        events, queue = f"{prefix}.events", f"{prefix}.worker"
        self.channel.exchange_declare(events, "topic", durable=True)
        self.channel.queue_declare(queue, durable=True)
        for name in ("INTERACTION_CREATE", "ENTITLEMENT_CREATE", "NEVER_HEARD_OF"):
            self.channel.queue_bind(queue, events, f"*.{name}.#")
        self.channel.basic_consume(DIRECT, self.refused, auto_ack=True)
        self.channel.basic_consume(queue, self.work)

    def run(self) -> None:
        self.channel.start_consuming()

    def stop(self) -> None:
        self.connection.add_callback_threadsafe(self.channel.stop_consuming)
        self.join()
        self.connection.close()

    def work(self, channel, method, properties, body) -> None:
        event = Event.FromString(body)
        if event.HasField("interaction_create"):
            for number, response in enumerate(answers(event.interaction_create)):
                reply = pika.BasicProperties(
                    type="gateway.v1.InteractionResponse",
                    correlation_id=properties.correlation_id,
                    message_id=f"{properties.message_id}-{number}",
                    reply_to=DIRECT,
                )
                encoded = response.SerializeToString()
                channel.basic_publish(self.replies, properties.reply_to, encoded, reply)
        channel.basic_ack(method.delivery_tag)
        with self.came:
            self.events.append(event)
            self.came.notify_all()

    def refused(self, channel, method, properties, body) -> None:
        with self.came:
            self.errors.append(Error.FromString(body).message)
            self.came.notify_all()

    def wait(self, holds) -> None:
        """Waits until something holds of what came."""
        with self.came:
            assert self.came.wait_for(holds, PATIENCE), (self.events[-1:], self.errors)


def answers(interaction) -> list[InteractionResponse]:
    """What an interaction is answered, in order: it is called by the types, `n5n4`, and `f` stands for a message with a file."""
    name = interaction.data.custom_id or interaction.data.name or "n13"
    return [answer(int(part)) for part in name.split(":")[0].replace("f", "n400").split("n")[1:]]


def answer(number: int) -> InteractionResponse:
    has_file = number == 400
    response = InteractionResponse(callback={"type": 4 if has_file else number})
    data = response.callback.data
    if number in (4, 7, 400):
        data.content = f"said in Python by {number}"
    elif number == 8:
        data.choices.add(name="one").value.string_value = "1"
    elif number == 9:
        data.custom_id, data.title = "n4:modal", "A modal"
        data.components.add(
            type=18, label="Why?", component={"type": 4, "custom_id": "why", "style": 1}
        )
    elif number == 13:
        data.eligible = True
    if has_file:
        response.files.add(filename="a.txt", data=b"hello")
    return response


class Requests:
    """Asks services, and waits for each answer."""

    def __init__(self, url: str, prefix: str, application: str) -> None:
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.exchange, self.application = f"{prefix}.requests", application
        self.replies: list[tuple[str, bytes]] = []
        self.channel.basic_consume(DIRECT, self.replied, auto_ack=True)

    def replied(self, channel, method, properties, body) -> None:
        self.replies.append((properties.type, body))

    def ask(self, service: str, method: str, request, response):
        """The response, or the error that came in its place."""
        properties = pika.BasicProperties(
            type=f"gateway.v1.{service}/{method}",
            reply_to=DIRECT,
            correlation_id="1",
            expiration=str(PATIENCE * 1000),
        )
        key = f"{service.lower()}.{method}.{self.application}"
        self.channel.basic_publish(self.exchange, key, request.SerializeToString(), properties)
        self.replies.clear()
        while not self.replies:
            self.connection.process_data_events(PATIENCE)
            assert self.replies, f"{key} was not answered"
        kind, body = self.replies[0]
        return Error.FromString(body) if kind == "gateway.v1.Error" else response.FromString(body)

    def close(self) -> None:
        self.connection.close()
