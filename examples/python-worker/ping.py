"""Answers "ping" by "pong", and takes part in the trace of each event.

The trace of an event comes in the header `traceparent` of its message. What this worker does is a step of it, and so is
what gateway-api does in its stead, as the request carries on where the worker is. Where steps go OpenTelemetry's own
variables say, such as OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_SERVICE_NAME.
"""

import os
import signal
import sys

import pika
from contract import CreateMessageRequest, Event
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672")
PREFIX = os.environ.get("AMQP_PREFIX", "discord")

# Only what gateway-ws has begun is traced: it decides which events are.
provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("ping")


def work(channel, method, properties, body):
    event = Event.FromString(body)
    came_by = propagate.extract(properties.headers or {})
    name, kind = f"process {event.name}", trace.SpanKind.CONSUMER
    with tracer.start_as_current_span(name, came_by, kind):
        if event.message_create.content == "ping":
            pong(channel, event)
    channel.basic_ack(method.delivery_tag)


def pong(channel, event):
    request = CreateMessageRequest(channel_id=event.channel_id)
    request.message.content = "pong"
    headers = {}
    propagate.inject(headers)
    channel.basic_publish(
        f"{PREFIX}.requests",
        f"rest.CreateMessage.{event.application_id}",
        request.SerializeToString(),
        pika.BasicProperties(type="discord.v1.Rest/CreateMessage", headers=headers, app_id="ping"),
    )


# An exit in good order sends the steps that wait.
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
channel = pika.BlockingConnection(pika.URLParameters(URL)).channel()
channel.exchange_declare(f"{PREFIX}.events", "topic", durable=True)
channel.queue_declare(f"{PREFIX}.ping", durable=True)
channel.queue_bind(f"{PREFIX}.ping", f"{PREFIX}.events", "*.MESSAGE_CREATE.#")
channel.basic_consume(f"{PREFIX}.ping", work)
print("waiting for messages", file=sys.stderr, flush=True)
channel.start_consuming()
