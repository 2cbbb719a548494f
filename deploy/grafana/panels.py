"""What dashboards are made of: expressions, panels, and the rows that several services have alike."""

APPLICATION = 'application=~"$application"'


def rate(metric, by="", labels=""):
    """How fast a counter of the chosen application and service grows, summed but for the labels `by`."""
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def quantiles(metric, labels=""):
    """The middle, and the slowest of a hundred, of a histogram."""
    bucket = f"sum by (le) (rate({metric}_bucket{{{labels}}}[$__rate_interval]))"
    return [
        (f"histogram_quantile({share}, {bucket})", f"p{share * 100:.0f}") for share in (0.5, 0.99)
    ]


def panel(title, unit, *series, help="", stat=False):
    """One panel: its unit in Grafana's words, and expressions with their legends."""
    return {"title": title, "unit": unit, "series": series, "help": help, "stat": stat}


def process(job):
    """What every process says of itself."""
    of = f'job="{job}"'
    return (
        "Process",
        [
            panel(
                "CPU",
                "percentunit",
                (rate("process_cpu_seconds_total", "instance", of), "{{instance}}"),
            ),
            panel("Memory", "bytes", (f"process_resident_memory_bytes{{{of}}}", "{{instance}}")),
            panel("Open files", "short", (f"process_open_fds{{{of}}}", "{{instance}}")),
            panel(
                "Running for", "s", (f"time() - process_start_time_seconds{{{of}}}", "{{instance}}")
            ),
            panel(
                "Versions",
                "short",
                (
                    f"count by (service, version) (gateway_build_info{{{of}}})",
                    "{{service}} {{version}}",
                ),
            ),
            panel(
                "Spans of traces",
                "ops",
                (rate("gateway_trace_spans_total", "outcome", of), "{{outcome}}"),
            ),
        ],
    )


def broker(job, spool=False):
    """What lib/broker says, in each service alike."""
    of = f'job="{job}"'
    rows = [
        panel(
            "Connection",
            "short",
            (f"gateway_broker_connected{{{of}}}", "connected {{instance}}"),
            (f"gateway_broker_blocked{{{of}}}", "blocked {{instance}}"),
            (
                f"increase(gateway_broker_reconnects_total{{{of}}}[$__rate_interval])",
                "reconnects {{instance}}",
            ),
            help="blocked: RabbitMQ has asked to wait, as its memory or disk is full",
        ),
        panel(
            "Messages",
            "ops",
            (rate("gateway_broker_published_total", "", of), "published"),
            (rate("gateway_broker_confirmed_total", "", of), "confirmed"),
            (rate("gateway_broker_republished_total", "", of), "published again"),
            (rate("gateway_broker_nacked_total", "", of), "refused"),
        ),
        panel(
            "Bytes published",
            "Bps",
            (rate("gateway_broker_published_bytes_total", "instance", of), "{{instance}}"),
        ),
        panel("Until confirmed", "s", *quantiles("gateway_broker_confirm_seconds", of)),
        panel(
            "Window in use",
            "percentunit",
            (
                f"gateway_broker_window_used_bytes{{{of}}} / gateway_broker_window_bytes{{{of}}}",
                "{{instance}}",
            ),
            help="At 100 % nothing more is read until RabbitMQ confirms",
        ),
        panel(
            "Never arrived, or not as it was",
            "short",
            (
                f"increase(gateway_broker_events_dropped_total{{{of}}}[$__rate_interval])",
                "dropped: {{reason}}",
            ),
            (f"increase(gateway_broker_oversized_total{{{of}}}[$__rate_interval])", "too large"),
            (
                f"increase(gateway_broker_replies_unclaimed_total{{{of}}}[$__rate_interval])",
                "replies nobody took",
            ),
        ),
        panel(
            "Events",
            "ops",
            (rate("gateway_broker_events_total", "", of), "given"),
            (rate("gateway_broker_events_confirmed_total", "", of), "confirmed"),
            (rate("gateway_broker_events_found_total", "", of), "found in the spool"),
        ),
        panel(
            "Events that wait",
            "short",
            (f"sum(gateway_broker_events_waiting{{{of}}})", "in memory"),
            (f"sum(gateway_broker_events_spooled{{{of}}})", "on disk"),
        ),
    ]
    if spool:
        rows += [
            panel(
                "Spool in use",
                "percentunit",
                (
                    f"gateway_broker_spool_used_bytes{{{of}}} / gateway_broker_spool_bytes{{{of}}}",
                    "{{instance}}",
                ),
            ),
            panel(
                "Spool",
                "short",
                (f"gateway_broker_spool_up{{{of}}}", "takes events {{instance}}"),
                (
                    f"increase(gateway_broker_spool_failures_total{{{of}}}[$__rate_interval])",
                    "failures {{instance}}",
                ),
            ),
        ]
    return ("RabbitMQ", rows)


def interactions(service):
    """What lib/interactions says: gateway_http_… and gateway_callback_… are alike."""
    of = f"gateway_{service}_"
    return [
        panel(
            "Interactions",
            "ops",
            (rate(of + "interactions_total", "answer", APPLICATION), "{{answer}}"),
        ),
        panel("By kind", "ops", (rate(of + "interactions_total", "kind", APPLICATION), "{{kind}}")),
        panel("Until answered", "s", *quantiles(of + "answer_seconds", APPLICATION)),
        panel("Replies of workers", "ops", (rate(of + "replies_total", "outcome"), "{{outcome}}")),
        panel("Not carried out", "ops", (rate(of + "failures_total", "code"), "{{code}}")),
        panel(
            "In hand",
            "short",
            (f"sum({of}remembered)", "remembered"),
            (f"sum({of}owing)", "users who wait"),
        ),
    ]


def requests(job):
    """What lib/outbound says, in gateway-api and gateway-webhook alike."""
    of = f'job="{job}"'
    both = f"{APPLICATION},{of}"
    return (
        "Requests to Discord",
        [
            panel(
                "Answers", "ops", (rate("gateway_api_requests_total", "status", both), "{{status}}")
            ),
            panel(
                "Busiest operations",
                "ops",
                (
                    f"topk(10, {rate('gateway_api_requests_total', 'operation', both)})",
                    "{{operation}}",
                ),
            ),
            panel(
                "Without an answer",
                "ops",
                (rate("gateway_api_failures_total", "code", both), "{{code}}"),
            ),
            panel("429s", "ops", (rate("gateway_api_limited_total", "scope", both), "{{scope}}")),
            panel(
                "Sent again",
                "ops",
                (rate("gateway_api_retries_total", "application", both), "{{application}}"),
            ),
            panel("Waiting for their turn", "s", *quantiles("gateway_api_queue_seconds", both)),
            panel("Discord's time", "s", *quantiles("gateway_api_discord_seconds", both)),
            panel(
                "In hand",
                "short",
                (f"sum(gateway_api_waiting{{{both}}})", "waiting"),
                (f"sum(gateway_api_in_flight{{{both}}})", "sent"),
                (f"sum(gateway_api_buckets{{{both}}})", "buckets"),
            ),
            panel("Bodies in hand", "bytes", (f"gateway_api_bytes{{{of}}}", "{{instance}}")),
            panel(
                "Invalid requests in ten minutes",
                "short",
                (f"max(gateway_api_invalid_requests{{{of}}})", "401, 403 and 429"),
                help="At 10,000 Discord bans the address",
            ),
            panel(
                "How near a ban is",
                "short",
                (f"max(gateway_api_invalid_level{{{of}}})", "level"),
                (f"max(gateway_api_banned{{{of}}})", "banned"),
                help="0 quiet, 1 warned, 2 slowed, 3 stopped",
            ),
            panel(
                "Sharing limits",
                "short",
                (
                    f"min by (application) (gateway_api_store_up{{{both}}})",
                    "Redis there {{application}}",
                ),
                (
                    f"max by (application) (gateway_api_replicas{{{both}}})",
                    "replicas {{application}}",
                ),
                (
                    f"max by (application) (gateway_api_token_refused{{{both}}})",
                    "token refused {{application}}",
                ),
            ),
        ],
    )


def of(metric, labels=APPLICATION):
    return f"{metric}{{{labels}}}"
