"""One trace from Discord's frame through gateway-ws, RabbitMQ, a worker with the OpenTelemetry SDK, RabbitMQ again and
gateway-api back to Discord. The collector is one of our own, which speaks OTLP over gRPC and over HTTP.

usage: python traces.py FOLDER AMQP_URL WORKER    FOLDER has the programs; CONTRACT_FOLDER the contract's classes
"""

import contextlib
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from run import GUILD, Process, ask
from services import PATIENCE, start

TOKEN = b"sim.token"
USER = {"id": "1100000000000000088", "username": "ann", "discriminator": "0", "avatar": None}
SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


class Collector(contextlib.AbstractContextManager):
    """What was exported, by the way that it came."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str, object]] = []
        self.came = threading.Condition()
        # gRPC's own server: what it takes for a call is one.
        self.grpc = grpc.server(ThreadPoolExecutor(2))
        method = grpc.unary_unary_rpc_method_handler(
            lambda body, _: self.take("grpc", body),
            response_serializer=ExportTraceServiceResponse.SerializeToString,
        )
        handler = grpc.method_handlers_generic_handler(SERVICE, {"Export": method})
        self.grpc.add_generic_rpc_handlers((handler,))
        self.grpc_url = f"http://127.0.0.1:{self.grpc.add_insecure_port('127.0.0.1:0')}"
        self.grpc.start()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces", self.path
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = collector.take("http", body).SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http_url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.grpc.stop(None)
        self.http.shutdown()

    def take(self, way: str, body: bytes) -> ExportTraceServiceResponse:
        assert TOKEN not in body, "the token is in a span"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {each.key: each.value for each in resource.resource.attributes}
            service = attributes["service.name"].string_value
            with self.came:
                spans = (span for scope in resource.scope_spans for span in scope.spans)
                self.spans.extend((way, service, span) for span in spans)
                self.came.notify_all()
        return ExportTraceServiceResponse()

    def wait(self, service: str, name: str, trace: bytes | None = None):
        """The way of a span, and the span itself, when it is there."""

        def found():
            wanted = (service, name)
            for way, whose, span in self.spans:
                if (whose, span.name) == wanted and trace in (None, span.trace_id):
                    return way, span
            return None

        with self.came:
            told = [(whose, span.name) for _, whose, span in self.spans]
            assert self.came.wait_for(found, PATIENCE), f"no {name} of {service}: {told}"
            return found()


def main(programs: Path, amqp: str, worker: str) -> None:
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(Collector())
        sim = stack.enter_context(Process([str(programs / "discord-sim")], {}))
        urls = json.loads(sim.process.stdout.readline())
        rabbitmq = {"AMQP_PREFIX": "traces", "AMQP_URL": amqp}
        variables = ("CONTRACT_FOLDER", "PATH", "PYTHONPYCACHEPREFIX")
        environment = {name: os.environ[name] for name in variables if name in os.environ}
        http = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_url}
        environment |= rabbitmq | http | {"OTEL_SERVICE_NAME": "ping"}
        ping = stack.enter_context(Process([sys.executable, worker], environment))
        ping.logged("(waiting) for messages")
        discord = {"DISCORD_API_URL": urls["api"], "DISCORD_TOKEN": TOKEN.decode()}
        # It follows what others have begun, whatever its own share is.
        start(stack, programs / "gateway-api", rabbitmq | discord | http)
        gateway = {
            "DISCORD_INTENTS": "GUILDS,GUILD_MESSAGES,MESSAGE_CONTENT",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc_url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_TRACES_SAMPLER": "always_on",
        }
        start(stack, programs / "gateway-ws", rabbitmq | discord | gateway)
        message = {"id": "5", "channel_id": str(GUILD + 1), "guild_id": str(GUILD)}
        message |= {"author": USER, "content": "ping", "timestamp": "2026-01-02T03:04:05+00:00"}
        control = urls["control"]
        ask(f"{control}/dispatch", {"name": "MESSAGE_CREATE", "data": message})
        one_trace(collector)
        answered(control)
        broken = ask(f"{control}/violations")
        assert not broken["counts"], broken
    print("python: one trace goes from Discord through RabbitMQ and a worker back to Discord")


def one_trace(collector: Collector) -> None:
    """Each step is the child of the one before, and begins after it."""
    way, publish = collector.wait("gateway-ws", "publish MESSAGE_CREATE")
    assert (way, publish.parent_span_id) == ("grpc", b""), (way, publish)
    way, process = collector.wait("ping", "process MESSAGE_CREATE", publish.trace_id)
    assert (way, process.parent_span_id) == ("http", publish.span_id), (way, process)
    way, post = collector.wait("gateway-api", "POST CreateMessage", publish.trace_id)
    assert (way, post.parent_span_id) == ("http", process.span_id), (way, post)
    moments = [span.start_time_unix_nano for span in (publish, process, post)]
    assert moments == sorted(moments), moments


def answered(control: str) -> None:
    """Discord has got the message."""
    end = time.monotonic() + PATIENCE
    wanted = ("POST", f"channels/{GUILD + 1}/messages", 200)
    while True:
        requests = ask(f"{control}/requests")
        if any((it["method"], it["path"], it["status"]) == wanted for it in requests):
            return
        assert time.monotonic() < end, requests
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
