"""Answers the slash command /greet."""

import os

import pika
from contract import Error, Event, InteractionResponse  # what generate.py has made of proto/

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672")
PREFIX = os.environ.get("AMQP_PREFIX", "discord")


def greet(channel, method, properties, body):
    interaction = Event.FromString(body).interaction_create
    response = InteractionResponse(callback={"type": 4})  # a message
    response.callback.data.content = f"Hello <@{interaction.member.user.id}>!"
    reply = pika.BasicProperties(
        type="gateway.v1.InteractionResponse",
        correlation_id=properties.correlation_id,
        message_id=properties.message_id,  # sent again, it counts once
        reply_to="amq.rabbitmq.reply-to",  # for what is wrong with it
    )
    body = response.SerializeToString()
    channel.basic_publish(f"{PREFIX}.replies", properties.reply_to, body, reply)
    channel.basic_ack(method.delivery_tag)


def refused(channel, method, properties, body):
    print("the reply was refused:", Error.FromString(body).message)


channel = pika.BlockingConnection(pika.URLParameters(URL)).channel()
channel.queue_declare(f"{PREFIX}.greet", durable=True)
uses = "*.INTERACTION_CREATE.*.*.command.greet.#"
channel.queue_bind(f"{PREFIX}.greet", f"{PREFIX}.events", uses)
channel.basic_consume("amq.rabbitmq.reply-to", refused, auto_ack=True)
channel.basic_consume(f"{PREFIX}.greet", greet)
channel.start_consuming()
