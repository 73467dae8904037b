"""Lines that machines can read, that people can read, and that give nothing away."""

import io
import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from stream_vae.edges.telemetry.config import LoggingConfig
from stream_vae.edges.telemetry.logs import MAX_TEXT, LibraryHandler, build_logger


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(fields: dict[str, Any], stream: io.StringIO | None = None, **config: Any) -> str:
    stream = stream or io.StringIO()
    build_logger(LoggingConfig(**config), stream).info("alert_delivered", **fields)
    return stream.getvalue()


def test_off_a_terminal_a_line_is_a_json_object() -> None:
    before = datetime.now(UTC)
    text = written({"series": "pump-7", "score": 1.5})
    line = json.loads(text)
    assert text.count("\n") == 1
    assert list(line) == ["timestamp", "level", "event", "series", "score"]
    assert (line["level"], line["event"]) == ("info", "alert_delivered")
    assert line["timestamp"].endswith("Z")
    assert before <= datetime.fromisoformat(line["timestamp"]) <= datetime.now(UTC)


def test_on_a_terminal_a_line_is_for_eyes() -> None:
    text = written({"series": "pump-7"}, Terminal())
    assert "alert_delivered" in text
    assert "pump-7" in text
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_the_format_can_be_chosen_on_either(stream: type[io.StringIO]) -> None:
    assert json.loads(written({}, stream(), format="json"))["event"] == "alert_delivered"
    assert not written({}, stream(), format="console").startswith("{")


def test_a_pipe_is_no_terminal() -> None:
    """The real thing: what a container's log driver reads."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as source, os.fdopen(writing, "w") as sink:
        build_logger(LoggingConfig(), sink).info("summary", records=1)
        sink.flush()
        assert json.loads(source.readline())["records"] == 1


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_not_written(level: str, expected: list[str]) -> None:
    stream = io.StringIO()
    given_level: Any = level
    logger = build_logger(LoggingConfig(level=given_level), stream)
    for name in ("debug", "info", "warning", "error"):
        getattr(logger, name)("summary")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == expected


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_are_masked(log_format: str) -> None:
    fields = {
        "settings": {"kafka": {"sasl_password": "hunter2", "common": {"ssl.key.pem": "hunter2"}}},
        "password": SecretStr("hunter2"),
        "detail": "https://ann:hunter2@b:1 refused sasl.password=hunter2",
        "series": "pump-7",
    }
    text = written(fields, format=log_format)
    assert "hunter2" not in text
    assert "**********" in text
    assert "pump-7" in text


def test_secrets_are_masked_in_tracebacks() -> None:
    stream = io.StringIO()
    logger = build_logger(LoggingConfig(), stream)
    failure = RuntimeError("no answer from https://ann:hunter2@b:1")
    logger.error("daemon_crashed", exc_info=failure)
    line = json.loads(stream.getvalue())
    assert "RuntimeError: no answer from https://**********@b:1" in line["exception"]
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize("key", ["\x1b[2Jwiped", "two\nlines", "bell\x07", "right\u202eleft"])
def test_texts_of_the_stream_cannot_steer_a_terminal(key: str) -> None:
    text = written({"series": key}, format="console")
    assert key not in text
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()


@given(st.text(max_size=40))
def test_json_gives_any_text_back(key: str) -> None:
    text = written({"series": f"k:{key.replace('://', '')}"})
    assert text.count("\n") == 1
    shown = json.loads(text)["series"]
    assert shown == f"k:{key.replace('://', '')}"


def test_long_texts_are_cut() -> None:
    line = json.loads(written({"detail": "x" * 1_000_000, "fields": ["y" * 600] * 500}))
    assert line["detail"] == "x" * MAX_TEXT + "… (1000000 characters)"
    assert len(line["fields"]) == 101
    assert line["fields"][-1] == "… (500 entries)"
    assert line["fields"][0].endswith("… (600 characters)")


def test_values_that_json_cannot_hold_become_ones_it_can() -> None:
    fields = {
        "score": float("nan"),
        "peak": np.float32("inf"),
        "windows": np.int64(3),
        "path": Path("a/b"),
        "lag": {0: 1},
        "partitions": (0, 1),
    }
    line = json.loads(written(fields), parse_constant=pytest.fail)
    del line["timestamp"], line["level"], line["event"]
    assert line == {
        "score": None,
        "peak": None,
        "windows": 3,
        "path": "a/b",
        "lag": {"0": 1},
        "partitions": [0, 1],
    }


def test_what_libraries_log_becomes_lines_of_ours() -> None:
    stream = io.StringIO()
    library = logging.getLogger("some.library")
    library.propagate = False
    library.addHandler(LibraryHandler(build_logger(LoggingConfig(), stream), 60, lambda: 0.0))
    library.info("not worth a line")
    library.warning("lost %s of %d", "https://ann:hunter2@b", 3)
    library.error("crashed", exc_info=ValueError(3))
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["level"], first["event"], first["library"], first["message"]) == (
        "warning",
        "library_logged",
        "some.library",
        "lost https://**********@b of 3",
    )
    assert (second["level"], second["message"]) == ("error", "crashed")
    assert "ValueError: 3" in second["exception"]


def connect_failure(port: int, name: str = "rdkafka") -> logging.LogRecord:
    message = "Connect to %s:%d failed: refused (after %dms)"
    return logging.LogRecord(name, logging.ERROR, "", 1, message, ("b", port, port % 7), None)


def test_repeated_lines_of_libraries_are_held_back_and_counted() -> None:
    """An outage: a client tells of every failed attempt, each with another port and duration."""
    stream, seconds = io.StringIO(), iter([0.0, 1.0, 2.0, 2.5, 61.0, 62.0, 63.0])
    handler = LibraryHandler(build_logger(LoggingConfig(), stream), 60, lambda: next(seconds))
    for port in (9092, 9093, 9094):
        handler.handle(connect_failure(port))
    handler.handle(connect_failure(9092, name="other"))
    handler.handle(connect_failure(9095))
    handler.handle(connect_failure(9096))
    handler.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    told = [(line["library"], line["message"].split()[2], line["count"]) for line in lines]
    assert told == [
        ("rdkafka", "b:9092", 1),
        ("other", "b:9092", 1),
        ("rdkafka", "b:9095", 3),
        ("rdkafka", "b:9096", 1),
    ]


def test_other_lines_of_libraries_are_not_held_back() -> None:
    """Control for the test above; and what was held back comes with whatever is logged next."""
    stream, seconds = io.StringIO(), iter([0.0, 1.0, 61.0])
    handler = LibraryHandler(build_logger(LoggingConfig(), stream), 60, lambda: next(seconds))
    handler.handle(connect_failure(9092))
    handler.handle(connect_failure(9093))
    handler.handle(logging.LogRecord("rdkafka", logging.WARNING, "", 1, "back", (), None))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["level"], line["count"]) for line in lines] == [
        ("error", 1),
        ("warning", 1),
        ("error", 1),
    ]


def test_two_loggers_do_not_disturb_each_other() -> None:
    one, two = io.StringIO(), io.StringIO()
    quiet = build_logger(LoggingConfig(level="error"), one)
    loud = build_logger(LoggingConfig(level="debug"), two)
    for logger in (quiet, loud):
        logger.debug("summary")
    assert one.getvalue() == ""
    assert json.loads(two.getvalue())["level"] == "debug"
