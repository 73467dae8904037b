"""Starts daemons quickly: imports the product once and forks a process for each.

A daemon dies and comes back some hundred times in a run; importing torch each time would take
longer than the faults. Orders are JSON lines on standard input; when it closes, all daemons go:

    {"start": configuration file, "log": file, "requests": directory, "broken_order": false}
    {"signal": number, "pid": pid}

Answers are JSON lines, to an order to start and whenever a daemon ends (negative: by that signal):

    {"started": log, "pid": pid}
    {"ended": pid, "code": code}
"""

import json
import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import torch

from stream_vae import cli
from tests.system.chaos import broken_order, hooks

_LOOK_S = 0.02


class ForkServer:
    """The daemons of one run. Single-threaded, since it forks."""

    def __init__(self) -> None:
        self._alive: set[int] = set()

    def serve(self) -> None:
        """Take orders until standard input closes."""
        pending = b""
        while True:
            self._reap()
            if not select.select([0], [], [], _LOOK_S)[0]:
                continue
            received = os.read(0, 65536)
            if not received:
                break
            *lines, pending = (pending + received).split(b"\n")
            for line in lines:
                self._obey(json.loads(line))
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)

    def _obey(self, order: dict[str, Any]) -> None:
        if "signal" in order:
            if order["pid"] in self._alive:
                os.kill(order["pid"], order["signal"])
            return
        pid = os.fork()
        if pid == 0:
            _become_daemon(order)
        self._alive.add(pid)
        _answer({"started": order["log"], "pid": pid})

    def _reap(self) -> None:
        while self._alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._alive.discard(pid)
            _answer({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _answer(content: dict[str, int | str]) -> None:
    os.write(1, json.dumps(content).encode() + b"\n")


def _become_daemon(order: dict[str, Any]) -> NoReturn:
    """Run `stream-vae run` in this forked process, and end with its exit code."""
    code = 1
    try:
        os.setsid()
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, standard in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, standard)
        hooks.install(Path(order["requests"]))
        if order["broken_order"]:
            broken_order.install()
        sys.argv = ["stream-vae", "run", "--config", order["start"]]
        cli.main()
        code = 0
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:  # noqa: BLE001 - the interpreter would do the same with it
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    for name in [name for name in os.environ if name.startswith("STREAM_VAE_")]:
        del os.environ[name]
    torch.set_num_threads(1)
    ForkServer().serve()
