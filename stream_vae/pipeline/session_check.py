"""Whether settings make sessions of lines as a model judges them."""

from stream_vae.core.model_spec import ModelSpec
from stream_vae.core.sessions import SessionConfig
from stream_vae.errors import ConfigError


def check_sessions(spec: ModelSpec, sessions: SessionConfig | None) -> None:
    """Refuse settings that do not fit a model of logs.

    Args:
        spec: Of the bundle.
        sessions: As the settings make them; None: they make none.

    Raises:
        ConfigError: If the bundle judges sessions and the settings make none, or the other way
            round.
    """
    if spec.logs is None or spec.has_sessions == (sessions is not None):
        return
    if spec.has_sessions:
        raise ConfigError(
            "input.session_pattern, input.session_field: found neither; expected the one that the "
            "bundle was trained with: it judges sessions"
        )
    raise ConfigError(
        "input.session_pattern, input.session_field: found one of them, expected both unset: the "
        f"bundle judges the lines of steps of {spec.step_seconds:g} s; a bundle of sessions is "
        "trained with model.window_length 1"
    )
