"""Child processes that die with the test run, however it ends."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.limits import slowness


class ChildProcess:
    """A process in a group of its own, whose output goes to a file.

    A second, tiny process waits on a pipe that only the test run holds open: when the run is gone,
    even by SIGKILL, the pipe closes and the whole group is killed.
    """

    def __init__(
        self, command: Sequence[str], *, output: Path, env: Mapping[str, str] | None = None
    ) -> None:
        with output.open("ab") as sink:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=env,
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", f"read -r _; kill -9 -{self._process.pid} 2>/dev/null"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: killed by that signal."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child alone, as a container runtime does."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Return the exit code.

        Raises:
            TimeoutError: If it still runs after the time.
        """
        try:
            code = self._process.wait(timeout_s * slowness())
        except subprocess.TimeoutExpired as exc:
            msg = f"process {self.pid} still runs after {timeout_s} s"
            raise TimeoutError(msg) from exc
        self._release()
        return code

    def kill(self) -> None:
        """Kill the whole group, as a lost machine would; does nothing to a dead one."""
        if self.exit_code is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(10)
        self._release()

    def _release(self) -> None:
        """Stop the guard first, so that it cannot kill another group with a reused id."""
        if self._guard.poll() is None:
            self._guard.kill()
            self._guard.wait(10)
        if self._guard.stdin is not None:
            self._guard.stdin.close()
