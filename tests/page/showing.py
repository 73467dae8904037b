"""A daemon in memory whose live page somebody watches."""

import json
from collections.abc import Mapping
from typing import Any

from stream_vae.core.series_index import SeriesName
from stream_vae.daemon.live_page import LivePage
from stream_vae.edges.http.page_config import PageConfig
from tests.memory_kafka.instance import Instance, Parts
from tests.memory_kafka.scene import Scene, make_settings


def page_scene(partitions: int = 1, *, capacity: int = 64, **sections: Mapping[str, Any]) -> Scene:
    """Return a scene whose instances have a live page."""
    settings = make_settings(**sections)
    page = settings.model_copy(update={"page": PageConfig(enabled=True)})
    return Scene(partitions, Parts(settings=page, capacity=capacity))


class Watcher:
    """One reader of the page of an instance."""

    def __init__(self, one: Instance, series: SeriesName | None = None) -> None:
        assert one.loop.page is not None
        self.one = one
        self.view: LivePage = one.loop.page
        self.series = series
        self.cursor: object = None
        self.version = 0
        self.parts: dict[str, Any] = {}
        self.shown: dict[int, dict[str, Any]] = {}
        self.pick(series)

    def pick(self, series: SeriesName | None) -> None:
        self.series, self.cursor = series, None
        self.view.watch([] if series is None else [series], is_watched=True)

    def news(self) -> dict[str, Any]:
        """Let half a second go by; return the parts that the reader lacks then."""
        self._go_on()
        self.version, news = self.view.news(self.version)
        return {name: json.loads(content) for name, content in news}

    def summary(self) -> dict[str, Any]:
        """Let half a second go by; return what is shown of all series then, as the page has it."""
        news = self.news()
        incidents = news.pop("incidents", None)
        self.parts.update(news)
        if incidents is not None:
            self.shown = {} if incidents["is_whole"] else self.shown
            self.shown.update(dict(incidents["changed"]))
            self.shown = {number: self.shown[number] for number in incidents["order"]}
        return {**self.parts["series"], **self.parts, "incidents": list(self.shown.values())}

    def steps(self) -> dict[str, Any] | None:
        """Return the steps of the picked series that the reader lacks."""
        self._go_on()
        assert self.series is not None
        found = self.view.steps(self.series, self.cursor)
        if found is None:
            return None
        self.cursor = found[0]
        content: dict[str, Any] = json.loads(found[1])
        return content

    def _go_on(self) -> None:
        self.one._kafka.clock.sleep(0.5)
        self.one.turn(2)
