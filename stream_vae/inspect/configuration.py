"""The configuration that reads a sample, as YAML with comments."""

import json
import re
from collections.abc import Mapping
from typing import Any

from stream_vae.core.excerpts import printable
from stream_vae.inputs.presets import PRESETS
from stream_vae.inspect.facts import StepFacts
from stream_vae.inspect.inspection import Inspection

_APART = "stream-vae-sessions"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n", "none"})


def configuration(
    found: Inspection,
    *,
    topic: str | None = None,
    servers: str | None = None,
    bundle: str | None = None,
) -> str:
    """Return a configuration of the daemon.

    Args:
        found: The sample.
        topic: Where it is from; None: of a file.
        servers: Brokers of the topic.
        bundle: Of a detector that may run beside another one; None: there is one alone.
    """
    settings: dict[str, Any] = dict(found.proposal.settings)
    why = dict(found.proposal.why)
    preset = settings.get("preset")
    if preset is not None:
        others = ", ".join(f"{name}: {value}" for name, value in PRESETS[preset].items())
        why.setdefault("preset", others)
    if found.steps is not None:
        _add_lateness(found.steps, settings, why)
    lines = ["input:", f"  topic: {_scalar(topic or 'stream-vae.readings')}"]
    for name, value in settings.items():
        reason = f"  # {printable(why[name], 200)}" if name in why else ""
        lines.append(f"  {name}: {_scalar(value)}{reason}")
    if settings.get("format") == "registry":
        lines += ["registry:", "  url: http://localhost:8081  # yours"]
    if bundle is not None:
        lines += ["detector:", f"  name: {_APART}", "bundle:", f"  path: {_scalar(bundle)}"]
    if servers is not None or bundle is not None:
        lines.append("kafka:")
    if bundle is not None:
        lines.append(f"  group_id: {_APART}  # a group and a state of its own")
    if servers is not None:
        lines += [f"  bootstrap_servers: {_scalar(servers)}", "  start: latest"]
    return "\n".join(lines) + "\n"


def _add_lateness(steps: StepFacts, settings: dict[str, Any], why: dict[str, str]) -> None:
    late = steps.latest_s / steps.step_s if steps.step_s else 0.0
    if "lateness_steps" not in settings and late > 1.5 and steps.disordered > 0.001:
        settings["lateness_steps"] = min(int(late + 0.999), 1000)
        why["lateness_steps"] = (
            f"{steps.disordered:.1%} of the readings come late, by up to {steps.latest_s:g} s"
        )


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
            return value
        return json.dumps(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_scalar(name)}: {_scalar(it)}" for name, it in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    return json.dumps(value)
