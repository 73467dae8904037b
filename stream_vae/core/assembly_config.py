"""How readings are assembled to steps."""

from dataclasses import dataclass

from stream_vae.core.sessions import SessionConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class AssemblyConfig:
    """How readings are assembled to steps, or to sessions; see the settings under `input`."""

    wait_steps: float = 1.0
    wait_s: float | None = None
    lateness_steps: int = 1
    max_leap_steps: int = 20
    sessions: SessionConfig | None = None
    """None: lines make none."""

    def wait_ns(self, step_ns: int) -> int:
        """Return the longest wait of a step that is not complete, nanoseconds."""
        return round(self.wait_steps * step_ns if self.wait_s is None else self.wait_s * 1e9)


AS_USUAL = AssemblyConfig()
"""The defaults."""
