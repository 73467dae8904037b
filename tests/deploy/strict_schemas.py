"""Schemas that refuse what they do not know: Kubernetes' own, and those of custom resources.

Of custom resources the fields that are used here; with `STREAM_VAE_CRD_SCHEMAS` naming a folder of
`<kind>_<version>.json`, in lower case, those of their operators instead.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

from tests.deploy.manifests import Document

OLDEST = "1.31"
"""The oldest release that knows every field of the base."""
NEWEST = kubernetes_validate.latest_version()

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_COUNT: Schema = {"type": "integer", "minimum": 1}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}


def _fields(optional: Schema | None = None, /, **required: Schema) -> Schema:
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": sorted(required),
        "additionalProperties": False,
    }


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def _one_of(*words: str) -> Schema:
    return {"enum": list(words)}


_ACL = _fields(
    resource=_fields(
        {"patternType": _one_of("literal", "prefix")},
        type=_one_of("topic", "group", "transactionalId"),
        name=_TEXT,
    ),
    operations=_list(_one_of("Read", "Write", "Describe", "DescribeConfigs", "Create")),
)
_BEHAVIOUR = _fields(
    stabilizationWindowSeconds=_COUNT,
    policies=_list(_fields(type=_one_of("Pods"), value=_COUNT, periodSeconds=_COUNT)),
)
_RULE = {
    "oneOf": [
        _fields(
            {"for": _TEXT, "keep_firing_for": _TEXT},
            alert=_TEXT,
            expr=_TEXT,
            labels=_TEXTS,
            annotations=_TEXTS,
        ),
        _fields({"labels": _TEXTS}, record=_TEXT, expr=_TEXT),
    ]
}
_SPECS: dict[str, Schema] = {
    "kafka.strimzi.io/v1 KafkaTopic": _fields(
        {"topicName": _TEXT}, partitions=_COUNT, replicas=_COUNT, config={"type": "object"}
    ),
    "kafka.strimzi.io/v1 KafkaUser": _fields(
        authentication=_fields(type=_one_of("scram-sha-512", "tls")),
        authorization=_fields(type=_one_of("simple"), acls=_list(_ACL)),
    ),
    "keda.sh/v1alpha1 ScaledObject": _fields(
        scaleTargetRef=_fields(apiVersion=_TEXT, kind=_TEXT, name=_TEXT),
        minReplicaCount=_COUNT,
        maxReplicaCount=_COUNT,
        pollingInterval=_COUNT,
        advanced=_fields(
            horizontalPodAutoscalerConfig=_fields(
                behavior=_fields(scaleUp=_BEHAVIOUR, scaleDown=_BEHAVIOUR)
            )
        ),
        triggers=_list(
            _fields(
                {"authenticationRef": _fields(name=_TEXT)}, type=_one_of("kafka"), metadata=_TEXTS
            )
        ),
    ),
    "keda.sh/v1alpha1 TriggerAuthentication": _fields(
        secretTargetRef=_list(_fields(parameter=_TEXT, name=_TEXT, key=_TEXT))
    ),
    "monitoring.coreos.com/v1 PodMonitor": _fields(
        jobLabel=_TEXT,
        selector=_fields(
            matchLabels=_TEXTS,
            matchExpressions=_list(_fields(key=_TEXT, operator=_TEXT, values=_list(_TEXT))),
        ),
        podMetricsEndpoints=_list(_fields(port=_TEXT, path=_TEXT, interval=_TEXT)),
    ),
    "monitoring.coreos.com/v1 PrometheusRule": _fields(
        groups=_list(_fields({"interval": _TEXT}, name=_TEXT, rules=_list(_RULE)))
    ),
}


def check(document: Document, release: str = NEWEST) -> None:
    """Refuse a document that an API server would refuse or, worse, would cut.

    Raises:
        jsonschema.ValidationError, kubernetes_validate.ValidationError: Says where and why.
    """
    name = f"{document['apiVersion']} {document['kind']}"
    if name not in _SPECS:
        kubernetes_validate.validate(document, release, strict=True)
        return
    _custom(name).validate(document)


@cache
def _custom(name: str) -> jsonschema.Draft202012Validator:
    folder = os.environ.get("STREAM_VAE_CRD_SCHEMAS")
    if folder is not None:
        group, kind = name.split()
        file = Path(folder) / f"{kind}_{group.rpartition('/')[2]}.json".lower()
        return jsonschema.Draft202012Validator(json.loads(file.read_text(encoding="utf-8")))
    schema = _fields(apiVersion=_TEXT, kind=_TEXT, spec=_SPECS[name], metadata={"type": "object"})
    return jsonschema.Draft202012Validator(schema)
