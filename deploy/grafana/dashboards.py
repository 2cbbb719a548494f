"""Writes the dashboards of Grafana, dashboards/*.json, from the tables below.

`dashboards.py` writes them; `scripts/lint.sh` looks whether they are what it would write, whether Prometheus can
read each expression, and whether each metric of a service's README is on its dashboard.
"""

import json
from pathlib import Path

from panels import APPLICATION, broker, interactions, of, panel, process, quantiles, rate, requests

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT, PER_ROW = 8, 7, 3
RECEIVED = f'{APPLICATION},step="received"'

OVERVIEW = [
    (
        "Now",
        [
            panel(
                "Alerts",
                "short",
                ('count by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}"),
                stat=True,
            ),
            panel(
                "Replicas", "short", ('sum by (job) (up{job=~"gateway-.+"})', "{{job}}"), stat=True
            ),
            panel(
                "Shards that are not connected",
                "short",
                ("sum by (application) (shard:gateway_ws_up:max == bool 0)", "{{application}}"),
                stat=True,
            ),
            panel(
                "Identifies left today",
                "short",
                ("min by (application) (gateway_ws_identifies_left)", "{{application}}"),
                stat=True,
            ),
            panel(
                "Invalid requests in ten minutes",
                "short",
                ("max(gateway_api_invalid_requests)", "all"),
                stat=True,
            ),
            panel(
                "Redis",
                "short",
                ("min by (application) (gateway_ws_store_up)", "ws {{application}}"),
                ("min by (application) (gateway_api_store_up)", "api {{application}}"),
                stat=True,
            ),
        ],
    ),
    (
        "Flow",
        [
            panel(
                "Events",
                "ops",
                (rate("gateway_ws_received_total"), "from Discord's gateway"),
                (rate("gateway_webhook_events_total"), "webhook events"),
                (rate("gateway_broker_events_confirmed_total"), "confirmed by RabbitMQ"),
            ),
            panel(
                "Requests to Discord",
                "ops",
                (rate("gateway_api_requests_total", "status"), "{{status}}"),
            ),
            panel(
                "Interactions",
                "ops",
                (rate("gateway_http_interactions_total", "answer"), "HTTP {{answer}}"),
                (rate("gateway_callback_interactions_total", "answer"), "gateway {{answer}}"),
            ),
            panel("Until RabbitMQ confirms", "s", *quantiles("gateway_broker_confirm_seconds")),
            panel("Until Discord answers", "s", *quantiles("gateway_api_discord_seconds")),
            panel(
                "Until an interaction is answered",
                "s",
                *quantiles("gateway_http_answer_seconds"),
            ),
        ],
    ),
    (
        "RabbitMQ",
        [
            panel(
                "Longest queues",
                "short",
                ("topk(10, sum by (queue) (rabbitmq_detailed_queue_messages_ready))", "{{queue}}"),
            ),
            panel(
                "Taken and not acknowledged",
                "short",
                (
                    "topk(10, sum by (queue) (rabbitmq_detailed_queue_messages_unacked))",
                    "{{queue}}",
                ),
            ),
            panel(
                "Consumers",
                "short",
                ("sum by (queue) (rabbitmq_detailed_queue_consumers)", "{{queue}}"),
            ),
            panel(
                "Messages",
                "ops",
                (
                    "sum(rate(rabbitmq_global_messages_received_total[$__rate_interval]))",
                    "received",
                ),
                (
                    "sum(rate(rabbitmq_global_messages_routed_total[$__rate_interval]))",
                    "routed to queues",
                ),
                (
                    "sum(rate(rabbitmq_global_messages_unroutable_dropped_total[$__rate_interval]))",
                    "wanted by no queue",
                ),
            ),
            panel("Disk left", "bytes", ("rabbitmq_disk_space_available_bytes", "{{instance}}")),
            panel(
                "Alarms",
                "short",
                ("rabbitmq_alarms_memory_used_watermark", "memory {{instance}}"),
                ("rabbitmq_alarms_free_disk_space_watermark", "disk {{instance}}"),
                ("rabbitmq_alarms_file_descriptor_limit", "files {{instance}}"),
            ),
        ],
    ),
    (
        "Processes",
        [
            panel(
                "CPU",
                "percentunit",
                (
                    rate("process_cpu_seconds_total", "job, instance", 'job=~"gateway-.+"'),
                    "{{job}} {{instance}}",
                ),
            ),
            panel(
                "Memory",
                "bytes",
                ('process_resident_memory_bytes{job=~"gateway-.+"}', "{{job}} {{instance}}"),
            ),
            panel(
                "Starts",
                "short",
                (
                    'changes(process_start_time_seconds{job=~"gateway-.+"}[$__rate_interval])',
                    "{{job}} {{instance}}",
                ),
            ),
        ],
    ),
]

WS = [
    (
        "Shards",
        [
            panel(
                "By state",
                "short",
                (
                    f"count by (shard_count) ({of('gateway_ws_state')} == 1)",
                    "connecting, of {{shard_count}}",
                ),
                (
                    f"count by (shard_count) ({of('gateway_ws_state')} == 2)",
                    "standby, of {{shard_count}}",
                ),
                (
                    f"count by (shard_count) ({of('gateway_ws_state')} == 3)",
                    "live, of {{shard_count}}",
                ),
                (
                    f"count by (shard_count) ({of('gateway_ws_state')} == 4)",
                    "away, of {{shard_count}}",
                ),
            ),
            panel(
                "Without a session",
                "short",
                (of("gateway_ws_connected") + " == 0", "shard {{shard}} of {{shard_count}}"),
            ),
            panel(
                "Shards of each replica",
                "short",
                (of("gateway_ws_leases"), "{{application}} {{instance}}"),
            ),
            panel(
                "Heartbeats answered in",
                "ms",
                (
                    f"quantile(0.5, {of('gateway_ws_heartbeat_latency_milliseconds')})",
                    "half of the shards",
                ),
                (f"max({of('gateway_ws_heartbeat_latency_milliseconds')})", "the slowest"),
            ),
            panel(
                "Waiting for a confirm",
                "s",
                (f"topk(5, {of('gateway_ws_confirm_lag_seconds')})", "shard {{shard}}"),
            ),
            panel(
                "Busiest shards",
                "ops",
                (
                    f"topk(10, {rate('gateway_ws_shard_events_total', 'shard, shard_count', RECEIVED)})",
                    "shard {{shard}}",
                ),
            ),
        ],
    ),
    (
        "Events",
        [
            panel(
                "What becomes of them",
                "ops",
                (rate("gateway_ws_received_total", "", APPLICATION), "received"),
                (rate("gateway_ws_filtered_total", "", APPLICATION), "filtered"),
                (rate("gateway_ws_published_total", "", APPLICATION), "published"),
                (rate("gateway_ws_returned_total", "", APPLICATION), "come again"),
                (
                    rate("gateway_ws_dropped_total", "reason", APPLICATION),
                    "not published: {{reason}}",
                ),
            ),
            panel(
                "Off by",
                "short",
                (
                    " - ".join(
                        f"sum({of(f'gateway_ws_{name}')})"
                        for name in (
                            "received_total",
                            "filtered_total",
                            "held",
                            "published_total",
                            "returned_total",
                            "dropped_total",
                        )
                    ),
                    "events",
                ),
                help="The ledger: at most one event of each shard",
            ),
            panel(
                "Held back",
                "short",
                (f"sum({of('gateway_ws_held')})", "until the new set takes over"),
            ),
            panel(
                "How they travel",
                "ops",
                (rate("gateway_ws_events_total", "lane", APPLICATION), "{{lane}}"),
            ),
            panel(
                "Odd payloads",
                "ops",
                (rate("gateway_ws_odd_payloads_total", "kind", APPLICATION), "{{kind}}"),
            ),
            panel(
                "Events of our own",
                "ops",
                (rate("gateway_ws_status_events_total", "", APPLICATION), "given to RabbitMQ"),
                (
                    rate("gateway_ws_status_events_dropped_total", "", APPLICATION),
                    "gave way to newer ones",
                ),
            ),
        ],
    ),
    (
        "Connections",
        [
            panel(
                "Begun",
                "ops",
                (rate("gateway_ws_connects_total", "how", APPLICATION), "to {{how}}"),
            ),
            panel(
                "Sessions",
                "ops",
                (rate("gateway_ws_sessions_total", "how", APPLICATION), "{{how}}"),
            ),
            panel(
                "Identifies left today",
                "short",
                (f"min by (application) ({of('gateway_ws_identifies_left')})", "{{application}}"),
            ),
            panel(
                "Outages of Discord",
                "short",
                (f"max by (what) ({of('gateway_ws_outage')})", "{{what}} is away"),
                (
                    f"sum by (what) (increase({of('gateway_ws_outages_total')}[$__rate_interval]))",
                    "{{what}} went away",
                ),
            ),
            panel(
                "Refused by Discord",
                "short",
                (f"sum by (reason) ({of('gateway_ws_refused_total')})", "{{reason}}"),
                (
                    f"max by (application) ({of('gateway_ws_application_failed')})",
                    "{{application}} was given up",
                ),
            ),
            panel(
                "Given up for a while as RabbitMQ takes nothing",
                "ops",
                (rate("gateway_ws_stalls_total", "application", APPLICATION), "{{application}}"),
            ),
        ],
    ),
    (
        "Replicas and the store",
        [
            panel(
                "Store",
                "short",
                (of("gateway_ws_store_up"), "there {{instance}}"),
                (
                    f"increase({of('gateway_ws_saves_failed_total')}[$__rate_interval])",
                    "not saved {{instance}}",
                ),
            ),
            panel("Hand-overs", "s", *quantiles("gateway_ws_hand_over_seconds", APPLICATION)),
            panel(
                "Leases lost",
                "short",
                (f"increase({of('gateway_ws_fenced_total')}[$__rate_interval])", "{{instance}}"),
            ),
            panel(
                "Change of the number of shards",
                "short",
                (
                    f"max by (application) ({of('gateway_ws_reshard_phase')})",
                    "phase {{application}}",
                ),
                (
                    f"max by (application) ({of('gateway_ws_reshard_postponed')})",
                    "waits for identifies {{application}}",
                ),
                help="0 none, 1 warming, 2 switching",
            ),
            panel(
                "Commands of workers",
                "ops",
                (rate("gateway_ws_commands_total", "outcome", APPLICATION), "{{outcome}}"),
            ),
        ],
    ),
    broker("gateway-ws", spool=True),
    process("gateway-ws"),
]

API = [
    requests("gateway-api"),
    (
        "Over HTTP",
        [
            panel(
                "Not answered by Discord",
                "ops",
                (rate("gateway_api_http_errors_total", "code"), "{{code}}"),
            )
        ],
    ),
    ("Interactions of gateway connections", interactions("callback")),
    broker("gateway-api"),
    process("gateway-api"),
]

HTTP = [
    ("Interactions", interactions("http")),
    (
        "Strangers",
        [panel("Refused", "ops", (rate("gateway_http_refused_total", "reason"), "{{reason}}"))],
    ),
    broker("gateway-http"),
    process("gateway-http"),
]

WEBHOOK = [
    (
        "Webhook events",
        [
            panel(
                "Confirmed",
                "ops",
                (rate("gateway_webhook_events_total", "event", APPLICATION), "{{event}}"),
            ),
            panel(
                "How they travel",
                "ops",
                (rate("gateway_webhook_events_total", "lane", APPLICATION), "{{lane}}"),
            ),
            panel(
                "Not confirmed in time",
                "ops",
                (
                    rate("gateway_webhook_events_unconfirmed_total", "application", APPLICATION),
                    "{{application}}",
                ),
            ),
            panel(
                "Discord looks whether we are there",
                "ops",
                (
                    rate("gateway_webhook_pings_total", "application", APPLICATION),
                    "{{application}}",
                ),
            ),
            panel(
                "Refused", "ops", (rate("gateway_webhook_refused_total", "reason"), "{{reason}}")
            ),
        ],
    ),
    requests("gateway-webhook"),
    broker("gateway-webhook"),
    process("gateway-webhook"),
]

VOICE = [
    (
        "Calls",
        [
            panel("Calls", "short", ("gateway_voice_calls", "{{instance}}")),
            panel("Until sound can be sent", "s", *quantiles("gateway_voice_handshake_seconds")),
            panel(
                "Connections",
                "ops",
                (rate("gateway_voice_connections_total", "reason"), "stands: {{reason}}"),
                (rate("gateway_voice_losses_total", "reason"), "ended: {{reason}}"),
            ),
            panel(
                "Frames",
                "ops",
                (rate("gateway_voice_frames_total"), "sent"),
                (rate("gateway_voice_frames_late_total"), "late"),
                (rate("gateway_voice_frames_lost_total"), "silence, as none had come"),
            ),
            panel(
                "How late the latest of a second is",
                "s",
                *quantiles("gateway_voice_jitter_seconds"),
            ),
            panel("A thread's tick of 20 ms", "s", *quantiles("gateway_voice_mixer_seconds")),
            panel(
                "Tracks that ended",
                "ops",
                (rate("gateway_voice_tracks_total", "reason"), "{{reason}}"),
            ),
            panel(
                "Requests of workers",
                "ops",
                (rate("gateway_voice_requests_total", "outcome"), "{{outcome}}"),
            ),
            panel(
                "Events",
                "ops",
                (rate("gateway_voice_events_total", "event"), "{{event}}"),
                (rate("gateway_voice_events_dropped_total"), "dropped"),
                (rate("gateway_voice_unheard_total"), "news of Discord without room"),
            ),
            panel("Recordings", "short", ("gateway_voice_recordings", "{{instance}}")),
            panel(
                "Frames of speakers",
                "ops",
                (rate("gateway_voice_received_frames_total", "outcome"), "{{outcome}}"),
            ),
        ],
    ),
    broker("gateway-voice"),
    process("gateway-voice"),
]

# File: title, the metric whose label `application` the choice of applications comes from, rows.
DASHBOARDS = {
    "overview": ("Discord Gateway", None, OVERVIEW),
    "gateway-ws": ("gateway-ws", "gateway_ws_leases", WS),
    "gateway-api": ("gateway-api", "gateway_api_waiting", API),
    "gateway-http": ("gateway-http", "gateway_http_interactions_total", HTTP),
    "gateway-voice": ("gateway-voice", None, VOICE),
    "gateway-webhook": ("gateway-webhook", "gateway_api_waiting", WEBHOOK),
}


def dashboard(name):
    title, applications, rows = DASHBOARDS[name]
    variables = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    ]
    if applications:
        variables.append(
            {
                "name": "application",
                "type": "query",
                "label": "Application",
                "datasource": SOURCE,
                "query": f"label_values({applications}, application)",
                "refresh": 2,
                "multi": True,
                "includeAll": True,
                "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
            }
        )
    return {
        "uid": name if name.startswith("gateway") else f"gateway-{name}",
        "title": title,
        "tags": ["discord-gateway"],
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "schemaVersion": 39,
        "templating": {"list": variables},
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "title": "Discord Gateway",
                "tags": ["discord-gateway"],
                "asDropdown": True,
                "keepTime": True,
                "includeVars": True,
            }
        ],
        "panels": list(panels(rows)),
    }


def panels(rows):
    number, y = 0, 0
    for title, row in rows:
        number += 1
        position = {"x": 0, "y": y, "w": 24, "h": 1}
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": position,
            "panels": [],
        }
        y += 1
        for index, each in enumerate(row):
            number += 1
            position = {
                "x": index % PER_ROW * WIDTH,
                "y": y + index // PER_ROW * HEIGHT,
                "w": WIDTH,
                "h": HEIGHT,
            }
            yield drawn(each, number, position)
        y += -(-len(row) // PER_ROW) * HEIGHT


def drawn(each, number, position):
    targets = [
        {
            "refId": chr(ord("A") + index),
            "expr": expression,
            "legendFormat": legend,
            "datasource": SOURCE,
        }
        for index, (expression, legend) in enumerate(each["series"])
    ]
    drawn = {
        "id": number,
        "type": "stat" if each["stat"] else "timeseries",
        "title": each["title"],
        "gridPos": position,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": each["unit"], "min": 0}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi"},
        },
        "targets": targets,
    }
    if each["help"]:
        drawn["description"] = each["help"]
    if each["stat"]:
        drawn["options"] = {
            "reduceOptions": {"calcs": ["lastNotNull"]},
            "textMode": "value_and_name",
        }
    return drawn


def text(name):
    """The dashboard as JSON, with a line for each panel, so that a change shows."""
    whole = dashboard(name)
    panels = ",\n  ".join(json.dumps(panel) for panel in whole.pop("panels"))
    head = json.dumps(whole, indent=1).removesuffix("\n}")
    return f'{head},\n "panels": [\n  {panels}\n ]\n}}\n'


def main():
    for name in DASHBOARDS:
        (FOLDER / f"{name}.json").write_text(text(name))


if __name__ == "__main__":
    main()
