"""The daemons of a run, and who restarts them: what Kubernetes would do, in one thread."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

from tests.limits import Limit
from tests.system.forked_process import ForkedProcess

_RESTART_AFTER_S = 0.3
_QUICK_END_S = 5.0
_MOST_QUICK_ENDS = 6
_LOOK_S = 0.05


class CrashLoopError(AssertionError):
    """A daemon ends again and again by itself; the message shows its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The end of one daemon process."""

    name: str
    log: Path
    code: int
    """Negative: by that signal."""
    was_asked: bool
    """Whether a fault wanted it to end."""
    lived_s: float


@dataclass(slots=True, kw_only=True)
class _Member:
    config: Path
    requests: Path
    wanted: bool = False
    was_asked: bool = False
    process: ForkedProcess | None = None
    log: Path = Path()
    n_starts: int = 0
    started_at: float = 0.0
    restart_at: float = 0.0
    quick_ends: int = 0
    ends: list[End] = field(default_factory=list)


class Fleet:
    """Named daemons, each restarted whenever it ends, unless it is held down.

    Args:
        directory: For logs and requests.
        configs: Name -> configuration file.
        broken_order: Let them publish in the broken order of the control.
    """

    def __init__(self, directory: Path, configs: Mapping[str, Path], *, broken_order: bool) -> None:
        self._directory = directory
        self._broken_order = broken_order
        self._members: dict[str, _Member] = {}
        for name, config in configs.items():
            requests = directory / f"{name}.requests"
            requests.mkdir()
            self._members[name] = _Member(config=config, requests=requests)
        self._lock = threading.Lock()
        self._is_open = True
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()

    @property
    def ends(self) -> list[End]:
        """Every end of a daemon so far, those of one daemon in order."""
        with self._lock:
            return [end for member in self._members.values() for end in member.ends]

    @property
    def logs(self) -> list[Path]:
        """The log of every daemon process."""
        return sorted(self._directory.glob("*.log"))

    @property
    def wanted(self) -> list[str]:
        """The daemons that are to run."""
        return [name for name, member in self._members.items() if member.wanted]

    def is_wanted(self, name: str) -> bool:
        """Tell whether a daemon is to run."""
        return self._members[name].wanted

    def release(self, name: str) -> None:
        """Let a daemon run: start it, and again whenever it ends."""
        with self._lock:
            member = self._members[name]
            member.wanted, member.restart_at, member.was_asked = True, 0.0, False

    def hold(self, name: str) -> None:
        """Do not start it again once it ends."""
        with self._lock:
            self._members[name].wanted = False
            self._members[name].was_asked = True

    def signal(self, name: str, number: Signals) -> None:
        """Send a signal to a daemon that runs."""
        with self._lock:
            process = self._members[name].process
        if process is not None:
            process.signal(number)

    def end(self, name: str, number: Signals, timeout_s: float = 60.0) -> None:
        """Hold a daemon and end it by a signal.

        Raises:
            AssertionError: If it does not end in time.
        """
        self.hold(name)
        self.signal(name, number)
        ended = self.await_state(name, lambda pid: pid is None, timeout_s)
        assert ended, f"{name} still runs {timeout_s} s after {number.name}: {self.tail(name)}"

    def await_state(self, name: str, holds: Callable[[int | None], bool], timeout_s: float) -> bool:
        """Wait until something holds of a daemon's process id; tell whether that was reached."""
        limit = Limit(timeout_s)
        while not limit.is_over:
            with self._lock:
                process = self._members[name].process
                if holds(None if process is None else process.pid):
                    return True
            time.sleep(_LOOK_S)
        return False

    def request(self, name: str, what: str, argument: str) -> None:
        """Ask for a fault within a daemon's process; see `hooks`."""
        path = self._members[name].requests / what
        draft = path.with_suffix(".draft")
        draft.write_text(argument)
        draft.rename(path)

    def withdraw(self, name: str, what: str) -> None:
        """Take a request back, if it still stands."""
        (self._members[name].requests / what).unlink(missing_ok=True)

    def have_all_joined(self) -> bool:
        """Tell whether every daemon that is to run has been given partitions once."""
        self.check()
        return all(
            "partitions_assigned" in self.tail(name, 1000)
            for name, member in self._members.items()
            if member.wanted
        )

    def check(self) -> None:
        """Raise CrashLoopError if a daemon ends again and again by itself."""
        assert self._supervisor.is_alive(), "the supervisor failed"
        for name, member in self._members.items():
            if member.quick_ends >= _MOST_QUICK_ENDS:
                msg = f"{name} ended {member.quick_ends} times in a row: {self.tail(name)}"
                raise CrashLoopError(msg)

    def tail(self, name: str, n_lines: int = 20) -> str:
        """Return the newest lines of a daemon's log."""
        log = self._members[name].log
        text = log.read_text(errors="replace") if log.is_file() else ""
        return "\n".join(text.splitlines()[-n_lines:])

    def stop(self) -> None:
        """End all by SIGTERM."""
        for name, member in self._members.items():
            if member.wanted or member.process is not None:
                self.end(name, SIGTERM)

    def close(self) -> None:
        """Kill what is left."""
        self._is_open = False
        self._supervisor.join(20)
        for member in self._members.values():
            if member.process is not None:
                member.process.kill()

    def _supervise(self) -> None:
        while self._is_open:
            with self._lock:
                for name, member in self._members.items():
                    self._note_end(name, member)
                    is_due = time.monotonic() >= member.restart_at
                    if member.wanted and member.process is None and is_due:
                        self._start(name, member)
            time.sleep(_LOOK_S)

    def _start(self, name: str, member: _Member) -> None:
        member.n_starts += 1
        member.log = self._directory / f"{name}.{member.n_starts:03d}.log"
        member.started_at = time.monotonic()
        prepared = {"requests": str(member.requests), "broken_order": self._broken_order}
        member.process = ForkedProcess(
            ["run", "--config", str(member.config)],
            output=member.log,
            prepare={"tests.system.chaos.hooks:install": prepared},
        )

    def _note_end(self, name: str, member: _Member) -> None:
        code = None if member.process is None else member.process.exit_code
        if code is None:
            return
        lived_s = time.monotonic() - member.started_at
        was_asked = member.was_asked or code == -SIGKILL
        member.ends.append(
            End(name=name, log=member.log, code=code, was_asked=was_asked, lived_s=lived_s)
        )
        is_quick = lived_s < _QUICK_END_S and not was_asked
        member.quick_ends = member.quick_ends + 1 if is_quick else 0
        member.process = None
        member.restart_at = time.monotonic() + _RESTART_AFTER_S
