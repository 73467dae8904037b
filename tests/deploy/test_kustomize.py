"""Base, components and overlays render, fit strict schemas, and agree with the settings."""

import copy
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from stream_vae.cli import build_app
from stream_vae.settings import Settings
from tests.deploy.manifests import (
    KUSTOMIZE,
    Document,
    containers,
    dangling,
    kustomized,
    mounts_of,
    only,
    overlaid,
    pod_template,
    pods,
    secrets_of,
    security_faults,
    settings_of,
    topped,
    values_of,
)
from tests.deploy.strict_schemas import NEWEST, OLDEST, check
from tests.prometheus_rule import MONITORING, RULE, written

# On one worker: renderings and schemas are kept.
pytestmark = pytest.mark.xdist_group("deploy")

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

RENDERINGS = {
    "base": ("base",),
    "dev": ("overlays/dev",),
    "prod": ("overlays/prod",),
    "bundle-image": ("base", "bundle-image"),
    "shared": ("base", "bundle-shared-claim", "training", "strimzi"),
    "forward": (
        "base", "bundle-image", "strimzi", "network-policy", "page", "forward", "forward-strimzi",
    ),
    "all": (
        "base", "bundle-store", "training", "training-store", "gpu", "keda", "strimzi",
        "keda-strimzi", "scores-strimzi", "network-policy", "page",
    ),
}  # fmt: skip


@pytest.fixture(params=sorted(RENDERINGS))
def documents(request: pytest.FixtureRequest) -> tuple[Document, ...]:
    return kustomized(*RENDERINGS[request.param])


@pytest.fixture
def base() -> tuple[Document, ...]:
    return kustomized("base")


@pytest.fixture
def everything() -> tuple[Document, ...]:
    return kustomized(*RENDERINGS["all"])


def daemon(documents: Sequence[Document]) -> Document:
    spec: Document = only(documents, "StatefulSet")["spec"]["template"]["spec"]
    return spec


def container(documents: Sequence[Document]) -> Document:
    (found,) = daemon(documents)["containers"]
    assert isinstance(found, dict)
    return found


def settings(documents: Sequence[Document]) -> Settings:
    return settings_of(daemon(documents), documents)


def test_every_component_is_in_one_of_the_renderings() -> None:
    rendered = {component for _, *components in RENDERINGS.values() for component in components}
    assert rendered == {path.name for path in (KUSTOMIZE / "components").iterdir()}


def test_every_document_fits_its_strict_schema(documents: Sequence[Document]) -> None:
    for document in documents:
        check(document)


def test_the_base_fits_an_older_release(base: Sequence[Document]) -> None:
    for document in base:
        kubernetes_validate.validate(document, OLDEST, strict=True)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("StatefulSet", ("spec", "replica"), 3),
        ("StatefulSet", ("spec", "replicas"), "3"),
        ("StatefulSet", ("spec", "template", "spec", "containers", 0, "livenesProbe"), {}),
        ("StatefulSet", ("spec", "template", "spec", "topologySpreadConstraints", 0, "skew"), 1),
        ("PodDisruptionBudget", ("spec", "maxUnavailible"), 1),
        ("NetworkPolicy", ("spec", "egress", 0, "port"), 53),
        ("CronJob", ("spec", "jobTemplate", "spec", "template", "spec", "volume"), []),
        ("Job", ("spec", "backoffLimit"), "one"),
        ("ScaledObject", ("spec", "maxReplicas"), 6),
        ("ScaledObject", ("spec", "triggers", 0, "metadata", "lagThreshold"), 10000),
        ("TriggerAuthentication", ("spec", "secretTargetRef", 0, "secret"), "x"),
        ("PodMonitor", ("spec", "podMetricsEndpointz"), []),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "exprs"), "up == 0"),
        ("KafkaTopic", ("spec", "partition"), 6),
        ("KafkaUser", ("spec", "authorization", "acls", 0, "operation"), "Read"),
        ("KafkaUser", ("spec", "authorization", "acls", 0, "operations"), ["read"]),
    ],
)
def test_a_fault_would_be_noticed(
    kind: str, path: tuple[str | int, ...], value: object, everything: Sequence[Document]
) -> None:
    """Control for the schemas."""
    all_of_them = (*everything, *kustomized("overlays/prod"))
    found = next(document for document in all_of_them if document["kind"] == kind)
    document = copy.deepcopy(found)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises((kubernetes_validate.ValidationError, jsonschema.ValidationError)):
        check(document, NEWEST)


def test_every_pod_passes_the_restricted_standard(documents: Sequence[Document]) -> None:
    for spec in pods(documents):
        assert security_faults(spec) == set()
        assert spec["automountServiceAccountToken"] is False
        assert all(each["securityContext"]["readOnlyRootFilesystem"] for each in containers(spec))


@pytest.mark.parametrize(
    ("level", "key", "value", "fault"),
    [
        ("container", "privileged", True, "privileged"),
        ("container", "allowPrivilegeEscalation", True, "allowPrivilegeEscalation"),
        ("container", "capabilities", {"drop": ["ALL"], "add": ["NET_ADMIN"]}, "capabilities"),
        ("pod", "runAsNonRoot", False, "runAsNonRoot"),
        ("pod", "runAsUser", 0, "runAsNonRoot"),
        ("pod", "seccompProfile", {"type": "Unconfined"}, "seccompProfile"),
    ],
)
def test_a_careless_pod_would_be_refused(
    level: str, key: str, value: object, fault: str, base: Sequence[Document]
) -> None:
    """Control for the standard."""
    spec = copy.deepcopy(daemon(base))
    owner = spec["containers"][0] if level == "container" else spec
    owner["securityContext"][key] = value
    assert security_faults(spec) == {fault}


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_an_overlay_has_a_namespace_that_enforces_the_standard(overlay: str) -> None:
    documents = kustomized(f"overlays/{overlay}")
    namespace = only(documents, "Namespace")["metadata"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for document in documents:
        if document["kind"] != "Namespace":
            assert document["metadata"]["namespace"] == namespace["name"]


def test_what_pods_name_is_there(documents: Sequence[Document]) -> None:
    assert dangling(documents) == set()


def test_a_name_that_nothing_has_would_be_noticed(base: Sequence[Document]) -> None:
    """Control."""
    without = [each for each in base if each["kind"] != "PersistentVolumeClaim"]
    assert dangling(without) == {"PersistentVolumeClaim stream-vae-bundle"}


def test_the_mounted_configuration_can_be_used(documents: Sequence[Document]) -> None:
    for spec in pods(documents):
        found = settings_of(spec, documents)
        assert found.kafka.bootstrap_servers != "localhost:9092"
        assert Path("/bundle") in found.bundle.path.parents


def test_commands_are_those_of_the_program(documents: Sequence[Document]) -> None:
    """What is there may be `train --config … --bundle …`; the image's own command is elsewhere."""
    for spec in pods(documents):
        for arguments in (each["args"] for each in containers(spec) if "args" in each):
            options = {word for word in arguments if word.startswith("--")}
            assert options <= options_of(*arguments[: 2 if arguments[0] == "model" else 1])


@cache
def options_of(*command: str) -> set[str]:
    result = CliRunner().invoke(build_app(), [*command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    return set(re.findall(r"--[a-z-]+", re.sub(r"\x1b\[[0-9;]*m", "", result.output)))


def test_probes_and_service_reach_the_port_that_is_served(base: Sequence[Document]) -> None:
    http = settings(base).http
    ports = {port["name"]: port["containerPort"] for port in container(base)["ports"]}
    assert http.host == "0.0.0.0"  # noqa: S104 -- the pod's own network, for the cluster's probes
    assert ports == {"metrics": http.port}
    for name, path in (
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ):
        assert container(base)[name]["httpGet"] == {"path": path, "port": "metrics"}
    (service_port,) = only(base, "Service")["spec"]["ports"]
    assert (service_port["port"], service_port["targetPort"]) == (http.port, "metrics")
    annotations = only(base, "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(http.port)


def test_startup_may_take_five_minutes(base: Sequence[Document]) -> None:
    probe = container(base)["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] >= 300


def test_the_cluster_waits_longer_than_the_shutdown_takes(documents: Sequence[Document]) -> None:
    deadline = settings(documents).shutdown_deadline_s
    assert daemon(documents)["terminationGracePeriodSeconds"] > deadline


def test_the_memory_limit_holds_libraries_and_state(documents: Sequence[Document]) -> None:
    limit = container(documents)["resources"]["limits"]["memory"]
    unit = {"Gi": 1024.0, "Mi": 1.0}[limit[-2:]]
    assert float(limit[:-2]) * unit >= settings(documents).state.memory_budget_mb + 700


@pytest.mark.parametrize("name", ["base", "dev", "prod", "bundle-image", "shared"])
def test_each_pod_has_an_identity_of_its_own(name: str) -> None:
    """Two live daemons with one instance id would fence each other for ever."""
    documents = kustomized(*RENDERINGS[name])
    variables = {each["name"]: each for each in container(documents)["env"]}
    source = variables["STREAM_VAE_KAFKA__INSTANCE_ID"]["valueFrom"]
    assert source == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_pods_that_come_and_go_have_none(everything: Sequence[Document]) -> None:
    """A fixed name would keep the partitions of a pod that is scaled down until it times out."""
    assert "STREAM_VAE_KAFKA__INSTANCE_ID" not in values_of(container(everything))
    assert "replicas" not in only(everything, "StatefulSet")["spec"]
    found = settings(everything)
    (trigger,) = only(everything, "ScaledObject")["spec"]["triggers"]
    said = trigger["metadata"]
    assert said["bootstrapServers"] == found.kafka.bootstrap_servers
    assert said["consumerGroup"] == found.kafka.group_id
    assert said["topic"] == found.input.topic
    assert said["offsetResetPolicy"] == found.kafka.start
    topic = topics(everything)[found.input.topic]
    assert only(everything, "ScaledObject")["spec"]["maxReplicaCount"] == topic["partitions"]


def topics(documents: Sequence[Document]) -> dict[str, Any]:
    found = (each for each in documents if each["kind"] == "KafkaTopic")
    return {each["spec"].get("topicName", each["metadata"]["name"]): each["spec"] for each in found}


@pytest.mark.parametrize("name", ["prod", "all"])
def test_strimzi_makes_the_topics_that_the_daemon_uses(name: str) -> None:
    documents = kustomized(*RENDERINGS[name])
    found, made = settings(documents), topics(documents)
    changelog = f"{found.kafka.group_id}-changelog"
    outputs = {
        found.output.alerts_topic,
        found.output.dead_letter_topic,
        found.output.late_topic,
    }
    if found.output.scores_topic is not None:
        outputs.add(found.output.scores_topic)
    assert set(made) == {found.input.topic, changelog} | outputs
    assert made[changelog]["config"]["cleanup.policy"] == "compact"
    assert made[changelog]["partitions"] == made[found.input.topic]["partitions"]
    assert {made[topic]["config"]["cleanup.policy"] for topic in outputs} == {"delete"}


@pytest.mark.parametrize("name", ["prod", "all"])
def test_the_user_has_the_rights_of_the_readme_and_no_others(name: str) -> None:
    """But for Create: the topics are there."""
    documents = kustomized(*RENDERINGS[name])
    found = settings(documents)
    scores = found.output.scores_topic
    assert (scores is None) == (name == "prod"), "control: one has a topic for them"
    places = {
        "<output.scores_topic>": str(scores),
        "<input.topic>": found.input.topic,
        "<output.alerts_topic>": found.output.alerts_topic,
        "<output.dead_letter_topic>": found.output.dead_letter_topic,
        "<output.late_topic>": found.output.late_topic,
        "<state.topic>": f"{found.kafka.group_id}-changelog",
        "<kafka.group_id>": found.kafka.group_id,
        "<kafka.group_id>.": f"{found.kafka.group_id}.",
    }
    rows = re.findall(
        r"^\| (topic|group|transactional id) `(\S+)`(?:, where set)?(, prefixed)? \| (.+) \|$",
        README,
        re.MULTILINE,
    )
    assert len(rows) == len(places)
    asked = {
        (kind, places[name], "prefix" if prefixed else "literal"): set(words.split(", "))
        - {"Create"}
        for kind, name, prefixed, words in rows
        if name != "<output.scores_topic>" or scores is not None
    }
    of_commands = _of_commands("acls")
    if scores is None:
        del of_commands["topic", "readings-scores", "literal"]
    user = only(documents, "KafkaUser")
    assert _given(user) == asked == of_commands
    assert found.kafka.sasl_username == user["metadata"]["name"]


def _given(user: Document) -> dict[tuple[str, str, str], set[str]]:
    """Return the rights of a Strimzi user."""
    given = {}
    for acl in user["spec"]["authorization"]["acls"]:
        of = acl["resource"]
        kind = of["type"].replace("transactionalId", "transactional id")
        given[kind, of["name"], of["patternType"]] = set(acl["operations"])
    return given


def _of_commands(function: str) -> dict[tuple[str, str, str], set[str]]:
    """Return the rights that the README's commands give."""
    command = rf"^{function} --(topic|group|transactional-id) (\S+) (.+)$"
    rows = re.findall(command, README, re.MULTILINE)
    return {
        (kind.replace("-", " "), name, "prefix" if "prefixed" in rest else "literal"): set(
            re.findall(r"--operation (\w+)", rest)
        )
        for kind, name, rest in rows
    }


def test_a_forwarder_has_a_group_and_rights_of_its_own_and_reaches_its_receiver() -> None:
    documents = kustomized(*RENDERINGS["forward"])
    spec = only(documents, "Deployment")["spec"]["template"]["spec"]
    found = settings_of(spec, documents)
    assert (found.forward.to, found.forward.missing()) == ("alertmanager", [])
    (user,) = (u for u in documents if u["kind"] == "KafkaUser" and "forward" in str(u["metadata"]))
    assert found.kafka.sasl_username == user["metadata"]["name"]
    assert found.forward_group == f"{found.kafka.group_id}-forward-alertmanager"
    of_group = f"{found.kafka.group_id}-forward-"
    assert _given(user) == _of_commands("forward_acls")
    assert _given(user) == {
        ("topic", found.output.alerts_topic, "literal"): {"Read", "DescribeConfigs"},
        ("topic", found.output.dead_letter_topic, "literal"): {"Write", "DescribeConfigs"},
        ("group", of_group, "prefix"): {"Read"},
        ("transactional id", of_group, "prefix"): {"Write"},
    }
    port = int(found.forward.address.rpartition(":")[2])
    reached = {
        each["metadata"]["name"]: _labels_reached(each, documents)
        for each in documents
        if each["kind"] == "NetworkPolicy"
        and port in {p["port"] for rule in each["spec"]["egress"] for p in rule.get("ports", [])}
    }
    assert reached == {"stream-vae-forward": ["forwarder"]}, "its pods, and no others"


def test_components_on_top_of_an_overlay_are_as_in_its_own_list() -> None:
    """With its namespace and images said again; without, pods come to where nothing of it is."""
    added = "page", "forward", "forward-strimzi", "scores-strimzi", "training", "training-store"
    found = topped("prod", *added)
    assert _by_name(found) == _by_name(overlaid("prod", *added))
    assert dangling(found) == set()
    forwarder = only(found, "Deployment")
    assert "@sha256:" in containers(forwarder["spec"]["template"]["spec"])[0]["image"]
    lost = dangling(kustomized("overlays/prod", *added))
    assert lost == {"ConfigMap stream-vae-config", "ServiceAccount stream-vae"}


def _by_name(documents: Sequence[Document]) -> dict[tuple[str, str], Document]:
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


PASSWORD = [{"key": "password", "path": "kafka__sasl_password"}]
"""Of Strimzi's Secret, under the name of the setting."""


def test_pods_find_strimzis_password_beside_what_their_own_secret_holds() -> None:
    for documents, kinds in (
        (
            overlaid("prod", "page", "forward", "forward-strimzi"),
            {"StatefulSet", "Deployment"},
        ),
        (kustomized("base", "training", "strimzi"), {"StatefulSet", "Job", "CronJob"}),
    ):
        assert {each["kind"] for each in documents if pod_template(each) is not None} == kinds
        for spec in pods(documents):
            user = settings_of(spec, documents).kafka.sasl_username
            assert secrets_of(spec) == {
                f"{user}-secrets": {"name": f"{user}-secrets", "optional": True},
                user: {"name": user, "items": PASSWORD},
            }


def _labels_reached(policy: Document, documents: Sequence[Document]) -> list[str]:
    """Return the components of the pods that a policy is for."""
    wanted = policy["spec"]["podSelector"]["matchLabels"].items()
    templates = [found for each in documents if (found := pod_template(each)) is not None]
    labels = [template["metadata"]["labels"] for template in templates]
    return [each["app.kubernetes.io/component"] for each in labels if wanted <= each.items()]


def test_training_reads_the_topic_and_writes_where_the_daemon_looks(
    documents: Sequence[Document],
) -> None:
    for spec in pods(documents):
        for each in containers(spec):
            arguments = each.get("args", ["run"])
            if arguments[0] == "train":
                found = settings_of(spec, documents)
                assert arguments[arguments.index("--from-topic") + 1] == found.input.topic
            if "BUNDLE_TARGET" in values_of(each):
                (daemons,) = (one for one in pods(documents) if "topologySpreadConstraints" in one)
                sources = [
                    values_of(one).get("BUNDLE_URL", str(settings(documents).bundle.path))
                    for one in containers(daemons)
                ]
                assert values_of(each)["BUNDLE_TARGET"] == sources[0]


def test_only_scratch_volumes_are_writable_to_the_daemon(documents: Sequence[Document]) -> None:
    mounts = mounts_of(container(documents)).values()
    writable = [mount["mountPath"] for mount in mounts if not mount.get("readOnly")]
    assert writable == ["/tmp"]  # noqa: S108 -- the pod's, not this machine's


def test_selectors_find_the_daemons_pods_and_no_others(documents: Sequence[Document]) -> None:
    daemons = only(documents, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    templates = [found for each in documents if (found := pod_template(each)) is not None]
    others = [t["metadata"]["labels"] for t in templates if t["metadata"]["labels"] != daemons]
    spread = daemon(documents)["topologySpreadConstraints"]
    selectors = [each["labelSelector"] for each in spread]
    kinds = {"Service", "PodDisruptionBudget", "StatefulSet", "PodMonitor"}
    selectors += [each["spec"]["selector"] for each in documents if each["kind"] in kinds]
    for selector in selectors:
        wanted = selector.get("matchLabels", selector)
        assert wanted.items() <= daemons.items()
        assert not any(wanted.items() <= labels.items() for labels in others)


def test_the_policy_lets_prometheus_in_and_brokers_out(everything: Sequence[Document]) -> None:
    """Of daemon and training alike."""
    spec = policy(everything)["spec"]
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    into = [[port["port"] for port in rule["ports"]] for rule in spec["ingress"]]
    assert into == [["metrics"], ["page"]]
    closed = policy(kustomized("base", "network-policy"))["spec"]["ingress"]
    assert [port["port"] for rule in closed for port in rule["ports"]] == ["metrics"]
    broker = int(settings(everything).kafka.bootstrap_servers.rpartition(":")[2])
    ranges = [
        range(port["port"], port.get("endPort", port["port"]) + 1)
        for rule in spec["egress"]
        for port in rule["ports"]
    ]
    assert any(broker in each for each in ranges)
    for document in everything:
        template = pod_template(document)
        if template is not None:
            wanted = spec["podSelector"]["matchLabels"]
            assert wanted.items() <= template["metadata"]["labels"].items()


def policy(documents: Sequence[Document]) -> Document:
    (found,) = (
        each
        for each in documents
        if (each["kind"], each["metadata"]["name"]) == ("NetworkPolicy", "stream-vae")
    )
    return found


def test_drains_take_one_pod_at_a_time(base: Sequence[Document]) -> None:
    budget = only(base, "PodDisruptionBudget")["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_the_service_is_headless_and_the_pods_name_it(base: Sequence[Document]) -> None:
    service = only(base, "Service")
    assert service["spec"]["clusterIP"] == "None"
    assert only(base, "StatefulSet")["spec"]["serviceName"] == service["metadata"]["name"]


def test_rules_and_dashboard_in_the_cluster_are_those_of_monitoring() -> None:
    """Mend it by `python -m tests.prometheus_rule`."""
    assert RULE.read_text(encoding="utf-8") == written()
    documents = kustomized("overlays/prod")
    rules = yaml.safe_load((MONITORING / "rules.yaml").read_text(encoding="utf-8"))
    assert only(documents, "PrometheusRule")["spec"] == rules
    label = only(documents, "PodMonitor")["spec"]["jobLabel"]
    pod = only(documents, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert "stream-vae" in pod[label], "the rules look for such a job"
    (shown,) = (
        each["data"]["stream-vae.json"]
        for each in documents
        if each["metadata"]["labels"].get("grafana_dashboard") == "1"
    )
    assert shown == (MONITORING / "dashboard.json").read_text(encoding="utf-8")


def test_the_gpu_is_asked_for_once_and_used(everything: Sequence[Document]) -> None:
    """A request beside the limit must be equal, so there is none."""
    resources = container(everything)["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in resources["requests"]
    assert settings(everything).worker.device == "cuda"


def test_sources_say_the_schema_that_editors_check_them_with() -> None:
    for file in KUSTOMIZE.rglob("stream-vae.yaml"):
        first = file.read_text(encoding="utf-8").splitlines()[0]
        schema = first.removeprefix("# yaml-language-server: $schema=")
        assert (file.parent / schema).resolve().name == "stream-vae.schema.json"
        assert (file.parent / schema).exists()
        assert yaml.safe_load(file.read_text(encoding="utf-8"))
