"""A real Chromium, driven over the DevTools protocol by a pipe."""

import base64
import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.limits import slowness

_ANSWER_S = 20.0
_LEFT = "Inspected target navigated or closed"
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # it is the tests' own page, and containers have no user namespaces
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--hide-scrollbars",
)


class LeftPageError(Exception):
    """What was asked of a page is not answered: the tab went on to another one."""


class Tab:
    """One tab, and what its page complained about."""

    def __init__(self, browser: "Chromium", session: str) -> None:
        self._browser = browser
        self._session = session
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a command."""
        return self._browser.command(method, parameters, self._session)

    def open(self, url: str) -> None:
        self.do("Page.navigate", url=url)

    def ask(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript."""
        done = self.do(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait_for(self, expression: str, within_s: float = 10.0) -> Any:
        """Return the value of an expression once it is true."""
        deadline = time.monotonic() + within_s * slowness()
        while True:
            try:
                found = self.ask(expression)
            except LeftPageError:
                found = None
            if found or time.monotonic() > deadline:
                assert found, f"never so: {expression}; {self.complaints}; {self.text()[:2000]}"
                return found
            time.sleep(0.05)

    def text(self) -> str:
        """Return the text of the page, as it is shown."""
        return str(self.ask("document.body.innerText"))

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        code = {"Enter": 13, "ArrowDown": 40, "ArrowUp": 38, "Tab": 9, "Escape": 27}.get(key, 0)
        self.do(
            "Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text
        )
        self.do("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def show_as(
        self,
        *,
        width: int = 1280,
        height: int = 900,
        scheme: str = "light",
        motion: str = "no-preference",
    ) -> None:
        """Show the page in a window of some size, as a user with these wishes sees it."""
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        self.do("Emulation.setEmulatedMedia", features=features)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what is shown, or the whole page, as PNG."""
        done = self.do("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(done["data"]))

    def heard(self, message: dict[str, Any]) -> None:
        """Take note of an event of the page."""
        method, given = message["method"], message["params"]
        if method == "Runtime.exceptionThrown":
            details = given["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and given["type"] in {"error", "warning"}:
            self.complaints.append(str([one.get("value") for one in given["args"]]))
        elif method == "Log.entryAdded" and given["entry"]["level"] in {"error", "warning"}:
            entry = given["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")


class Chromium:
    """A browser process with an empty profile."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._number = 0
        self._read = b""
        self._tabs: dict[str, Tab] = {}

    def tab(self) -> Tab:
        """Open a tab."""
        target = self.command("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self.command("Target.attachToTarget", {"targetId": target, "flatten": True})
        session = attached["sessionId"]
        self._tabs[session] = tab = Tab(self, session)
        return tab

    def command(
        self, method: str, parameters: dict[str, Any], session: str | None = None
    ) -> dict[str, Any]:
        """Send a command; return its answer, having heard all events before it.

        Raises:
            LeftPageError: If the tab goes to another page meanwhile.
        """
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _ANSWER_S * slowness()
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self._number:
                error = answer.get("error")
                if error is not None and error["message"] == _LEFT:
                    raise LeftPageError(method)
                assert error is None, (method, error)
                result: dict[str, Any] = answer["result"]
                return result
            tab = self._tabs.get(answer.get("sessionId", ""))
            if tab is not None:
                tab.heard(answer)

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._from], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "the browser does not answer"
            chunk = os.read(self._from, 1 << 20)
            assert chunk, "the browser ended"
            self._read += chunk
        message, _, self._read = self._read.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


@contextmanager
def running_chromium(program: Path) -> Iterator[Chromium]:
    """Run a browser until the end of the block."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [str(program), *_FLAGS, f"--user-data-dir={profile}"]
        joined = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        process = subprocess.Popen(
            ["bash", "-c", joined, "-", *command],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        browser = Chromium(ours_out, ours_in)
        try:
            yield browser
            with suppress(AssertionError):  # it may end before it answers
                browser.command("Browser.close", {})
        finally:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(ours_out)
            os.close(ours_in)
