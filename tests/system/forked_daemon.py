"""The daemon's own program in a process that has its imports already: for many short runs."""

import json
import multiprocessing
import os
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream_vae.cli import main

_CONTEXT = multiprocessing.get_context("forkserver")
# Torch takes seconds to import: the server does it once, and each daemon is a fork of it.
_CONTEXT.set_forkserver_preload(["__main__", "stream_vae.daemon.start", __name__])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A daemon's end."""

    exit_code: int | None
    failure: str
    """What its log says went wrong; empty if nothing did."""
    output: str
    """All that it wrote: log lines, and the error."""


class ForkedDaemon:
    """`stream-vae run`. Use it as a context manager: it is killed at the end.

    Args:
        config: Its YAML file; the log goes beside it.
        environment: Set for it; none of the test run's `STREAM_VAE_…` reach it.
    """

    def __init__(self, config: Path, environment: Mapping[str, str]) -> None:
        self._log = config.with_suffix(f".{uuid.uuid4().hex[:6]}.log")
        self._log.touch()
        arguments = (config, dict(environment), self._log)
        self._process = _CONTEXT.Process(target=_be_the_daemon, args=arguments)
        self._process.start()

    def find(self, event: str) -> list[dict[str, Any]]:
        """Return the log's events of a name."""
        lines = self._log.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [line for line in found if line["event"] == event]

    def stop(self, timeout_s: float = 30.0) -> Ended:
        """Ask it to drain, commit and end; wait for that."""
        self._process.terminate()
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = 60.0) -> Ended:
        """Wait until it ends by itself; there is no exit code if it has not in time."""
        self._process.join(timeout_s)
        failures = self.find("daemon_failed")
        return Ended(
            exit_code=self._process.exitcode,
            failure=failures[0]["detail"] if failures else "",
            output=self._log.read_text(),
        )

    def __enter__(self) -> "ForkedDaemon":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def _be_the_daemon(config: Path, environment: dict[str, str], log: Path) -> None:
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    for name in [name for name in os.environ if name.startswith("STREAM_VAE_")]:
        del os.environ[name]
    os.environ.update(environment)
    sys.argv = ["stream-vae", "run", "--config", str(config)]
    main()
