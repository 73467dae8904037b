"""The live page of a demo: where it is, and how long it stays."""

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from stream_vae.commands.jobs.terminal import styled
from stream_vae.errors import StreamVaeError

PAGE: dict[str, Any] = {"page": {"enabled": True, "port": 0}}
"""Settings of the daemon that has one."""

_READY_WITHIN_S = 30.0
_NAP_S = 0.2


def tell_page(log: Path, console: Console, what_comes: str) -> None:
    """Print where the page of a daemon that is starting is, as soon as its log says so.

    Args:
        log: Of the daemon, JSON.
        console: Where to print.
        what_comes: What can be watched there.

    Raises:
        StreamVaeError: If the daemon does not become ready.
    """
    deadline = time.monotonic() + _READY_WITHIN_S
    while (url := _page_url(log)) is None:
        if time.monotonic() > deadline:
            msg = f"the daemon has no page; its log: {log}"
            raise StreamVaeError(msg)
        time.sleep(_NAP_S)
    console.print(styled("Open ", (url, "bold"), f" in a browser. {what_comes}"))


def stay_for_page(console: Console) -> None:
    """Keep the daemon and its page until Ctrl-C."""
    console.print("The page stays as it is. Ctrl-C ends the demo.")
    try:
        while True:
            time.sleep(_NAP_S)
    except KeyboardInterrupt:
        console.print()


def _page_url(log: Path) -> str | None:
    for line in log.read_text(encoding="utf-8").splitlines():
        if '"daemon_ready"' in line:
            url: str | None = json.loads(line).get("page_url")
            return url
    return None
