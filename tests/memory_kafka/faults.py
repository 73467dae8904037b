"""What goes wrong between one instance and the brokers, on demand."""

from collections import deque
from enum import Enum

from stream_vae.errors import KafkaUnavailableError


class Crash(BaseException):
    """The process is killed here: nothing it would do afterwards reaches anybody."""


class CommitFault(Enum):
    """How a transaction fails."""

    BEFORE = "the brokers are gone until the deadline; it was not committed"
    AFTER = "the brokers are gone until the deadline; it was committed"
    UNKNOWN_BEFORE = "the client hung before the commit; a new one finds out"
    UNKNOWN_AFTER = "the client hung behind the commit; a new one finds out"


class Faults:
    """Every call of a port is a step; a fault strikes at a step that was chosen beforehand."""

    def __init__(self) -> None:
        self.is_dead = False
        self.steps: list[str] = []
        """Names of the calls so far."""
        self.crash_in: int | None = None
        """Steps from now at which the process is killed."""
        self.crash_at: str | None = None
        """Name of the next step at which it is killed."""
        self.unavailable = 0
        """Requests from now that no broker answers."""
        self.unanswered: set[str] = set()
        """Names of requests of which the next one is not answered."""
        self.commits: deque[CommitFault] = deque()
        """Of the next transactions."""
        self.transaction_turns = 0
        """How often a transaction under way is looked at in vain before it goes on."""

    def step(self, name: str) -> None:
        """Pass through a call.

        Raises:
            Crash: If the process is killed here, or was before.
        """
        if self.is_dead:
            raise Crash
        self.steps.append(name)
        if self.crash_in is not None:
            self.crash_in -= 1
        if name == self.crash_at or (self.crash_in is not None and self.crash_in < 0):
            self.is_dead = True
            raise Crash

    def request(self, name: str) -> None:
        """Pass through a call that needs an answer soon.

        Raises:
            KafkaUnavailableError: If none comes.
        """
        self.step(name)
        if self.unavailable or name in self.unanswered:
            self.unavailable = max(self.unavailable - 1, 0)
            self.unanswered.discard(name)
            raise KafkaUnavailableError(f"{name}: no broker answers")
