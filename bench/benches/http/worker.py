"""Answers interactions, and says how many microseconds it has taken for it."""

import os
import time

import pika
from contract import Event, InteractionResponse

PREFIX = os.environ["AMQP_PREFIX"]


def main() -> None:
    parameters = pika.URLParameters(os.environ["AMQP_URL"])
    channel = pika.BlockingConnection(parameters).channel()
    exchange = f"{PREFIX}.events"
    channel.exchange_declare(exchange, "topic", durable=True)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, exchange, "*.INTERACTION_CREATE.#")
    channel.basic_consume(queue, answer)
    channel.start_consuming()


def answer(channel, method, properties, body) -> None:
    start = time.perf_counter_ns()
    interaction = Event.FromString(body).interaction_create
    response = InteractionResponse(callback={"type": 4})
    name = interaction.member.user.username
    took = (time.perf_counter_ns() - start) // 1000
    response.callback.data.content = f"said by the worker in {took} us to {name}"
    reply = pika.BasicProperties(
        type="gateway.v1.InteractionResponse",
        correlation_id=properties.correlation_id,
        message_id=properties.message_id,
    )
    body = response.SerializeToString()
    channel.basic_publish(f"{PREFIX}.replies", properties.reply_to, body, reply)
    channel.basic_ack(method.delivery_tag)


if __name__ == "__main__":
    main()
