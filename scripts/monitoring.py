"""Looks whether alerts, dashboards and docs/operations.md speak of what there is.

usage: monitoring.py PROMTOOL [URL]

The metrics are those in the tables of the services' READMEs, which tests compare with the code; log lines are taken
from the code itself. Prometheus' own promtool reads each expression, and runs the tests of the alerts. With the URL of a
Prometheus that scrapes the services, each expression is evaluated there, too, and panels without a series are named: those
about what goes wrong are empty until it does.
"""

import json
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
OPERATIONS = ROOT / "docs" / "operations.md"

# What every process of ours has besides, and what Prometheus and RabbitMQ (3.10 and 4) say of themselves.
PROCESS = {
    "gateway_build_info": {"service", "version"},
    "gateway_trace_spans_total": {"outcome"},
    "process_cpu_seconds_total": set(),
    "process_open_fds": set(),
    "process_resident_memory_bytes": set(),
    "process_start_time_seconds": set(),
}
OTHERS = {
    "ALERTS": {"alertname", "alertstate"},
    "rabbitmq_alarms_file_descriptor_limit": set(),
    "rabbitmq_alarms_free_disk_space_watermark": set(),
    "rabbitmq_alarms_memory_used_watermark": set(),
    "rabbitmq_detailed_queue_consumers": {"queue", "vhost"},
    "rabbitmq_detailed_queue_messages_ready": {"queue", "vhost"},
    "rabbitmq_detailed_queue_messages_unacked": {"queue", "vhost"},
    "rabbitmq_disk_space_available_bytes": set(),
    "rabbitmq_disk_space_available_limit_bytes": set(),
    "rabbitmq_global_messages_received_total": {"protocol"},
    "rabbitmq_global_messages_routed_total": {"protocol"},
    "rabbitmq_global_messages_unroutable_dropped_total": {"protocol"},
    "up": set(),
}
# Those that Prometheus puts to each series.
TARGET = {"instance", "job"}

# The macro and what stands between its parentheses, which may hold strings and parentheses in two storeys.
LOG_CALL = re.compile(
    r"""\b(?:warn|error)!\(((?:[^()"]|"(?:[^"\\]|\\.)*"|\((?:[^()]|\((?:[^()]|\(\))*\))*\))*)\)""",
    re.DOTALL,
)

mistakes = []


def wrong(text):
    mistakes.append(text)


def documented(readme):
    """The metrics in a README's table, with their labels."""
    metrics = {}
    for line in readme.read_text().splitlines():
        if not line.startswith("| `gateway_"):
            continue
        names, meaning = line.strip("| ").split(" | ", 1)
        for name, labels in re.findall(r"`(gateway_\w+)(?:\{([^}]*)\})?`", names):
            labels = set(filter(None, labels.split(",")))
            metrics[name] = labels
            if "histogram" in meaning:
                metrics[f"{name}_bucket"] = labels | {"le"}
    return metrics


def services():
    return {path.parent.name: documented(path) for path in ROOT.glob("gateway/*/README.md")}


def named(expression):
    """The metrics that an expression names, and the labels that it chooses them by."""
    bare = re.sub(r"\b(by|on|without|ignoring|group_left)\s*\([^)]*\)", "", expression)
    for name, labels in re.findall(r"([a-zA-Z_][\w:]*)\s*(?:\{([^}]*)\})?", without_strings(bare)):
        if re.match(r"(gateway|process|rabbitmq|shard)[_:]", name) or name in OTHERS:
            yield name, set(re.findall(r"(\w+)\s*[=!]", labels))


def without_strings(expression):
    return re.sub(r'"[^"]*"', '""', expression)


def look_at(where, expression, known):
    for name, labels in named(expression):
        if name not in known:
            wrong(f"{where}: there is no metric {name}")
        elif odd := labels - known[name] - TARGET:
            wrong(f"{where}: {name} has no label {', '.join(sorted(odd))}")


def run(*command, folder=PROMETHEUS):
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        wrong(f"{' '.join(map(str, command))}:\n{result.stdout}{result.stderr}")


def check_alerts(promtool, known, operations):
    run(promtool, "check", "config", "prometheus.yml")
    run(promtool, "test", "rules", "alerts_test.yml")
    tested = (PROMETHEUS / "alerts_test.yml").read_text()
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert", rule.get("record"))
            look_at(f"the rule {name}", rule["expr"], known)
            if "alert" not in rule:
                continue
            if rule["labels"]["severity"] not in ("critical", "warning", "info"):
                wrong(f"{name}: its severity is none")
            if rule["annotations"].get("runbook") != f"docs/operations.md#{name.lower()}":
                wrong(f"{name}: its runbook is to be docs/operations.md#{name.lower()}")
            if f"\n### {name}\n" not in operations:
                wrong(f"{name}: docs/operations.md has no section of this name")
            if f"{{ labels: '{{alertname=\"{name}\"}}'" not in tested:
                wrong(f"{name}: no test in alerts_test.yml wants it to fire")


def records():
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return {rule["record"]: {"application"} for rule in rules if "record" in rule}


def check_dashboards(promtool, known, of_services):
    sys.path.insert(0, str(GRAFANA))
    import dashboards

    files = {path.stem for path in dashboards.FOLDER.glob("*.json")}
    for name in sorted(files ^ dashboards.DASHBOARDS.keys()):
        wrong(f"deploy/grafana/dashboards/{name}.json is one too many, or missing")
    rules = []
    for name in sorted(files & dashboards.DASHBOARDS.keys()):
        written = (dashboards.FOLDER / f"{name}.json").read_text()
        if written != dashboards.text(name):
            wrong(f"dashboards/{name}.json is not what dashboards.py writes: run it")
        shown = set()
        for panel in json.loads(written)["panels"]:
            for target in panel.get("targets", ()):
                expression = target["expr"]
                look_at(f"the panel {panel['title']} of {name}", expression, known)
                shown |= {metric.removesuffix("_bucket") for metric, _ in named(expression)}
                plain = expression.replace("$__rate_interval", "5m").replace("$application", ".*")
                rules.append(
                    {"record": "panel:series", "expr": plain, "labels": {"n": str(len(rules))}}
                )
        wanted = {metric.removesuffix("_bucket") for metric in of_services.get(name[8:], {})}
        for metric in sorted(wanted - shown):
            wrong(f"the dashboard {name} does not show {metric}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "panels.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
        run(promtool, "check", "rules", "--lint=none", file)


def log_lines():
    """The warnings and errors in the code of services, by where they are written."""
    for path in sorted(ROOT.glob("[lg]*/*/src/**/*.rs")):
        place = path.relative_to(ROOT)
        if place.parts[1].startswith("sim") or "tests" in (path.stem, *place.parts):
            continue
        for call in LOG_CALL.finditer(path.read_text()):
            strings = re.findall(r'"((?:[^"\\]|\\.)*)"', call[1], re.DOTALL)
            line = re.sub(r"\\\n\s*", "", strings[-1]) if strings else ""
            if line and not line.startswith("{"):
                yield place, line


def check_operations(operations, of_services):
    for service, metrics in of_services.items():
        for metric in metrics:
            if not metric.endswith("_bucket") and f"`{metric}`" not in operations:
                wrong(f"docs/operations.md does not have {metric} of gateway-{service}")
    for metric in PROCESS:
        if f"`{metric}`" not in operations:
            wrong(f"docs/operations.md does not have {metric}")
    for path, line in log_lines():
        if f"| `{line}` |" not in operations:
            wrong(f"docs/operations.md does not have this line of {path}: {line}")
    anchors = {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", operations, re.MULTILINE)
    }
    for link in re.findall(r"\]\(#([^)]+)\)", operations):
        if link not in anchors:
            wrong(f"docs/operations.md has no section for its link #{link}")


def evaluated(url, expression):
    """The series that a Prometheus has for an expression now; none if it does not like it."""
    plain = expression.replace("$__rate_interval", "5m").replace("$application", ".*")
    query = urllib.parse.urlencode({"query": plain})
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}") as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        wrong(f"{url} does not evaluate {plain}: {error.read().decode()}")
        return []


def check_live(url):
    asked, empty = 0, 0
    for file in sorted((GRAFANA / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                asked += 1
                if not evaluated(url, target["expr"]):
                    empty += 1
                    print(f"{file.stem}, {panel['title']}: no series for {target['expr']}")
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            evaluated(url, rule["expr"])
    print(f"{asked} expressions on dashboards, {empty} without a series")


def main(promtool, url=None):
    of_services = services()
    operations = OPERATIONS.read_text()
    known = {**PROCESS, **OTHERS, **records()}
    for metrics in of_services.values():
        for name, labels in metrics.items():
            known[name] = known.get(name, set()) | labels
    check_alerts(promtool, known, operations)
    check_dashboards(promtool, known, of_services)
    check_operations(operations, of_services)
    if url:
        check_live(url)
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return len(mistakes) > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
