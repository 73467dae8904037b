"""The chart, as Helm's own engine renders it: what its defaults are, and what values make of it."""

import copy
import importlib.util
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml

from stream_vae.edges.receivers.config import PAGERDUTY_URL, ForwardConfig
from stream_vae.settings import Settings
from tests.deploy.manifests import (
    DEPLOY,
    Document,
    containers,
    dangling,
    documents_of,
    kustomized,
    only,
    pod_template,
    pods,
    secrets_of,
    security_faults,
    settings_of,
    values_of,
)
from tests.deploy.strict_schemas import check
from tests.prometheus_rule import MONITORING

# On one worker: the engine and the schemas are kept.
pytestmark = pytest.mark.xdist_group("deploy")

CHART = DEPLOY / "helm" / "stream-vae"
README = (DEPLOY.parent / "README.md").read_text(encoding="utf-8")

CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "store": {
        "image": {"repository": "registry.example.org/stream-vae", "digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "registry"}],
        "replicas": 3,
        "existingSecret": "stream-vae",
        "secretItems": [
            {"key": "password", "path": "kafka__sasl_password"},
            {"key": "token", "path": "page__token"},
        ],
        "extraEnv": [
            {"name": "STREAM_VAE_LOGGING__LEVEL", "value": "debug"},
            {"name": "STREAM_VAE_SECRETS_DIR", "value": "/elsewhere"},
            {"name": "STREAM_VAE_LOGGING__LEVEL", "value": "warning"},
        ],
        "bundle": {"source": "store", "store": {"url": "s3://bundles/pumps"}},
        "training": {"enabled": True, "extraArgs": ["--since", "2026-01-01T00:00:00Z"]},
        "gpu": {"enabled": True, "resource": "nvidia.com/mig-1g.10gb"},
        "networkPolicy": {
            "enabled": True,
            "extraEgress": [{"ports": [{"port": 443}]}],
            "pageFrom": [{"podSelector": {"matchLabels": {"app": "ingress"}}}],
        },
        "page": {"enabled": True, "port": 9081},
        "serviceAccount": {"annotations": {"example.org/role": "bundles"}},
        "config": {"input": {"max_record_bytes": 20971520}, "detect": {"max_gap": 4}},
        "podLabels": {"team": "water"},
        "forward": {
            "receivers": {
                "alertmanager": {
                    "config": {
                        "to": "alertmanager",
                        "url": "http://alertmanager:9093",
                        "labels": {"team": "water"},
                        "retry_s": 86400,
                    }
                },
                "pager": {"config": {"to": "pagerduty"}, "existingSecret": "pagerduty"},
            }
        },
    },
    "several": {
        "detectors": {
            "pumps": {"config": {"input": {"topic": "pumps"}}, "training": {"enabled": True}},
            "fans": {"replicas": 3, "autoscaling": {"enabled": True, "authenticationRef": "kafka"}},
            "doors": None,
        },
        "forward": {
            "receivers": {
                "chat": {"config": {"to": "slack"}, "existingSecret": "chat"},
                "hook": {"config": {"to": "webhook", "url": "https://[::1]:8443/a:1?b"}},
            },
        },
        "networkPolicy": {
            "enabled": True,
            "receiverPorts": [
                {"protocol": "TCP", "port": 3128},
                {"protocol": "TCP", "port": 443},
            ],
        },
        "monitoring": {
            "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "rules": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True},
        },
    },
    "image": {
        "bundle": {"source": "image", "image": {"reference": "registry.example.org/pumps:1"}},
        "fullnameOverride": "pumps",
    },
}


@cache
def engine() -> Any:
    if importlib.util.find_spec("helm_python") is None:
        assert not os.environ.get("CI"), "helm-python-sdk is missing"
        pytest.skip("helm-python-sdk is not installed")
    return importlib.import_module("helm_python")


@cache
def chart() -> Any:
    return engine().Chart.load(str(CHART))


def rendered(values: Mapping[str, Any], name: str = "stream-vae") -> tuple[Document, ...]:
    """Render as `helm install` does; values are checked by the schema first, as it does too."""
    chart().validate_schema(values)
    files = chart().render(values, name=name, namespace="here")
    texts = [text for file, text in sorted(files.items()) if file.endswith(".yaml")]
    documents = documents_of("\n---\n".join(texts))
    for text in texts:
        refuse_duplicates(text)
    return documents


def refuse_duplicates(text: str) -> None:
    """Refuse a key that stands twice, which YAML's own reader lets the later one win."""

    class Strict(yaml.CSafeLoader):
        pass

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        keys = [loader.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{keys} in line {node.start_mark.line}"
        return dict(loader.construct_pairs(node, deep=True))

    Strict.add_constructor("tag:yaml.org,2002:map", mapping)
    list(yaml.load_all(text, Strict))


def test_a_key_that_stands_twice_would_be_noticed() -> None:
    """Control: by the reader that has the later one win, it would not."""
    with pytest.raises(AssertionError, match="'a'"):
        refuse_duplicates("x: {b: 1}\n---\nx: {a: 1, a: 2}\n")


@cache
def case(name: str) -> tuple[Document, ...]:
    return rendered(CASES[name])


@pytest.fixture(params=sorted(CASES))
def documents(request: pytest.FixtureRequest) -> tuple[Document, ...]:
    return case(request.param)


def named(documents: Sequence[Document], kind: str) -> dict[str, Document]:
    return {each["metadata"]["name"]: each for each in documents if each["kind"] == kind}


def test_helm_finds_no_fault() -> None:
    found = engine().lint(str(CHART), {}, strict=True)
    messages = [each for each in found["messages"] if "icon is recommended" not in str(each)]
    assert messages == []


def test_every_document_is_strictly_right_and_every_pod_restricted(
    documents: Sequence[Document],
) -> None:
    for document in documents:
        check(document)
    for spec in pods(documents):
        assert security_faults(spec) == set()
        assert spec["automountServiceAccountToken"] is False
        assert all(each["securityContext"]["readOnlyRootFilesystem"] for each in containers(spec))
    assert dangling(documents) == set()


def test_every_configuration_can_be_used(documents: Sequence[Document]) -> None:
    for spec in pods(documents):
        settings_of(spec, documents)


def test_the_manual_leads_from_an_empty_namespace_to_pods_that_find_what_it_made() -> None:
    manual = README.split("From an empty namespace, step by step")[1].split("</details>")[0]
    values = yaml.safe_load(manual.split("```yaml\n")[1].split("```")[0])
    documents = rendered(values)
    daemon = only(documents, "StatefulSet")
    assert f"port-forward {daemon['metadata']['name']}-0 8080" in manual
    template = pod_template(daemon)
    assert template is not None
    spec = template["spec"]
    assert security_faults(spec) == set()
    read = {
        each["secretRef"]["name"] for one in containers(spec) for each in one.get("envFrom", [])
    }
    made = re.findall(r"create secret generic (\S+)", manual)
    assert set(made) == {*secrets_of(spec), *read}
    of_fans = rendered({**values, "detectors": {"fans": {}}})
    (of_pods,) = secrets_of(only(of_fans, "StatefulSet")["spec"]["template"]["spec"])
    assert f"`{of_pods}`, `stream-vae-fans-store`" in manual
    found = settings_of(spec, documents)
    assert found.input.topic == "readings"
    assert f"model copy bundle {values['bundle']['store']['url']}" in manual


def test_the_defaults_are_the_kustomize_base() -> None:
    """But for labels, for where a changed configuration shows, and for the pod of `helm test`."""
    assert _plain(case("defaults")) == _plain(kustomized("base"))


def test_a_difference_to_the_base_would_be_noticed() -> None:
    """Control."""
    for values in ({"replicas": 2}, {"config": {"logging": {"format": "console"}}}):
        assert _plain(rendered(values)) != _plain(kustomized("base"))


def _plain(documents: Sequence[Document]) -> dict[tuple[str, str], Document]:
    """Return documents by kind and name, without what the tools name differently."""
    config = dict.fromkeys(named(documents, "ConfigMap"), "stream-vae-config")
    plain = {}
    for document in copy.deepcopy(list(documents)):
        metadata = document["metadata"]
        if "helm.sh/hook" in metadata.get("annotations", {}):
            continue
        for labels in _labels_in(document):
            labels.pop("app.kubernetes.io/instance", None)
        metadata["labels"] = {
            key: value
            for key, value in metadata["labels"].items()
            if key
            not in {"app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}
        }
        metadata.get("annotations", {}).pop("helm.sh/resource-policy", None)
        if not metadata.get("annotations", True):
            del metadata["annotations"]
        if document["kind"] == "ConfigMap":
            document["data"] = {k: yaml.safe_load(v) for k, v in document["data"].items()}
        if (template := pod_template(document)) is not None:
            template["metadata"]["annotations"].pop("checksum/config", None)
            for volume in template["spec"]["volumes"]:
                if "configMap" in volume:
                    volume["configMap"]["name"] = config[volume["configMap"]["name"]]
        name = config.get(metadata["name"], metadata["name"])
        metadata["name"] = name
        plain[document["kind"], name] = document
    return plain


def _labels_in(document: Document) -> list[dict[str, str]]:
    found = [document["metadata"]["labels"]]
    spec = document.get("spec", {})
    selector = spec.get("selector", {})
    found.append(selector.get("matchLabels", selector))
    if (template := pod_template(document)) is not None and template is not document:
        found.append(template["metadata"]["labels"])
        spread = template["spec"].get("topologySpreadConstraints", [])
        found += [each["labelSelector"]["matchLabels"] for each in spread]
    return found


def test_values_are_documented_and_held_to_a_schema() -> None:
    """Each value that there is has a schema, and the schema knows no other."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert set(values) == set(schema["properties"]) - {"global"}
    for name, value in values.items():
        part = schema["$defs"].get(name, schema["properties"][name])
        if isinstance(value, dict) and part.get("additionalProperties") is False:
            assert set(value) == set(part["properties"]) - {"claims"}, name


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": "2"}, "want integer"),
        ({"detectors": {"pumps": {"image": {"tag": "1"}}}}, "pumps"),
        ({"detectors": {"Pumps!": {}}}, "Pumps"),
        ({"detectors": {"forwarders": {}}}, "forwarders"),
        ({"forward": {"sessionTimeoutSeconds": 0}}, "sessionTimeoutSeconds"),
        ({"config": {"kafka": {"sasl_password": "hunter2"}}}, "sasl_password"),
        ({"config": {"bundle": {"path": "/bundle"}}}, "path"),
        ({"bundle": {"source": "s3"}}, "source"),
        ({"forward": {"receivers": {"a": {"config": {"to": "irc"}}}}}, "to"),
        ({"forward": {"receivers": {"a": {"config": {"to": "slack", "secret": "x"}}}}}, "secret"),
        ({"extraEnv": [{"value": "x"}]}, "name"),
        ({"bundle": {"source": "store"}}, "bundle.store.url"),
        ({"bundle": {"source": "image"}}, "bundle.image.reference"),
        ({"bundle": {"source": "existingClaim"}}, "bundle.existingClaim"),
        (
            {
                "training": {"enabled": True},
                "bundle": {"source": "image", "image": {"reference": "x"}},
            },
            "an image cannot be written to",
        ),
        (
            {"detectors": {"a": {"config": {"kafka": {"group_id": "b"}}}, "b": {}}},
            "kafka.group_id b",
        ),
        (
            {
                "detectors": {key: {"config": {"detector": {"name": "x"}}} for key in "ab"},
                "forward": {"receivers": {"c": {"config": {"to": "slack"}}}},
            },
            "detector.name x is that of a too",
        ),
        (
            {
                "forward": {"receivers": {"c": {"config": {"to": "slack"}}}},
                "secretItems": [{"key": "password", "path": "kafka__sasl_password"}],
            },
            "no path forward__url",
        ),
        (
            {
                "forward": {
                    "receivers": {
                        "c": {
                            "config": {"to": "pagerduty"},
                            "existingSecret": "p",
                            "secretItems": [{"key": "url", "path": "forward__url"}],
                        }
                    }
                }
            },
            "no path forward__secret",
        ),
        (
            {
                "forward": {
                    "receivers": {"c": {"config": {"to": "slack"}, "saslUsername": "forward"}}
                }
            },
            "saslUsername without existingSecret",
        ),
        (
            {
                "forward": {
                    "receivers": {
                        "c": {
                            "config": {"to": "slack"},
                            "existingSecret": "slack",
                            "secretItems": [{"key": "url", "path": "forward__url"}],
                            "saslUsername": "forward",
                        }
                    }
                }
            },
            "no path kafka__sasl_password",
        ),
        (
            {
                "page": {"enabled": True},
                "existingSecret": "kafka",
                "secretItems": [{"key": "password", "path": "kafka__sasl_password"}],
            },
            "no path page__token",
        ),
    ],
)
def test_values_that_cannot_be_right_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(engine().HelmError) as refused:
        rendered(values)
    assert said in str(refused.value)


def test_a_variable_is_named_once_and_the_last_value_counts() -> None:
    (daemon,) = only(case("store"), "StatefulSet")["spec"]["template"]["spec"]["containers"]
    names = [each["name"] for each in daemon["env"]]
    assert len(names) == len(set(names))
    assert values_of(daemon)["STREAM_VAE_LOGGING__LEVEL"] == "warning"
    assert values_of(daemon)["STREAM_VAE_SECRETS_DIR"] == "/elsewhere"


def test_the_page_has_a_port_where_it_is_enabled_and_nowhere_else() -> None:
    documents = case("store")
    spec = only(documents, "StatefulSet")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    page = settings_of(spec, documents).page
    assert (page.enabled, page.port, page.host) == (True, 9081, "0.0.0.0")  # noqa: S104 -- a pod's
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["page"] == page.port
    service = named(documents, "Service")["stream-vae"]
    assert page.port in [port["port"] for port in service["spec"]["ports"]]
    rules = named(documents, "NetworkPolicy")["stream-vae"]["spec"]["ingress"]
    assert [port["port"] for rule in rules for port in rule["ports"]] == ["metrics", "page"]
    closed = rendered({"networkPolicy": {"enabled": True}})
    assert "PAGE" not in yaml.safe_dump_all(closed)
    assert "port: page" not in yaml.safe_dump_all(closed)


def test_large_numbers_reach_the_daemon_as_they_are() -> None:
    documents = case("store")
    settings = settings_of(only(documents, "StatefulSet")["spec"]["template"]["spec"], documents)
    assert settings.input.max_record_bytes == 20971520
    assert settings.detect.max_gap == 4
    assert settings.input.topic == "readings", "the chart's other settings stay"


def test_an_existing_secret_is_asked_for_and_a_missing_one_is_not() -> None:
    for name, secret, optional in (
        ("store", "stream-vae", False),
        ("defaults", "stream-vae-secrets", True),
    ):
        volumes = only(case(name), "StatefulSet")["spec"]["template"]["spec"]["volumes"]
        (found,) = (each["secret"] for each in volumes if each["name"] == "secrets")
        assert (found["secretName"], found["optional"]) == (secret, optional)


def test_each_receiver_has_a_pod_a_group_and_a_secret_of_its_own() -> None:
    documents = case("store")
    forwarders = named(documents, "Deployment")
    daemon = settings_of(only(documents, "StatefulSet")["spec"]["template"]["spec"], documents)
    found = {}
    for name, one in forwarders.items():
        spec = one["spec"]["template"]["spec"]
        settings = settings_of(spec, documents)
        assert settings.output.alerts_topic == daemon.output.alerts_topic
        (secret,) = (each["secret"] for each in spec["volumes"] if each["name"] == "secrets")
        assert settings.kafka.instance_id is None
        assert settings.kafka.session_timeout_s == 15 < daemon.kafka.session_timeout_s
        found[name] = settings.forward.to, settings.forward_group, secret["secretName"]
        if settings.forward.to == "alertmanager":
            assert settings.forward.address == "http://alertmanager:9093"
            assert settings.forward.labels == {"team": "water"}
            assert settings.forward.retry_s == 86400.0
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
        others = [other["spec"]["selector"]["matchLabels"] for other in forwarders.values()]
        others += [
            named(documents, kind)["stream-vae"]["spec"]["selector"]
            for kind in ("Service", "StatefulSet")
        ]
        reached = [s for s in others if s.get("matchLabels", s).items() <= labels.items()]
        assert len(reached) == 1, "its own"
        assert ("items" in secret) == (secret["secretName"] == "stream-vae"), "of the detector's"
        policy = named(documents, "NetworkPolicy")["stream-vae-forward"]["spec"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()
        ports = [port["port"] for each in policy["egress"] for port in each["ports"]]
        assert sorted(ports) == [443, 9093]
    assert found == {
        "stream-vae-forward-alertmanager": (
            "alertmanager",
            "stream-vae-forward-alertmanager",
            "stream-vae",
        ),
        "stream-vae-forward-pager": ("pagerduty", "stream-vae-forward-pager", "pagerduty"),
    }
    assert not named(case("defaults"), "Deployment")


def test_the_session_of_forwarders_lasts_as_long_as_the_brokers_of_their_detector_ask_for() -> None:
    documents = rendered(
        {
            "detectors": {"pumps": {"forward": {"sessionTimeoutSeconds": 20.5}}, "fans": {}},
            "forward": {
                "receivers": {"chat": {"config": {"to": "slack"}}},
                "sessionTimeoutSeconds": 30,
            },
        }
    )
    found = {
        one.detector.name: one.kafka.session_timeout_s
        for one in _settings_of_all(documents, "Deployment")
    }
    assert found == {"pumps": 20.5, "fans": 30.0}


def test_a_forwarder_has_the_kafka_user_of_its_receiver_or_that_of_the_detector() -> None:
    to = {"config": {"to": "pagerduty"}, "existingSecret": "pagerduty"}
    kafka = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}
    values = {
        "config": {"kafka": {**kafka, "sasl_username": "stream-vae"}},
        "forward": {"receivers": {"own": {**to, "saslUsername": "forwarder"}, "shared": to}},
    }
    documents = rendered(values)
    forwarders = _settings_of_all(documents, "Deployment")
    users = {one.forward.name: one.kafka.sasl_username for one in forwarders}
    assert users == {"own": "forwarder", "shared": "stream-vae"}
    (daemon,) = _settings_of_all(documents, "StatefulSet")
    assert daemon.kafka.sasl_username == "stream-vae"
    said = re.findall(r"rights of the user (\S+): topic alerts: Read", notes(values))
    assert said == ["forwarder", "stream-vae"]


def test_notes_name_the_groups_topics_and_rights_of_each_detector() -> None:
    values = {
        **CASES["several"],
        "config": {"output": {"scores_topic": "scores", "scores_series": ["*"]}},
    }
    documents, said = rendered(values), notes(values)
    for one in _settings_of_all(documents, "StatefulSet"):
        group, output = one.kafka.group_id, one.output
        written = output.alerts_topic, output.dead_letter_topic, output.late_topic, "scores"
        rights = [
            f"topic {one.input.topic}: Read, DescribeConfigs",
            f"topics {', '.join(map(str, written))}: Write, DescribeConfigs",
            f"topic {one.changelog_topic}: Read, Write, DescribeConfigs",
            f"group {group}: Read",
            f"transactional ids that begin with {group}.: Write",
        ]
        assert "\n".join(f"    {right}" for right in rights) in said
    for one in _settings_of_all(documents, "Deployment"):
        group = one.forward_group
        assert f"group {group}: Read; transactional ids that begin with {group}.: Write" in said
    without = notes({"config": {"state": {"changelog": False}}})
    assert "stream-vae-changelog" not in without


def test_notes_name_the_secret_of_the_store_of_each_detector() -> None:
    values = {
        "bundle": {"source": "store", "store": {"url": "s3://models/x"}},
        "detectors": {"pumps": {}, "fans": {}},
    }
    said = notes(values)
    for each in named(rendered(values), "StatefulSet").values():
        (copying,) = each["spec"]["template"]["spec"]["initContainers"]
        (source,) = copying["envFrom"]
        assert f"create secret generic {source['secretRef']['name']} --from-literal=AWS_" in said
    assert "AWS_" not in notes({}), "control"


def test_each_event_is_told_to_each_receiver_by_one_forwarder() -> None:
    """Whether detectors share an alerts topic, as `pumps` and `fans` do, or not, as `doors`."""
    of = {"config": {"output": {"alerts_topic": "of-doors"}}}
    documents = rendered(
        {**CASES["several"], "detectors": {"pumps": None, "fans": {}, "doors": of}}
    )
    topics = {
        one.detector.name: one.output.alerts_topic
        for one in _settings_of_all(documents, "StatefulSet")
    }
    assert sorted(topics.values()) == ["alerts", "alerts", "of-doors"]
    forwarders = _settings_of_all(documents, "Deployment")
    for detector, topic in topics.items():
        tell = [
            one.forward.name
            for one in forwarders
            if one.output.alerts_topic == topic
            and (not one.forward.detectors or detector in one.forward.detectors)
        ]
        assert sorted(map(str, tell)) == ["chat", "hook"]
    groups = {one.forward_group for one in forwarders}
    assert groups == {f"{one}-forward-{to}" for one in topics for to in ("chat", "hook")}


def _settings_of_all(documents: Sequence[Document], kind: str) -> list[Settings]:
    return [
        settings_of(one["spec"]["template"]["spec"], documents)
        for one in named(documents, kind).values()
    ]


def test_pagerduty_does_not_take_the_url_of_another_receiver_from_the_secret_of_the_detector() -> (
    None
):
    """Control: with a URL or a Secret of its own it takes that."""
    own = "https://proxy.example.org/pagerduty"
    receivers = {
        "chat": {"config": {"to": "slack"}},
        "pager": {"config": {"to": "pagerduty"}},
        "proxied": {"config": {"to": "pagerduty", "url": own}},
        "apart": {"config": {"to": "pagerduty"}, "existingSecret": "pagerduty"},
    }
    found = {}
    for name, document in named(
        rendered({"forward": {"receivers": receivers}}), "Deployment"
    ).items():
        (container,) = document["spec"]["template"]["spec"]["containers"]
        env = {one["name"]: one.get("value") for one in container["env"]}
        found[name.rpartition("-")[2]] = env.get("STREAM_VAE_FORWARD__URL")
    assert found == {"chat": None, "pager": PAGERDUTY_URL, "proxied": own, "apart": None}


def test_forwarders_and_they_alone_reach_the_ports_of_their_receivers_and_those_added() -> None:
    policy = named(case("several"), "NetworkPolicy")["stream-vae-forward"]["spec"]
    (rule,) = policy["egress"]
    assert sorted(port["port"] for port in rule["ports"]) == [443, 3128, 8443]
    for url, port in {
        "http://a": 80,
        "https://a/b": 443,
        "http://a:9093/b": 9093,
        "http://[::1]": 80,
        "https://a?b:1": 443,
    }.items():
        receivers = {"a": {"config": {"to": "webhook", "url": url}}}
        values = {"networkPolicy": {"enabled": True}, "forward": {"receivers": receivers}}
        (rule,) = named(rendered(values), "NetworkPolicy")["stream-vae-forward"]["spec"]["egress"]
        assert rule["ports"] == [{"protocol": "TCP", "port": port}], url
    alone = rendered({"networkPolicy": {"enabled": True}})
    assert set(named(alone, "NetworkPolicy")) == {"stream-vae"}, "no rule without ports: for all"


def test_the_schema_knows_the_settings_of_a_receiver() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    receiver = schema["$defs"]["forward"]["properties"]["receivers"]["additionalProperties"]
    known = receiver["properties"]["config"]["properties"]
    assert list(known) == [one.name for one in fields(ForwardConfig)]


def test_detectors_of_one_release_share_nothing_but_rights() -> None:
    documents = case("several")
    sets = named(documents, "StatefulSet")
    assert set(sets) == {f"stream-vae-{name}" for name in ("pumps", "fans", "doors")}
    found = {
        name: settings_of(each["spec"]["template"]["spec"], documents)
        for name, each in sets.items()
    }
    assert {each.kafka.group_id for each in found.values()} == {"pumps", "fans", "doors"}
    assert {each.detector.name for each in found.values()} == {"pumps", "fans", "doors"}
    assert found["stream-vae-pumps"].input.topic == "pumps"
    assert found["stream-vae-doors"].input.topic == "readings"
    assert len(named(documents, "ServiceAccount")) == 1
    assert set(named(documents, "Job")) == {"stream-vae-pumps-train-1"}
    assert "replicas" not in sets["stream-vae-fans"]["spec"]
    for kind in ("StatefulSet", "Service", "PodDisruptionBudget"):
        of_detectors = {
            name: each
            for name, each in named(documents, kind).items()
            if name != "stream-vae-forwarders"
        }
        for name, each in of_detectors.items():
            selector = each["spec"]["selector"]
            wanted = selector.get("matchLabels", selector).items()
            reached = [
                other
                for other in documents
                if (template := pod_template(other)) is not None
                and wanted <= template["metadata"]["labels"].items()
            ]
            assert [other["metadata"]["name"] for other in reached] == [name]


def test_one_monitor_finds_daemons_and_forwarders_of_all_detectors_and_nothing_else() -> None:
    documents = case("several")
    selector = only(documents, "PodMonitor")["spec"]["selector"]
    wanted = selector["matchLabels"].items()
    (one_of,) = selector["matchExpressions"]
    assert one_of["operator"] == "In"
    reached = {
        each["metadata"]["name"]
        for each in documents
        if (template := pod_template(each)) is not None
        and wanted <= (labels := template["metadata"]["labels"]).items()
        and labels[one_of["key"]] in one_of["values"]
    }
    forwarders = named(documents, "Deployment")
    assert len(forwarders) == 6
    assert reached == {*named(documents, "StatefulSet"), *forwarders}


def test_the_chart_has_rules_and_dashboard_as_they_are() -> None:
    documents = case("several")
    shown = named(documents, "ConfigMap")["stream-vae-dashboard"]["data"]["stream-vae.json"]
    assert json.loads(shown) == json.loads((MONITORING / "dashboard.json").read_text("utf-8"))
    rules = yaml.safe_load((MONITORING / "rules.yaml").read_text(encoding="utf-8"))
    assert only(documents, "PrometheusRule")["spec"] == rules
    label = only(documents, "PodMonitor")["spec"]["jobLabel"]
    for each in named(documents, "StatefulSet").values():
        assert "stream-vae" in each["spec"]["template"]["metadata"]["labels"][label]


@pytest.mark.parametrize("name", ["store", "several", "defaults"])
def test_helm_test_asks_each_pod_of_detectors_and_forwarders(name: str) -> None:
    documents = case(name)
    asked = [
        url
        for each in named(documents, "Pod").values()
        for container in each["spec"]["containers"]
        for url in container["args"]
    ]
    served = {url for each in documents for url in _readiness_of(each, documents)}
    assert sorted(asked) == sorted(served)
    assert ("http://pumps-chat.stream-vae-forwarders:8080/readyz" in asked) == (name == "several")


def _readiness_of(document: Document, documents: Sequence[Document]) -> list[str]:
    """Return where the cluster's names lead to the readiness of each pod of a workload.

    A pod has a name of its own under a headless Service that selects it and is its subdomain: as
    pods of a StatefulSet have, or by `hostname`.
    """
    if document["kind"] not in {"StatefulSet", "Deployment"}:
        return []
    spec, name = document["spec"], document["metadata"]["name"]
    pod = spec["template"]["spec"]
    hosts = [pod.get("hostname")]
    subdomain = pod.get("subdomain", spec.get("serviceName"))
    if document["kind"] == "StatefulSet":
        scaled = named(documents, "ScaledObject").get(name, {"spec": {"minReplicaCount": 1}})
        n_pods = spec.get("replicas", scaled["spec"]["minReplicaCount"])
        hosts = [f"{name}-{n}" for n in range(n_pods)]
    service = named(documents, "Service")[subdomain]["spec"]
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"], "one that is not ready says why"
    assert service["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    (container,) = pod["containers"]
    (port,) = (each for each in container["ports"] if each["name"] == "metrics")
    path = container["readinessProbe"]["httpGet"]["path"]
    return [f"http://{host}.{subdomain}:{port['containerPort']}{path}" for host in hosts]


def test_the_policy_lets_helm_test_ask_detectors_and_forwarders() -> None:
    policy = named(case("several"), "NetworkPolicy")["stream-vae"]["spec"]
    (tested,) = (each for each in named(case("several"), "Pod").values() if "fans" in str(each))
    assert policy["podSelector"]["matchLabels"].items() <= tested["metadata"]["labels"].items()
    peers = [peer for rule in policy["egress"] for peer in rule.get("to", [])]
    (one_of,) = (
        of for peer in peers for of in peer.get("podSelector", {}).get("matchExpressions", [])
    )
    assert (one_of["operator"], one_of["values"]) == ("In", ["detector", "forwarder"])
    for kind in ("StatefulSet", "Deployment"):
        for each in named(case("several"), kind).values():
            labels = each["spec"]["template"]["metadata"]["labels"]
            assert labels[one_of["key"]] in one_of["values"]


def test_the_chart_has_the_version_of_the_program() -> None:
    project = (DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8")
    description = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert f'version = "{description["appVersion"]}"' in project
    for name in ("artifacthub.io/links", "artifacthub.io/changes"):
        assert yaml.safe_load(description["annotations"][name])


def test_notes_say_what_is_on_one_node_only() -> None:
    for name, is_said in (("defaults", True), ("store", False)):
        assert ("ONE node" in notes(CASES[name])) is is_said


def test_notes_name_the_job_that_pods_wait_for() -> None:
    values = {"training": {"enabled": True}}
    [job] = [each for each in rendered(values) if each["kind"] == "Job"]
    assert f"logs --follow job/{job['metadata']['name']}\n" in notes(values)
    assert "job/" not in notes({}), "control"


def test_notes_say_what_pods_cannot_do_without() -> None:
    said = notes({"page": {"enabled": True}})
    assert "--from-literal=page__token=" in said
    assert "key page__token of the Secret stream-vae-secrets" in said
    added = 'patch secret stream-vae-secrets --patch \'{"stringData": {"page__token": '
    assert added in said, "where the Secret is there already"
    assert "page__token" not in notes({}), "control"


def test_notes_name_forwarders_with_their_groups_secrets_and_ports() -> None:
    secret = "https://hooks.slack.com/services/T0/B0/x"  # noqa: S105 -- made up
    receivers = {
        "chat": {"config": {"to": "slack", "url": secret, "start": "earliest"}},
        "pager": {"config": {"to": "pagerduty"}, "existingSecret": "pagerduty"},
    }
    said = notes({"forward": {"receivers": receivers}, "networkPolicy": {"enabled": True}})
    chat, pager = re.findall(r"stream-vae-forward-\S+ tells[^\n]*\n[^\n]*\n[^\n]*", said)
    assert "slack at https://hooks.slack.com of" in chat
    assert secret not in said
    assert "group stream-vae-forward-chat; it begins with the oldest event" in chat
    assert "Secret stream-vae-secrets" in chat
    assert "group stream-vae-forward-pager; it begins with what comes next" in pager
    assert "Secret pagerduty: the key forward__secret, without which" in pager
    assert "at the ports 443 of" in said
    assert "forward" not in notes({}), "control"


def notes(values: Mapping[str, Any]) -> str:
    files = chart().render(values, name="stream-vae", namespace="here")
    found: str = files["stream-vae/templates/NOTES.txt"]
    return found
