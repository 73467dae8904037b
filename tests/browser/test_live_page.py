"""The live page as a person uses it: in a real Chromium, on a daemon in memory."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from stream_vae.edges.http.page_config import PageConfig
from stream_vae.edges.http.page_server import PageServer
from tests.browser.chromium import Chromium, Tab, running_chromium
from tests.deploy.debian import installed_tool, or_skip
from tests.memory_kafka.instance import Instance
from tests.memory_kafka.scene import Scene
from tests.page.showing import page_scene

pytestmark = pytest.mark.slow

PICTURES = os.environ.get("STREAM_VAE_TEST_PICTURES")
"""Folder for pictures of the page, to be looked at."""

HOSTILE = "<img src=x onerror=\"document.title='hacked'\">\u202e"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with running_chromium(or_skip(installed_tool, "chromium", "chromium")) as browser:
        yield browser


class Shown:
    """A daemon in memory with its page; the loop goes round in a thread as it does in a process."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.one: Instance = scene.start()
        self._feeding = threading.Lock()
        self._is_over = threading.Event()
        self._loop = threading.Thread(target=self._turn, daemon=True)
        config = PageConfig(enabled=True, port=0)
        self.server = PageServer(config, lambda: self.one.loop.page, self._status)

    def feed(self, key: str, steps: range, anomalies: Sequence[int] = ()) -> None:
        with self._feeding:
            self.scene.feed_series(key, steps, anomalies=anomalies)

    @contextmanager
    def running(self) -> Iterator[str]:
        self.server.start()
        self._loop.start()
        try:
            yield self.server.url
        finally:
            self._is_over.set()
            self._loop.join()
            self.server.stop()

    def _turn(self) -> None:
        while not self._is_over.wait(0.01):
            with self._feeding:
                self.scene.kafka.clock.sleep(0.02)
                self.one.turn()

    def _status(self) -> dict[str, object]:
        ready = self.one.loop.readiness()
        told = {"ready": {"status": ready.status, "reason": ready.reason}, "detector": "pumps"}
        return {**told, "version": "0.1.0", "uptime_s": 61.0, **self.one.loop.status()}


def picture(tab: Tab, name: str) -> None:
    if PICTURES:
        tab.picture(Path(PICTURES) / f"{name}.png")
        tab.picture(Path(PICTURES) / f"{name}-whole.png", whole=True)


def see_why_nothing_opens(tab: Tab) -> None:
    tab.wait_for("document.querySelector('#picked-state .warn') !== null")
    assert "above the threshold in 1 of the last 3 readings, an incident opens at 2" in tab.text()
    tab.wait_for("document.querySelector('#ranking .unheeded') !== null")
    picture(tab, "quiet")


def draw_the_time_of_its_incident(tab: Tab) -> None:
    tab.ask("document.querySelector('#picked-incidents button').click()")
    tab.wait_for("document.getElementById('focused').innerText.startsWith('Drawn around')")
    picture(tab, "focused")
    tab.ask("document.getElementById('follow').click()")
    tab.wait_for("document.getElementById('focused').hidden")


def see_that_it_has_ended(tab: Tab) -> None:
    tab.wait_for("document.getElementById('broken').innerText.startsWith('This page has')")
    assert "Detection goes on" in tab.text()
    assert tab.ask("document.getElementById('picked-hint').hidden"), "it is drawn as it was"
    picture(tab, "broken")
    tab.ask("document.querySelector('#ranking button[aria-current=false]').click()")
    tab.wait_for("document.getElementById('picked-hint').innerText.includes('are not known')")
    assert "not known any more" in tab.ask("document.getElementById('picked-state').innerText")
    picture(tab, "broken-other")


def test_a_person_sees_an_incident_open_and_end_and_picks_series_by_keys(
    chromium: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Shown(page_scene())
    for key in ("boiler-2", "pump-7", HOSTILE):
        shown.feed(key, range(40))
    with shown.running() as url:
        tab = chromium.tab()
        tab.show_as()
        tab.open(url)
        tab.wait_for("document.querySelectorAll('#ranking button').length === 3")
        tab.wait_for("document.getElementById('ready').textContent === 'ready'")
        tab.wait_for("document.body.innerText.includes('None since this instance began')")

        tab.press("/")
        for key in "pump":
            tab.press(key)
        tab.wait_for("document.querySelectorAll('#ranking button').length === 1")
        tab.press("ArrowDown")
        tab.press("Enter")
        tab.wait_for("document.getElementById('picked-title').textContent === 'pump-7'")
        tab.wait_for("document.querySelectorAll('#charts canvas').length === 4")
        assert "#series=0/pump-7" in tab.ask("location.href")
        tab.ask("document.getElementById('search').focus()")
        tab.press("Escape")

        shown.feed("pump-7", range(40, 41), anomalies=[40])
        see_why_nothing_opens(tab)
        shown.feed("pump-7", range(41, 44), anomalies=range(41, 44))
        tab.wait_for("document.querySelector('.incident.firing') !== null")
        tab.wait_for("document.title.startsWith('(1) ')")
        assert "pump-7" in tab.ask("document.getElementById('announced').textContent")
        tab.ask("document.querySelector('.incident summary').click()")
        shares = tab.text()
        assert "% of the score" in shares
        assert "stream-vae.readings 0, offsets" in shares
        tab.wait_for("document.querySelector('#picked-state .bad') !== null")
        picture(tab, "firing")

        shown.feed("pump-7", range(44, 80))
        tab.wait_for("document.querySelector('.incident.over') !== null")
        tab.wait_for("!document.title.startsWith('(')")
        assert tab.ask("document.querySelector('.incident').open"), "it stays as it was left"
        draw_the_time_of_its_incident(tab)
        assert HOSTILE[:-1] in tab.text(), "as text"
        assert tab.ask("document.images.length") == 1, "the page's own"

        for scheme, width in (("dark", 1280), ("light", 390)):
            tab.show_as(width=width, scheme=scheme, motion="reduce")
            tab.wait_for(f"matchMedia('(prefers-color-scheme: {scheme})').matches")
            assert tab.ask("document.documentElement.scrollWidth <= innerWidth"), "it fits"
            assert (
                tab.ask("getComputedStyle(document.querySelector('.dot')).animationName") == "none"
            )
            picture(tab, f"{scheme}-{width}")
        monkeypatch.setattr(shown.one.loop.page, "_board", None)
        see_that_it_has_ended(tab)
        assert tab.complaints == [], "no error, and nothing that the policy refused"


def test_the_login_takes_the_token_of_an_address_and_forgets_it(chromium: Chromium) -> None:
    token = "a token of sixteen or more"  # noqa: S105 -- of this test
    config = PageConfig(enabled=True, port=0, token=SecretStr(token))
    server = PageServer(config, lambda: None, lambda: {"detector": "pumps"})
    server.start()
    try:
        tab = chromium.tab()
        tab.open(server.url)
        tab.wait_for("location.pathname === '/login' && document.getElementById('token') !== null")
        picture(tab, "login")
        tab.open(f"{server.url}/login#token={token.replace(' ', '%20')}")
        tab.wait_for("document.getElementById('detector')?.textContent === 'pumps'")
        assert token not in tab.ask("location.href + document.cookie")
    finally:
        server.stop()


def test_a_thing_that_the_policy_refuses_would_be_noticed(chromium: Chromium) -> None:
    """Control: the page's own files are all that may run."""
    shown = Shown(page_scene())
    with shown.running() as url:
        tab = chromium.tab()
        tab.open(url)
        tab.wait_for("document.getElementById('ready')?.textContent === 'ready'")
        tab.ask("document.body.insertAdjacentHTML('beforeend', '<p style=color:red>x</p>')")
        tab.wait_for("document.querySelectorAll('p[style]').length === 1")
        assert any("Content Security Policy" in one for one in tab.complaints)
