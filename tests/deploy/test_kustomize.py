"""The kustomize base renders, fits Kubernetes' schemas, and agrees with the daemon's settings."""

import copy
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from stream_vae.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
BASE = ROOT / "deploy" / "kustomize" / "base"
KUBECTL = shutil.which("kubectl")
# The oldest release that knows every field, and the newest whose schemas are at hand.
RELEASES = ("1.31", kubernetes_validate.latest_version())

Document = dict[str, Any]


def read_sources() -> list[Document]:
    """The documents as they are written, where there is no kubectl to render them."""
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text(encoding="utf-8"))
    documents = [
        yaml.safe_load((BASE / name).read_text(encoding="utf-8"))
        for name in kustomization["resources"]
    ]
    for generator in kustomization["configMapGenerator"]:
        data = {name: (BASE / name).read_text(encoding="utf-8") for name in generator["files"]}
        documents.append(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": generator["name"], **generator["options"]},
                "data": data,
            }
        )
    return documents


def render() -> list[Document]:
    done = subprocess.run(
        [str(KUBECTL), "kustomize", str(BASE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


DOCUMENTS = render() if KUBECTL else read_sources()


def one(kind: str) -> Document:
    (found,) = (document for document in DOCUMENTS if document["kind"] == kind)
    return copy.deepcopy(found)


def pod_spec() -> Document:
    spec: Document = one("StatefulSet")["spec"]["template"]["spec"]
    return spec


def container() -> Document:
    (only,) = pod_spec()["containers"]
    assert isinstance(only, dict)
    return only


def settings_in_the_pod() -> Settings:
    """Load what the pod would: the ConfigMap's file and the variables of the container."""
    (text,) = one("ConfigMap")["data"].values()
    variables = {each["name"]: each.get("value", "stream-vae-0") for each in container()["env"]}
    del variables["STREAM_VAE_SECRETS_DIR"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stream-vae.yaml"
        file.write_text(text, encoding="utf-8")
        return load_settings(file, environ=variables).settings


def security_faults(spec: Document) -> set[str]:
    """What the "restricted" Pod Security Standard would refuse in a pod."""
    faults = {key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)}
    allowed = {"name", "configMap", "emptyDir", "secret", "persistentVolumeClaim", "projected"}
    if any(not set(volume) <= allowed for volume in spec.get("volumes", [])):
        faults.add("volumes")
    for each in [*spec["containers"], *spec.get("initContainers", [])]:
        faults |= container_faults(each, spec.get("securityContext", {}))
    return faults


def container_faults(each: Document, pod: Document) -> set[str]:
    own = each.get("securityContext", {})
    both = {**pod, **own}
    capabilities = own.get("capabilities", {})
    refused = {
        "privileged": bool(own.get("privileged")),
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is not False,
        "capabilities": capabilities.get("drop") != ["ALL"] or bool(capabilities.get("add")),
        "runAsNonRoot": both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0,
        "seccompProfile": both.get("seccompProfile") != {"type": "RuntimeDefault"},
        "hostPort": any("hostPort" in port for port in each.get("ports", [])),
    }
    return {name for name, is_refused in refused.items() if is_refused}


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed; the sources are checked")
def test_kubectl_renders_what_is_written() -> None:
    rendered = {
        (document["kind"], document["metadata"]["labels"]["app.kubernetes.io/name"])
        for document in render()
    }
    written = {(document["kind"], "stream-vae") for document in read_sources()}
    assert rendered == written


def test_the_pieces_are_there() -> None:
    assert sorted(document["kind"] for document in DOCUMENTS) == [
        "ConfigMap",
        "PersistentVolumeClaim",
        "PodDisruptionBudget",
        "Service",
        "StatefulSet",
    ]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["kind"])
def test_every_document_fits_the_strict_schema(document: Document, release: str) -> None:
    kubernetes_validate.validate(document, release, strict=True)


@pytest.mark.parametrize(
    "path", [("spec", "replica"), ("spec", "template", "spec", "containers", 0, "livenesProbe")]
)
def test_a_misspelt_field_would_be_noticed(path: tuple[str | int, ...]) -> None:
    """Control for the schemas."""
    document = one("StatefulSet")
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, RELEASES[-1], strict=True)


def test_the_pod_passes_the_restricted_standard() -> None:
    assert security_faults(pod_spec()) == set()
    assert container()["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod_spec()["automountServiceAccountToken"] is False


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
def test_a_careless_pod_would_be_refused(level: str, key: str, value: object, fault: str) -> None:
    """Control for the standard."""
    spec = pod_spec()
    owner = spec["containers"][0] if level == "container" else spec
    owner["securityContext"][key] = value
    assert security_faults(spec) == {fault}


def test_the_mounted_configuration_can_be_used() -> None:
    settings = settings_in_the_pod()
    assert settings.kafka.instance_id == "stream-vae-0"
    assert settings.http.enabled


def test_the_mounted_configuration_is_the_example() -> None:
    """What configs/sensors.yaml says about detection and topics is said here too."""
    example = load_settings(ROOT / "configs" / "sensors.yaml", environ={}).settings
    mounted = settings_in_the_pod()
    for section in ("detector", "input", "output", "detect"):
        assert getattr(mounted, section) == getattr(example, section)


def test_probes_and_service_reach_the_port_that_is_served() -> None:
    http = settings_in_the_pod().http
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert http.host == "0.0.0.0"  # noqa: S104 -- the pod's own network, for the cluster's probes
    assert ports == {"metrics": http.port}
    for name, path in (
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ):
        assert container()[name]["httpGet"] == {"path": path, "port": "metrics"}
    (service_port,) = one("Service")["spec"]["ports"]
    assert (service_port["port"], service_port["targetPort"]) == (http.port, "metrics")
    annotations = one("StatefulSet")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(http.port)


def test_startup_may_take_five_minutes() -> None:
    probe = container()["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] >= 300


def test_the_cluster_waits_longer_than_the_shutdown_takes() -> None:
    deadline = settings_in_the_pod().shutdown_deadline_s
    assert pod_spec()["terminationGracePeriodSeconds"] > deadline


def test_each_pod_has_an_identity_of_its_own() -> None:
    """Two live daemons with one instance id would fence each other for ever."""
    variables = {each["name"]: each for each in container()["env"]}
    source = variables["STREAM_VAE_KAFKA__INSTANCE_ID"]["valueFrom"]
    assert source == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_everything_that_is_mounted_exists() -> None:
    volumes = {volume["name"]: volume for volume in pod_spec()["volumes"]}
    mounts = {mount["name"]: mount for mount in container()["volumeMounts"]}
    assert set(volumes) == set(mounts)
    assert volumes["config"]["configMap"]["name"] == one("ConfigMap")["metadata"]["name"]
    claim = volumes["bundle"]["persistentVolumeClaim"]
    assert claim == {
        "claimName": one("PersistentVolumeClaim")["metadata"]["name"],
        "readOnly": True,
    }
    assert mounts["bundle"]["mountPath"] == str(settings_in_the_pod().bundle.path)
    assert volumes["secrets"]["secret"]["optional"] is True
    secrets_dir = next(e for e in container()["env"] if e["name"] == "STREAM_VAE_SECRETS_DIR")
    assert mounts["secrets"]["mountPath"] == secrets_dir["value"]


def test_only_the_scratch_volume_is_writable() -> None:
    writable = [m["mountPath"] for m in container()["volumeMounts"] if not m.get("readOnly")]
    assert writable == ["/tmp"]  # noqa: S108 -- the pod's, not this machine's


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "StatefulSet"])
def test_selectors_find_the_pods(kind: str) -> None:
    selector = one(kind)["spec"]["selector"]
    wanted = selector.get("matchLabels", selector)
    labels = one("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert wanted
    assert wanted.items() <= labels.items()


def test_drains_take_one_pod_at_a_time() -> None:
    assert one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_the_service_is_headless_and_the_pods_name_it() -> None:
    service = one("Service")
    assert service["spec"]["clusterIP"] == "None"
    assert one("StatefulSet")["spec"]["serviceName"] == service["metadata"]["name"]
