"""The program in a process that has its imports already: what the fork server's clients hold."""

import atexit
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any

from tests.limits import Limit

_ANSWERS_WITHIN_S = 120.0


@dataclass(slots=True)
class _Run:
    pid: int | None = None
    exit_code: int | None = None


class ForkedProcess:
    """`stream-vae` with some arguments, forked; dies with the test run.

    Args:
        arguments: What follows `stream-vae`.
        output: Where standard output is appended.
        errors: Where standard error is appended; unset, it goes to `output` too.
        environment: Set for it; none of the test run's `STREAM_VAE_…` reach it.
        directory: Where it works; unset, where the test run does.
        prepare: `module:function` -> argument: called in the process before the program begins.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        output: Path,
        errors: Path | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        prepare: Mapping[str, object] | None = None,
    ) -> None:
        self._server = _server()
        self._run = self._server.start(
            {
                "arguments": list(arguments),
                "output": str(output.absolute()),
                "errors": str((errors or output).absolute()),
                "environment": dict(environment or {}),
                "directory": None if directory is None else str(directory),
                "prepare": dict(prepare or {}),
            }
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._run.pid is not None, "the server answers before the constructor returns"
        return self._run.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: killed by that signal."""
        return self._run.exit_code

    def signal(self, number: Signals) -> None:
        """Send a signal; does nothing to a process that has ended."""
        self._server.order({"signal": int(number), "pid": self.pid})

    def wait(self, timeout_s: float) -> int:
        """Return the exit code.

        Raises:
            TimeoutError: If it still runs after the time.
        """
        code = self._server.await_end(self._run, timeout_s)
        if code is None:
            msg = f"process {self.pid} still runs after {timeout_s} s"
            raise TimeoutError(msg)
        return code

    def kill(self) -> None:
        """Kill it, as a lost machine would; does nothing to a dead one."""
        if self.exit_code is None:
            self.signal(SIGKILL)
            self.wait(_ANSWERS_WITHIN_S)


class _Server:
    """The fork server, a process of its own, and what it has told of the runs."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.fork_server"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the test run alone, which then closes the pipe
        )
        self._numbers = count()
        self._changed = threading.Condition()
        self._runs: dict[int, _Run] = {}
        self._by_pid: dict[int, _Run] = {}
        threading.Thread(target=self._listen, daemon=True).start()
        atexit.register(self.close)

    def close(self) -> None:
        """Kill what still runs."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_ANSWERS_WITHIN_S)

    def start(self, order: dict[str, Any]) -> _Run:
        """Start a process; returns once it is there."""
        with self._changed:
            number, run = next(self._numbers), _Run()
            self._runs[number] = run
            self._send({"start": number, **order})
            # The first one waits for the server's imports.
            limit = Limit(_ANSWERS_WITHIN_S)
            while run.pid is None and not limit.is_over:
                self._changed.wait(limit.left_s)
        assert run.pid is not None, (
            f"the fork server does not answer; its exit code is {self._process.poll()}"
        )
        return run

    def order(self, content: dict[str, Any]) -> None:
        """Give an order that has no answer."""
        with self._changed:
            self._send(content)

    def await_end(self, run: _Run, timeout_s: float) -> int | None:
        """Wait until a process has ended and return its exit code; None if it has not in time."""
        limit = Limit(timeout_s)
        with self._changed:
            while run.exit_code is None and not limit.is_over:
                self._changed.wait(limit.left_s)
            return run.exit_code

    def _send(self, content: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(content).encode() + b"\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._changed:
                if "started" in answer:
                    run = self._runs.pop(answer["started"])
                    run.pid = answer["pid"]
                    self._by_pid[answer["pid"]] = run
                else:
                    self._by_pid.pop(answer["ended"]).exit_code = answer["code"]
                self._changed.notify_all()


@cache
def _server() -> _Server:
    """Return the one server of this test run, whose end closes its standard input."""
    return _Server()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Command:
    """A command of the program. Use it as a context manager: it is killed at the end.

    Args:
        arguments: What follows `stream-vae`.
        folder: For what it writes on standard output and error.
        directory: Where it works.
        environment: Set for it.
    """

    arguments: Sequence[object]
    folder: Path
    directory: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: ForkedProcess = field(init=False)
    _files: tuple[Path, Path] = field(init=False)

    def __post_init__(self) -> None:
        stem = f"command-{time.monotonic_ns()}"
        self._files = (self.folder / f"{stem}.out", self.folder / f"{stem}.err")
        for file in self._files:
            file.touch()
        self._process = ForkedProcess(
            [str(each) for each in self.arguments],
            output=self._files[0],
            errors=self._files[1],
            directory=self.directory,
            environment=self.environment,
        )

    def wait(self, timeout_s: float = 120.0) -> Finished:
        """Wait until it ends.

        Raises:
            TimeoutError: If it still runs after the time.
        """
        code = self._process.wait(timeout_s)
        out, err = (file.read_text(errors="replace") for file in self._files)
        return Finished(code=code, out=out, err=err)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
