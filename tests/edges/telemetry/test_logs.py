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
from stream_vae.events import Event, LibraryLogged


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
    line = json.loads(written({"series": "x" * 1_000_000, "fields": ["y" * 600] * 500}))
    assert line["series"] == "x" * MAX_TEXT + "… (1000000 characters)"
    assert len(line["fields"]) == 101
    assert line["fields"][-1] == "… (500 entries)"
    assert line["fields"][0].endswith("… (600 characters)")


@pytest.mark.parametrize("name", ["detail", "command"])
def test_texts_of_our_own_are_written_to_their_end(name: str) -> None:
    """What to do stands last. Control: there is a bound all the same."""
    advice = "what is wrong, " * 1000 + "and what to do"
    assert json.loads(written({name: advice}))[name] == advice
    assert len(json.loads(written({name: advice * 1000}))[name]) < 2 * len(advice)


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


def test_what_libraries_log_becomes_events() -> None:
    recorded: list[Event] = []
    library = logging.getLogger("some.library")
    library.propagate = False
    library.addHandler(LibraryHandler(recorded.append))
    failure = ValueError(3)
    library.info("not worth a line")
    library.warning("lost %s of %d", "part", 3)
    library.error("crashed", exc_info=failure)
    assert recorded == [
        LibraryLogged(
            library="some.library", level="warning", message="lost part of 3", exc_info=None
        ),
        LibraryLogged(library="some.library", level="error", message="crashed", exc_info=failure),
    ]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_exceptions_are_written_with_their_traceback(log_format: str) -> None:
    text = written({"exc_info": ValueError("https://ann:hunter2@b")}, format=log_format)
    assert "ValueError: https://**********@b" in text
    assert "exc_info" not in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.123456789012345, 0.123457),
        (-123.456789, -123.457),
        (1.7123456789e-06, 1.71235e-06),
        (0.0, 0.0),
        (np.float32(0.1), 0.1),
        ((0.123456789, 3), [0.123457, 3]),
        (1_700_000_000.123456, 1_700_000_000.123),  # no time loses its milliseconds
        (123_456_789, 123_456_789),
        ("0.123456789012345", "0.123456789012345"),
        (True, True),
    ],
)
def test_numbers_have_the_digits_that_a_person_compares(value: object, shown: object) -> None:
    assert json.loads(written({"value": value}))["value"] == shown


def test_settings_are_written_as_they_are() -> None:
    """Control for the test above: a setting that is rounded is another setting."""
    settings = {"detect.threshold.quantile": 0.9999999, "kafka.group_id": "pumps"}
    assert json.loads(written({"settings": settings}))["settings"] == settings


def test_on_a_terminal_each_setting_has_its_own_line() -> None:
    settings = {"kafka.group_id": "pumps", "detector.name": "two\nlines"}
    text = written({"settings": settings, "version": "1"}, Terminal())
    first, *others = text.splitlines()
    assert "version" in first
    assert "group_id" not in first
    assert others == [
        "    settings kafka.group_id = 'pumps'",
        "    settings detector.name = 'two\\nlines'",
    ]


def test_two_loggers_do_not_disturb_each_other() -> None:
    one, two = io.StringIO(), io.StringIO()
    quiet = build_logger(LoggingConfig(level="error"), one)
    loud = build_logger(LoggingConfig(level="debug"), two)
    for logger in (quiet, loud):
        logger.debug("summary")
    assert one.getvalue() == ""
    assert json.loads(two.getvalue())["level"] == "debug"
