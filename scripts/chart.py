"""Looks whether the chart in deploy/kubernetes is right: `helm lint`, the values' schema, and what it makes of some values.

Helm is Helm's own code (helm-python-sdk); each object is read by models that are made of the schemas of Kubernetes, KEDA and
the Prometheus operator (cloudcoil), which refuse what does not fit, and forget what they do not know: so what is forgotten is a mistake.

It also takes each line out of what was made, one after the other, and sees whether it would have noticed.
"""

import copy
import importlib
import json
import re
import sys
from pathlib import Path

import helm_python as helm
import yaml

ROOT = Path(__file__).parent.parent
CHART = ROOT / "deploy" / "kubernetes"
SERVICES = ["api", "http", "voice", "webhook", "ws"]
KUBERNETES = "cloudcoil.models.kubernetes"
MODELS = {
    "apps/v1": f"{KUBERNETES}.apps.v1",
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
    "networking.k8s.io/v1": f"{KUBERNETES}.networking.v1",
    "policy/v1": f"{KUBERNETES}.policy.v1",
    "v1": f"{KUBERNETES}.core.v1",
}
HTTP_SECRET = ["AMQP_URL", "DISCORD_TOKEN", "HTTP_SECRET", "REDIS_URL"]
SCALED = {"autoscaling": {"enabled": True}}
# What every pod has, and every container.
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "fsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
LIVENESS = {
    "httpGet": {"path": "/healthz", "port": "admin"},
    "periodSeconds": 10,
    "timeoutSeconds": 5,
    "failureThreshold": 6,
}
READINESS = {
    "httpGet": {"path": "/readyz", "port": "admin"},
    "periodSeconds": 5,
    "timeoutSeconds": 5,
}
# Of what is nobody's outside of a network.
PRIVATE = {"10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"}
# What may be missing, or is only recommended.
HARMLESS = re.compile(
    r"metadata|minReadySeconds|imagePull|topologySpread|requests|ingressClassName|pathType|clusterIP"
    r"|env[.][0-9]+$|containers[.]0[.]name|interval|rules[.]0[.]host$|metricType|(?<!egress[.]0[.]ports[.]0[.])protocol"
)
# All that there is.
ALL = {
    "config": {"AMQP_PREFIX": "bot", "LOG_FORMAT": "json"},
    "gatewayToml": 'discord_intents = ["GUILDS"]\n\n[[applications]]\ntoken_file = "/run/secrets/gateway/MUSIC"\n',
    "image": {
        "prefix": "registry.example/discord-gateway/",
        "tag": "1.2.3",
        "pullSecrets": [{"name": "pull"}],
    },
    "ws": {**SCALED, "config": {"WS_LEASE_TTL": "15s"}},
    "api": {**SCALED, "listener": True, "secret": {"keys": HTTP_SECRET}},
    "http": {**SCALED, "enabled": True},
    "voice": {**SCALED, "enabled": True},
    "webhook": {**SCALED, "enabled": True, "listener": True},
    "ingress": {"enabled": True, "host": "bot.example", "className": "nginx", "tlsSecret": "tls"},
    "networkPolicy": {
        "rabbitmq": {"to": [{"podSelector": {"matchLabels": {"app": "rabbitmq"}}}]},
        "callers": {"from": [{"namespaceSelector": {}}]},
    },
    "monitoring": {
        "serviceMonitor": True,
        "prometheusRule": True,
        "dashboards": True,
        "labels": {"release": "prometheus"},
    },
}
# What is refused, and by what word.
REFUSED = [
    ({"replicas": 3}, "replicas"),
    ({"ws": {"replicas": 0}}, "replicas"),
    ({"ws": {"shards": 3}}, "shards"),
    ({"ws": {"secret": {"keys": ["AMQP_URL", "DISCORD_TOKEN"]}}}, "REDIS_URL"),
    ({"api": {"listener": True}}, "HTTP_SECRET"),
    ({"http": {"enabled": True, "secret": {"keys": ["AMQP_URL", "DISCORD_TOKEN"]}}}, "bot token"),
    ({"config": {"DISCORD_TOKEN": "abc"}}, "DISCORD_TOKEN"),
    ({"config": {"log": "debug"}}, "log"),
    ({"ingress": {"enabled": True}}, "ingress.host"),
]

mistakes = []


def expect(holds, text):
    if not holds:
        mistakes.append(text)


def render(chart, values):
    """The objects by kind and name."""
    objects = {}
    for text in chart.render(values, name="discord", namespace="bots").values():
        for each in yaml.safe_load_all(text):
            if each:
                key = (each["kind"], each["metadata"]["name"])
                expect(key not in objects, f"{key} is there twice")
                objects[key] = each
    return objects


def check_schema(key, each):
    """Is it what Kubernetes, or the operator in question, takes?"""
    module = importlib.import_module(MODELS[each["apiVersion"]])
    try:
        model = getattr(module, each["kind"]).model_validate(each)
    except ValueError as error:
        mistakes.append(f"{key}: {error}")
        return
    read = model.model_dump(by_alias=True, exclude_unset=True, mode="json")
    for path in sorted(forgotten(each, read)):
        mistakes.append(f"{key}: there is no field {path}")


def forgotten(written, read, path=""):
    if isinstance(written, dict) and isinstance(read, dict):
        for name, value in written.items():
            here = f"{path}.{name}".lstrip(".")
            if name not in read:
                yield here
            else:
                yield from forgotten(value, read[name], here)
    elif isinstance(written, list) and isinstance(read, list):
        for place, (left, right) in enumerate(zip(written, read, strict=False)):
            yield from forgotten(left, right, f"{path}[{place}]")


def documented(name):
    """The keys in the table of a service's README."""
    readme = ROOT / ("README.md" if name == "ws" else f"gateway/{name}/README.md")
    rows = (line.split(" | ")[0] for line in readme.read_text().splitlines())
    return {
        key for row in rows if row.startswith("| `") for key in re.findall(r"`([A-Z_0-9]+)`", row)
    }


def check_deployment(name, deployment, values):
    it = values[name]
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    said = f"the Deployment of {name}"
    expect(("replicas" in spec) != it["autoscaling"]["enabled"], f"{said}: who says how many?")
    expect(pod["automountServiceAccountToken"] is False, f"{said} has Kubernetes' token")
    expect(pod["enableServiceLinks"] is False, f"{said} has variables of all Services")
    expect(pod["securityContext"] == POD_SECURITY, f"{said} is not hardened")
    expect(container["securityContext"] == SECURITY, f"{said} has a container that is not")
    expect("memory" in container["resources"]["limits"], f"{said} has no limit of memory")
    update = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    expect(spec["strategy"] == update, f"{said} has fewer replicas during an update")
    environment = {each["name"]: each["value"] for each in container["env"]}
    odd = environment.keys() - documented(name) - set(values["config"])
    expect(not odd, f"{said} has keys that the service does not: {odd}")
    image = f"{values['image']['prefix']}{name}:{values['image']['tag'] or '0.1.0'}"
    expect(container["image"] == image, f"{said} has the image {container['image']}")
    listens = bool(it.get("listener"))
    expect(("HTTP_ADDRESS" in environment) == listens, f"{said}: is there a listener?")
    waits = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    expect((waits > 0) == listens, f"{said} ends its listener before others have heard of it")
    grace = int(environment["SHUTDOWN_GRACE"].removesuffix("s"))
    expect(
        pod["terminationGracePeriodSeconds"] >= waits + grace + 5, f"{said} is killed while it ends"
    )
    expect(container["livenessProbe"] == LIVENESS, f"{said}: liveness")
    expect(container["readinessProbe"] == READINESS, f"{said}: readiness")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    expect(ports == {"admin": 9090} | ({"http": 8080} if listens else {}), f"{said}: {ports}")
    check_files(said, pod, values, it)
    if name in ("http", "voice", "webhook"):
        expect("DISCORD_TOKEN_FILE" not in environment, f"{said} has the bot token")


def check_files(said, pod, values, it):
    """What a pod reads, and may not write."""
    (container,) = pod["containers"]
    wanted = {"secrets": "/run/secrets/gateway"}
    if values["gatewayToml"]:
        wanted["config"] = "/etc/gateway"
    said_file = ["--config", "/etc/gateway/gateway.toml"] if values["gatewayToml"] else None
    expect(container.get("args") == said_file, f"{said} reads another file")
    mounts = container["volumeMounts"]
    found = {mount["name"]: mount["mountPath"] for mount in mounts}
    expect(found == wanted, f"{said} has the mounts {found}")
    expect(all(mount.get("readOnly") for mount in mounts), f"{said} may write what it reads")
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    expect(volumes.keys() == wanted.keys(), f"{said} has the volumes {volumes.keys()}")
    secret = {"secretName": it["secret"]["name"], "defaultMode": 0o440}
    expect(volumes["secrets"]["secret"] == secret, f"{said}: all may read its secrets")
    if "config" in wanted:
        config = {"name": "discord-config"}
        expect(volumes["config"]["configMap"] == config, f"{said} has another configuration")


def check_selectors(name, objects):
    """Whatever is for a service finds its pods, and no other's."""
    labels = objects["Deployment", f"discord-{name}"]["spec"]["template"]["metadata"]["labels"]
    for kind, path in [
        ("Deployment", ["selector", "matchLabels"]),
        ("NetworkPolicy", ["podSelector", "matchLabels"]),
        ("PodDisruptionBudget", ["selector", "matchLabels"]),
        ("Service", ["selector"]),
    ]:
        selector = objects[kind, f"discord-{name}"]["spec"]
        for part in path:
            selector = selector[part]
        expect(selector.items() <= labels.items(), f"the {kind} of {name} finds no pods")
        one = {
            "app.kubernetes.io/name": f"gateway-{name}",
            "app.kubernetes.io/instance": "discord",
        }
        expect(selector == one, f"the {kind} of {name} finds others' pods")
    budget = objects["PodDisruptionBudget", f"discord-{name}"]["spec"]
    expect(budget["maxUnavailable"] == 1, f"several pods of {name} go at once")


def check_service(name, service, values):
    ports = {port["name"]: (port["port"], port["targetPort"]) for port in service["spec"]["ports"]}
    wanted = {"admin": (9090, "admin")}
    if values[name].get("listener"):
        wanted["http"] = (80, "http")
    expect(ports == wanted, f"the Service of {name} has the ports {ports}")


def check_policy(name, policy, values):
    spec, given = policy["spec"], values["networkPolicy"]
    said = f"the NetworkPolicy of {name}"
    expect(spec["policyTypes"] == ["Ingress", "Egress"], f"{said} is for one way only")
    outside = [rule for rule in spec["egress"] if "ipBlock" in rule.get("to", [{}])[0]]
    expect(len(outside) == (name != "http"), f"{said}: the way to Discord")
    for rule in outside:
        block = rule["to"][0]["ipBlock"]
        expect(block["cidr"] == given["discord"]["cidr"], f"{said}: where Discord is")
        expect(set(block["except"]) >= PRIVATE, f"{name} reaches the private network")
        open_to = {port["port"] for port in rule.get("ports", ())}
        expect(
            open_to == (set() if name == "voice" else {443}), f"{name} reaches the ports {open_to}"
        )
    others = ["rabbitmq", "collector"] + (["redis"] if name != "http" else [])
    wanted = [([53, 53], [])] + [(given[each]["ports"], given[each]["to"]) for each in others]
    found = [
        ([port["port"] for port in rule["ports"]], rule.get("to", []))
        for rule in spec["egress"]
        if rule not in outside
    ]
    expect(found == wanted, f"{said}: whom it reaches: {found}")
    names = [port.get("protocol") for port in spec["egress"][0]["ports"]]
    expect(names == ["UDP", "TCP"], f"{said}: how it asks for names: {names}")
    came = [(rule["ports"][0]["port"], rule.get("from", [])) for rule in spec["ingress"]]
    wanted = [("admin", given["monitoring"]["from"])]
    if values[name].get("listener"):
        wanted.append(("http", given["callers"]["from"]))
    expect(came == wanted, f"{said}: who may come: {came}")


def check_services(objects, values, names=SERVICES):
    for name in names:
        is_there = ("Deployment", f"discord-{name}") in objects
        expect(is_there == values[name]["enabled"], f"is {name} there?")
        if not is_there:
            continue
        check_deployment(name, objects["Deployment", f"discord-{name}"], values)
        check_selectors(name, objects)
        check_service(name, objects["Service", f"discord-{name}"], values)
        check_policy(name, objects["NetworkPolicy", f"discord-{name}"], values)


def check_scaling(name, scaled, values):
    it = values[name]["autoscaling"]
    bounds = (scaled["minReplicaCount"], scaled["maxReplicaCount"])
    expect(bounds == (it["min"], it["max"]), f"{name} is scaled to {bounds}")
    down = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    slow = {
        "stabilizationWindowSeconds": 300,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
    }
    expect(down == slow, f"several replicas of {name} go at once")
    for trigger in scaled["triggers"]:
        asks = trigger["type"] == "prometheus"
        wanted = {"serverAddress", "query", "threshold"} if asks else {"value"}
        expect(trigger["metadata"].keys() == wanted, f"{name} is scaled by {trigger}")


def check_all(objects, values):
    """What only some values make."""
    for name, triggers in [
        ("ws", ["cpu", "gateway_ws_leases"]),
        (
            "api",
            ["cpu", 'rabbitmq_detailed_queue_messages_ready{queue=~"bot[.]requests[.]api[.].*"}'],
        ),
        ("http", ["cpu"]),
        ("voice", ["cpu", "gateway_voice_calls"]),
        ("webhook", ["cpu", "bot[.]requests[.]webhook[.]"]),
    ]:
        scaled = objects["ScaledObject", f"discord-{name}"]["spec"]
        expect(scaled["scaleTargetRef"]["name"] == f"discord-{name}", f"{name} scales another")
        check_scaling(name, scaled, values)
        text = [json.dumps(each).replace('\\"', '"') for each in scaled["triggers"]]
        expect(len(text) == len(triggers), f"{name} has other triggers")
        for has, wants in zip(text, triggers, strict=False):
            expect(wants in has, f"{name} is not scaled by {wants}: {has}")
    monitor = objects["ServiceMonitor", "discord"]["spec"]
    for name in SERVICES:
        labels = objects["Service", f"discord-{name}"]["metadata"]["labels"]
        found = monitor["selector"]["matchLabels"].items() <= labels.items()
        expect(found, f"Prometheus does not find {name}")
        expect(
            labels[monitor["jobLabel"]] == f"gateway-{name}", f"the job of {name} has another name"
        )
    one = {"app.kubernetes.io/part-of": "discord-gateway", "app.kubernetes.io/instance": "discord"}
    expect(monitor["selector"]["matchLabels"] == one, "Prometheus finds others' Services")
    (endpoint,) = monitor["endpoints"]
    where = (endpoint["port"], endpoint["path"])
    expect(where == ("admin", "/metrics"), f"Prometheus asks at {where}")
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    expect(objects["PrometheusRule", "discord"]["spec"] == alerts, "the alerts are others")
    shown = objects["ConfigMap", "discord-dashboards"]["data"]
    files = (ROOT / "deploy/grafana/dashboards").glob("*.json")
    expect(shown == {each.name: each.read_text() for each in files}, "the dashboards are others")
    toml = objects["ConfigMap", "discord-config"]["data"]["gateway.toml"]
    expect(toml.strip() == ALL["gatewayToml"].strip(), "gateway.toml is another")
    ingress = objects["Ingress", "discord"]["spec"]
    secure = [{"hosts": ["bot.example"], "secretName": "tls"}]
    expect(ingress["tls"] == secure, f"the Ingress is without TLS: {ingress['tls']}")
    (rule,) = ingress["rules"]
    to = [each["backend"]["service"]["port"] for each in rule["http"]["paths"]]
    expect(to == [{"name": "http"}] * 2, f"the Ingress leads to the ports {to}")
    ways = {each["path"]: each["backend"]["service"]["name"] for each in rule["http"]["paths"]}
    expect(ways == {"/interactions": "discord-http", "/events": "discord-webhook"}, f"ways: {ways}")


def lines(value, path=()):
    """All that could be left out."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield (*path, key)
            yield from lines(inner, (*path, key))


def is_noticed(objects, key, line, values):
    """Whether somebody misses it. What was found before is not forgotten."""
    weak = {**objects, key: copy.deepcopy(objects[key])}
    inner = weak[key]
    for part in line[:-1]:
        inner = inner[part]
    del inner[line[-1]]
    before = len(mistakes)
    try:
        check_services(weak, values, [name for name in SERVICES if key[1] == f"discord-{name}"])
        if key[0] not in ("Deployment", "NetworkPolicy", "PodDisruptionBudget"):
            check_all(weak, values)
        return len(mistakes) > before
    except (KeyError, ValueError, IndexError):
        return True
    finally:
        del mistakes[before:]


def check_each_line(objects, values):
    """Nothing can be left out without anybody's noticing."""
    for key, each in objects.items():
        if "spec" not in each or key[0] == "PrometheusRule":
            continue
        for line in lines(each["spec"], ("spec",)):
            text = ".".join(map(str, line))
            if not HARMLESS.search(text) and not is_noticed(objects, key, line, values):
                mistakes.append(f"{key}: nobody misses {text}")


def main():
    linted = helm.lint(CHART)
    for message in linted["messages"]:
        # An icon is no more than recommended.
        expect(message["severity"] < 2, f"helm lint: {message['path']}: {message['error']}")
    expect(not linted["errors"], f"helm lint: {linted['errors']}")
    with helm.Chart.load(CHART) as chart:
        for given in ({}, ALL):
            chart.validate_schema(given)
            objects = render(chart, copy.deepcopy(given))
            for key, each in objects.items():
                check_schema(key, each)
            check_services(objects, chart.merge_values(given))
        values = chart.merge_values(ALL)
        check_all(objects, values)
        check_each_line(objects, values)
        for values, word in REFUSED:
            try:
                chart.validate_schema(values)
                chart.render(values, name="discord", namespace="bots")
            except helm.HelmError as error:
                expect(word in str(error), f"{values} is refused without the word {word}: {error}")
            else:
                expect(False, f"{values} is not refused")
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return len(mistakes) > 0


if __name__ == "__main__":
    sys.exit(main())
