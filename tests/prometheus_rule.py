"""The alerting rules as a PrometheusRule; `python -m tests.prometheus_rule` writes it.

Kustomize puts no file into a custom resource, so it is written out; a test holds it to the rules.
"""

import sys
import textwrap
from pathlib import Path

MONITORING = Path(__file__).parents[1] / "deploy" / "monitoring"
RULE = MONITORING / "prometheus-rule.yaml"

_HEAD = """\
# Written by `python -m tests.prometheus_rule` from rules.yaml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: stream-vae
  labels:
    app.kubernetes.io/name: stream-vae
spec:
"""


def written() -> str:
    """Return what the file should be."""
    rules = (MONITORING / "rules.yaml").read_text(encoding="utf-8")
    return _HEAD + textwrap.indent(rules, "  ")


if __name__ == "__main__":
    RULE.write_text(written(), encoding="utf-8")
    sys.exit(0)
