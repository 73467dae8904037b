"""Runs the program quickly: imports the product once and forks a process for each run.

A start by `python -m stream_vae` takes some 5 CPU seconds, nearly all of them imports. Orders are
JSON lines on standard input; when it closes, every process is killed:

    {"start": number, "arguments": [...], "environment": {...}, "directory": path or null,
     "output": file, "errors": file, "prepare": {"module:function": argument}}
    {"signal": number, "pid": pid}

Answers are JSON lines, to an order to start and whenever a process ends (negative: by that signal):

    {"started": number, "pid": pid}
    {"ended": pid, "code": code}

What `prepare` names is called in the forked process before the program begins.
"""

import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any, NoReturn

import stream_vae
from stream_vae import cli
from stream_vae.models.device import limit_threads

_TICK_S = 0.02
_OWN_VARIABLES = "STREAM_VAE_"
_LIBRARIES = ("matplotlib.pyplot", "river.drift", "torch", "uvicorn.protocols.http.h11_impl")
"""Slow to import, wherever the product does it."""


class ForkServer:
    """The running processes. Single-threaded, since it forks."""

    def __init__(self) -> None:
        self._running: set[int] = set()

    def serve(self) -> None:
        """Take orders until standard input closes."""
        pending = b""
        while True:
            self._reap()
            if not select.select([0], [], [], _TICK_S)[0]:
                continue
            received = os.read(0, 65536)
            if not received:
                break
            *lines, pending = (pending + received).split(b"\n")
            for line in lines:
                self._obey(json.loads(line))
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)

    def _obey(self, order: dict[str, Any]) -> None:
        if "signal" in order:
            # A process that has ended keeps its id until it is reaped here: no other can have it.
            if order["pid"] in self._running:
                os.kill(order["pid"], order["signal"])
            return
        pid = os.fork()
        if pid == 0:
            _run_program(order)
        self._running.add(pid)
        _answer({"started": order["start"], "pid": pid})

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._running.discard(pid)
            _answer({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _answer(content: dict[str, int]) -> None:
    os.write(1, json.dumps(content).encode() + b"\n")


def _run_program(order: dict[str, Any]) -> NoReturn:
    """Run the program in this forked process, and end with its exit code."""
    code = 1
    try:
        os.setsid()
        _redirect(order["output"], order["errors"])
        os.environ.update(order["environment"])
        if order["directory"] is not None:
            os.chdir(order["directory"])
        for name, argument in order["prepare"].items():
            module, _, function = name.partition(":")
            getattr(importlib.import_module(module), function)(argument)
        sys.argv = ["stream-vae", *order["arguments"]]
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


def _redirect(output: str, errors: str) -> None:
    """Let standard input be empty, and standard output and error go to files."""
    sources = [
        os.open(os.devnull, os.O_RDONLY),
        *(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in (output, errors)),
    ]
    for standard, source in enumerate(sources):
        os.dup2(source, standard)
        os.close(source)


def _import_everything() -> None:
    """Import what any command may, at its start or later, and let forks share the memory of it."""
    for module in pkgutil.walk_packages(stream_vae.__path__, "stream_vae."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _LIBRARIES:
        importlib.import_module(name)
    limit_threads(1)  # threads that wait for each other make small products slow on a busy machine
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    for name in [name for name in os.environ if name.startswith(_OWN_VARIABLES)]:
        del os.environ[name]
    _import_everything()
    ForkServer().serve()
