"""Manifests as the real tools render them, and what is asked of all of them."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_vae.settings import Settings, load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
KUSTOMIZE = DEPLOY / "kustomize"

Document = dict[str, Any]


@cache
def kustomized(target: str, *components: str) -> tuple[Document, ...]:
    """Return what kubectl makes of a folder of `deploy/kustomize`, with components beside it."""
    if not components:
        return _read(_kubectl(), KUSTOMIZE / target)
    return _topped(target, components, {})


@cache
def topped(overlay: str, *components: str) -> tuple[Document, ...]:
    """Return what kubectl makes of components on top of an overlay, as its first lines ask for."""
    file = KUSTOMIZE / "overlays" / overlay / "kustomization.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    said = {key: content[key] for key in ("namespace", "images")}
    return _topped(f"overlays/{overlay}", components, said)


def _topped(
    target: str, components: Sequence[str], said: Mapping[str, object]
) -> tuple[Document, ...]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()

        def relative(path: str) -> str:
            return os.path.relpath((KUSTOMIZE / path).resolve(), folder)

        wanted = [relative(f"components/{each}") for each in components]
        content = {"resources": [relative(target)], "components": wanted, **said}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return _read(_kubectl(), folder)


@cache
def overlaid(overlay: str, *components: str) -> tuple[Document, ...]:
    """Return what kubectl makes of a copy of an overlay that lists further components."""
    with tempfile.TemporaryDirectory() as name:
        copied = Path(shutil.copytree(DEPLOY, Path(name).resolve() / "deploy"))
        folder = copied / "kustomize" / "overlays" / overlay
        file = folder / "kustomization.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        content["components"] += [f"../../components/{each}" for each in components]
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        return _read(_kubectl(), folder)


def _kubectl() -> str:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        assert not os.environ.get("CI"), "kubectl is missing"
        pytest.skip("kubectl is not installed")
    return kubectl


def _read(kubectl: str, folder: Path) -> tuple[Document, ...]:
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return documents_of(done.stdout)


def documents_of(text: str) -> tuple[Document, ...]:
    return tuple(each for each in yaml.load_all(text, yaml.CSafeLoader) if each)


def only(documents: Sequence[Document], kind: str) -> Document:
    (found,) = (document for document in documents if document["kind"] == kind)
    return found


def pod_template(document: Document) -> Document | None:
    """Return the pods that a document makes: their labels and their specification."""
    spec = document.get("spec", {})
    if document["kind"] == "Pod":
        return document
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    is_workload = document["kind"] in {"CronJob", "Deployment", "Job", "StatefulSet"}
    return spec["template"] if is_workload else None


def pods(documents: Sequence[Document]) -> list[Document]:
    """Return the specification of the pods of each document that makes some."""
    templates = (pod_template(document) for document in documents)
    return [template["spec"] for template in templates if template is not None]


def containers(spec: Document) -> list[Document]:
    return [*spec.get("initContainers", []), *spec["containers"]]


def values_of(container: Document) -> dict[str, str]:
    """Return a container's variables; what only the cluster knows is the pod's name."""
    return {each["name"]: each.get("value", "stream-vae-0") for each in container.get("env", [])}


def settings_of(spec: Document, documents: Sequence[Document]) -> Settings:
    """Load what the first container of a pod would that reads the configuration."""
    container = next(each for each in containers(spec) if "config" in mounts_of(each))
    (volume,) = (each for each in spec["volumes"] if each["name"] == "config")
    (data,) = (
        each["data"]
        for each in documents
        if each["kind"] == "ConfigMap"
        and each["metadata"]["name"] == volume["configMap"]["name"]
        and "stream-vae.yaml" in each["data"]
    )
    ours = {k: v for k, v in values_of(container).items() if k.startswith("STREAM_VAE_")}
    secrets = ours.pop("STREAM_VAE_SECRETS_DIR", None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stream-vae.yaml"
        file.write_text(data["stream-vae.yaml"], encoding="utf-8")
        if secrets is not None and "sasl_mechanism" in f"{ours} {data}".lower():
            ours["STREAM_VAE_KAFKA__SASL_PASSWORD"] = "-"  # noqa: S105 -- the Secret has it
        if secrets is not None and ours.get("STREAM_VAE_PAGE__ENABLED"):
            ours["STREAM_VAE_PAGE__TOKEN"] = "-" * 16
        return load_settings(file, environ=ours).settings


def mounts_of(container: Document) -> dict[str, Document]:
    return {mount["name"]: mount for mount in container.get("volumeMounts", [])}


def secrets_of(spec: Document) -> dict[str, Document]:
    """Return the Secrets by name that a pod finds in its secrets directory."""
    (volume,) = (each for each in spec["volumes"] if each["name"] == "secrets")
    if "projected" in volume:
        return {each["secret"]["name"]: each["secret"] for each in volume["projected"]["sources"]}
    return {volume["secret"]["secretName"]: volume["secret"]}


def security_faults(spec: Document) -> set[str]:
    """Return what the "restricted" Pod Security Standard would refuse in a pod."""
    faults = {key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)}
    allowed = {
        "name", "configMap", "emptyDir", "secret", "persistentVolumeClaim", "projected", "image",
    }  # fmt: skip
    if any(not set(volume) <= allowed for volume in spec.get("volumes", [])):
        faults.add("volumes")
    for each in containers(spec):
        faults |= _container_faults(each, spec.get("securityContext", {}))
    return faults


def _container_faults(each: Document, pod: Mapping[str, Any]) -> set[str]:
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


def dangling(documents: Sequence[Document]) -> set[str]:
    """Return names that a pod mounts, or a container, and nothing in its namespace has.

    Secrets are made by hand or by operators, so those are not looked for.
    """
    names = {
        (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace"))
        for each in documents
    }
    missing: set[str] = set()
    for document in documents:
        if (template := pod_template(document)) is None:
            continue
        spec, namespace = template["spec"], document["metadata"].get("namespace")
        wanted = {each for each in _wanted(spec) if (*each, namespace) not in names}
        missing |= {f"{kind} {name}" for kind, name in wanted}
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        mounted = {name for each in containers(spec) for name in mounts_of(each)}
        missing |= volumes ^ mounted
    return missing


def _wanted(spec: Document) -> Iterator[tuple[str, str]]:
    if "serviceAccountName" in spec:
        yield "ServiceAccount", spec["serviceAccountName"]
    for volume in spec.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
