"""A real API server accepts what is rendered, where `STREAM_VAE_KUBECONFIG` names one to ask.

Nothing is left there but a namespace: documents are applied as a dry run. The server needs the
definitions of the custom resources (Strimzi, KEDA, Prometheus Operator).
"""

import os
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from tests.deploy.manifests import Document, kustomized, pod_template
from tests.deploy.test_chart import CASES, case
from tests.deploy.test_kustomize import RENDERINGS

NAMESPACE = "stream-vae-manifests"
KUBECONFIG = os.environ.get("STREAM_VAE_KUBECONFIG")

pytestmark = [
    pytest.mark.skipif(KUBECONFIG is None, reason="STREAM_VAE_KUBECONFIG names no API server"),
    pytest.mark.xdist_group("deploy"),
]


def kubectl(*arguments: str, document: Document | None = None) -> str:
    done = subprocess.run(
        ["kubectl", f"--kubeconfig={KUBECONFIG}", *arguments],
        input=None if document is None else yaml.safe_dump(document),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr


def dry_run(document: Document) -> str:
    flags = ["--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"]
    return kubectl("apply", *flags, "-n", NAMESPACE, "-f", "-", document=document)


@pytest.fixture(scope="module", autouse=True)
def namespace() -> Iterator[None]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": NAMESPACE, "labels": labels}
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    assert kubectl("apply", "-f", "-", document=document) == ""
    yield
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def as_pod(document: Document) -> Document | None:
    """Return a pod as the document's controller would make it: only pods are refused."""
    template = pod_template(document)
    if template is None:
        return None
    spec = {"restartPolicy": "Always", **template["spec"], "serviceAccountName": "default"}
    metadata = {"name": "one", "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("name", [*RENDERINGS, *CASES])
def test_the_server_takes_every_document_and_every_pod(name: str) -> None:
    documents = kustomized(*RENDERINGS[name]) if name in RENDERINGS else case(name)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    assert kubectl("apply", "-n", NAMESPACE, "-f", "-", document=account) == ""
    for document in documents:
        if document["kind"] not in {"Namespace", "Pod"}:
            document["metadata"].pop("namespace", None)
            assert dry_run(document) == ""
        if (pod := as_pod(document)) is not None:
            assert dry_run(pod) == ""


def test_the_server_refuses_what_is_wrong() -> None:
    """Control."""
    (document,) = (each for each in kustomized("base") if each["kind"] == "StatefulSet")
    misspelt = {**document, "spec": {**document["spec"], "replica": 1}}
    assert "field not declared" in dry_run(misspelt)
    pod = as_pod(document)
    assert pod is not None
    pod["spec"]["securityContext"] = {}
    assert "violates PodSecurity" in dry_run(pod)
