"""From when on series are judged."""

from stream_vae.core.durations import describe_duration
from stream_vae.core.model_spec import ModelSpec


def first_alert(spec: ModelSpec) -> str:
    """Return when the first alert of a series can come, in words."""
    if spec.has_sessions:
        return "with the first session that is closed"
    if spec.has_events:
        return "with the first record"
    T = spec.window_length
    after = describe_duration(T * spec.step_seconds)
    return f"after {T:,} steps = {after} of a series, which warms up until then"
