"""Lines of logs are known by how they begin, and the configuration that is printed reads them."""

import json
from pathlib import Path

import pytest

from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inspect.configuration import configuration
from stream_vae.inspect.inspection import Inspection
from stream_vae.inspect.log_shapes import HEADS
from stream_vae.inspect.report import report_lines
from stream_vae.inspect.survey import inspect_records
from stream_vae.settings import load_settings
from tests.inputs.otlp_messages import fixed64, message
from tests.inspect.shapes import START, Record, batch_of, iso

NOW_NS = (START + 3600 * 24) * 10**9
SAID = "INFO request 7 was served"
HEAD = {
    "ISO 8601, host, program (rsyslog)": "2026-01-01T00:00:07.25+01:00 web-1 app[7]: {}",
    "ISO 8601": "[2026-01-01T00:00:07Z] {}",
    "ISO 8601 without offset": "2026-01-01 00:00:07,250 {}",
    "syslog": "<30>Jan  1 00:00:07 web-1 app[7]: {}",
    "klog": "I0101 00:00:07.250000       1 main.go:7] {}",
    "logcat": "01-01 00:00:07.250  1702  2395 D Manager: {}",
    "access log of Apache or nginx": '10.0.0.1 - ann [01/Jan/2026:00:00:07 +0100] "GET /{}"',
    "error log of Apache": "[Thu Jan 01 00:00:07 2026] [notice] {}",
    "year/month/day (nginx, Go)": "2026/01/01 00:00:07 {}",
    "yy/mm/dd (Spark)": "26/01/01 00:00:07 {}",
    "yymmdd HHMMSS (Hadoop)": "260101 000007 {}",
    "epoch": "1767225607.250 {}",
    "label, epoch (BGL)": "- 1767225607 {}",
}


def look(lines: list[str], key: bytes | None = None) -> Inspection:
    return inspect_records(
        batch_of([Record(line.encode(), key=key) for line in lines]), now_ns=NOW_NS
    )


def look_at(value: bytes) -> Inspection:
    return inspect_records(batch_of([Record(value)] * 5), now_ns=NOW_NS)


def settings_of(found: Inspection, folder: Path) -> LogFormat:
    path = folder / "proposed.yaml"
    path.write_text(configuration(found, topic="app", servers="b:9092"))
    return load_settings(config=path, environ={}).settings.input


def test_a_configuration_of_sessions_is_one_that_trains_on_them(tmp_path: Path) -> None:
    """Control: without them a window has more steps."""
    lines = [HEAD["ISO 8601"].format(text) for text in ("INFO job 1 on", "INFO job 1 off", "INFO")]
    for given, length, keyless in (({"session_pattern": "job (.)"}, 1, True), ({}, 32, False)):
        records = batch_of([Record(line.encode(), key=b"a") for line in lines])
        found = inspect_records(records, now_ns=NOW_NS, given=given)
        path = tmp_path / "proposed.yaml"
        path.write_text(configuration(found))
        settings = load_settings(config=path, environ={}).settings
        assert (settings.model.window_length, settings.input.sessions is None) == (
            length,
            not given,
        )
        told = "1 lines tell no key of a session, and would count nowhere" in found.proposal.notes
        assert told is keyless


@pytest.mark.parametrize("name", [head.name for head in HEADS])
def test_a_common_head_of_lines_is_known_and_read(name: str, tmp_path: Path) -> None:
    found = look([HEAD[name].format(SAID)] * 5)
    settings = settings_of(found, tmp_path)
    assert settings.format == "log_lines"
    assert found.proposal.why["timestamp_pattern"].startswith(f"{name}, such as ")
    assert (found.proof.n_readings, dict(found.proof.rejected)) == (5, {})
    has_offset = next(head.has_offset for head in HEADS if head.name == name)
    assert (settings.timestamp_zone is None) is has_offset
    told = "\n".join(report_lines(found))
    assert "from 20" in told
    assert "5 lines of 1 templates" in told
    assert (settings.series_pattern is not None) is (name in HEAD and "web-1" in HEAD[name])
    assert (settings.series == "all") is (settings.series_pattern is None)


@pytest.mark.parametrize(
    ("line", "pattern", "n_series"),
    [
        ("2026-01-01T00:00:{:02d}Z shop-{} was sold out", r"^\[?", 2),
        ("2026-01-01T00:00:{:02d}Z was sold out, pod=shop-{}", r"\bpod=([\w.-]+)", 2),
        ("2026-01-01T00:00:{:02d}Z INFO{} was sold out", "", 1),  # a word, and no name of a host
        ("2026-01-01T00:00:{:02d}Z r{:09d} was sold out", "", 1),  # another in each line
    ],
)
def test_a_host_after_the_time_or_with_its_label_names_the_series(
    line: str, pattern: str, n_series: int, tmp_path: Path
) -> None:
    other = "r{" in line or "INFO" in line
    lines = [line.format(at, at if other and "r{" in line else at % 2) for at in range(40)]
    if "INFO" in line:
        lines = [one.replace("INFO0", "INFO").replace("INFO1", "WARN") for one in lines]
    found = look(lines)
    assert found.series is not None
    assert found.series.n == n_series
    settings = settings_of(found, tmp_path)
    assert (settings.series_pattern or "").startswith(pattern)
    assert (settings.series_pattern is None) is (not pattern)
    assert found.proof.n_readings == 40


def test_what_the_preset_in_force_holds_is_not_proposed_again(tmp_path: Path) -> None:
    """Control: without a preset, patterns of one's own read the same lines."""
    lines = [HEAD["ISO 8601, host, program (rsyslog)"].format(SAID)] * 5
    preset = {"preset": "rsyslog"}
    records = batch_of([Record(line.encode()) for line in lines])
    found = inspect_records(records, now_ns=NOW_NS, given=preset)
    assert dict(found.proposal.settings) == preset
    own, usual = settings_of(found, tmp_path), settings_of(look(lines), tmp_path)
    for one in (own, usual):
        assert None not in (one.series_pattern, one.timestamp_pattern, one.message_pattern)
    document = {"@timestamp": iso(START), "host": {"name": "web-1"}, "message": SAID}
    records = batch_of([Record(json.dumps(document).encode())] * 5)
    beat = inspect_records(records, now_ns=NOW_NS, given={"preset": "filebeat"})
    assert dict(beat.proposal.settings) == {"preset": "filebeat"}
    assert beat.proof.n_readings == 5


def test_no_level_and_no_message_is_taken_for_a_series() -> None:
    lines = [
        json.dumps({"ts": START + at, "level": ("info", "warn")[at % 2], "message": SAID})
        for at in range(10)
    ]
    assert look(lines).proposal.settings["series"] == "all"


def test_keys_name_series_and_lines_without_a_known_time_have_their_records(tmp_path: Path) -> None:
    found = look(["the pump was started"] * 5, key=b"web-1")
    settings = settings_of(found, tmp_path)
    assert (settings.series, settings.timestamp_pattern) == (None, None)
    assert found.proof.n_readings == 5
    assert "set timestamp_pattern" in " ".join(found.proposal.notes)


def test_a_log_in_json_is_known_by_its_line_and_readings_are_not(tmp_path: Path) -> None:
    """Control: numbers beside one word are readings."""
    lines = [json.dumps({"ts": START + at, "host": "web-1", "msg": SAID}) for at in range(5)]
    settings = settings_of(found := look(lines), tmp_path)
    assert (settings.format, settings.message_field) == ("log_lines", "msg")
    assert (settings.timestamp_field, settings.series_field) == ("ts", "host")
    assert found.proof.n_readings == 5
    words = [json.dumps({"ts": START + at, "host": "web-1", "msg": "ok", "x": at}) for at in (1, 3)]
    assert "format" not in look(words).proposal.settings
    assert look(["a,1,2"] * 5).proposal.settings == {}


@pytest.mark.parametrize("form", ["otlp_logs_json", "otlp_logs_proto"])
def test_logs_of_open_telemetry_are_known_with_their_series_and_read(
    form: str, tmp_path: Path
) -> None:
    """Control: the test of shapes, for metrics of OpenTelemetry."""
    host, library = ("k8s.pod.name", "web-1"), ("telemetry.sdk.name", "otel")
    line = f"{iso(START)} {SAID}"
    value = json.dumps(
        {
            "resourceLogs": [
                {
                    "resource": {
                        "attributes": [
                            {"key": key, "value": {"stringValue": text}}
                            for key, text in (host, library)
                        ]
                    },
                    "scopeLogs": [
                        {
                            "logRecords": [
                                {"timeUnixNano": str(START), "body": {"stringValue": line}}
                            ]
                        }
                    ],
                }
            ]
        }
    ).encode()
    if form == "otlp_logs_proto":
        labels = [message((1, key), (2, message((1, text)))) for key, text in (host, library)]
        log = fixed64(11, START * 10**9) + message((5, message((1, line))))
        resource = message(*((1, label) for label in labels))
        value = message((1, message((1, resource), (2, message((2, log))))))
    settings = settings_of(found := look_at(value), tmp_path)
    assert settings.format == form
    assert settings.series_field == "resource.k8s.pod.name"
    assert settings.message_pattern is not None
    assert found.proof.n_readings == 5
    assert '5 lines of 1 templates, the most frequent "INFO request <*>' in "\n".join(
        report_lines(found)
    )


@pytest.mark.parametrize(
    "odd",
    [b"\x1b[32m%s\x1b[0m", b"%s\tby caf\xe9", b"%s\0\0", b"  \x1b[1;34m%s\x1b[0m\t"],
    ids=["colours", "another encoding", "zeros", "colours behind space"],
)
def test_lines_with_odd_bytes_are_lines(odd: bytes) -> None:
    """Control: bytes that are mostly no text are none."""
    line = HEAD["ISO 8601"].format(SAID).encode()
    batch = batch_of([Record(odd % line)] * 5)
    found = inspect_records(batch, now_ns=NOW_NS, read_lines=lambda _: iter([batch]))
    assert found.proof.n_readings == 5
    assert "split_lines" not in found.proposal.settings
    assert "timestamp_pattern" in found.proposal.settings
    assert look_at(bytes(range(1, 32)) + line[:9]).proposal.form == "binary"


def test_a_log_in_json_whose_line_has_no_usual_name_is_told_with_its_fields() -> None:
    """With a level it is read as one; without, what to set is told. Control: readings."""

    def of(**more: object) -> Inspection:
        return look([json.dumps({"ts": START + n, "x": n * n % 7, **more}) for n in range(30)])

    line = look(
        [json.dumps({"ts": START, "severity": "WARN", "what": f"job {n} is on"}) for n in range(9)]
    )
    assert line.proposal.settings["message_field"] == "what"
    assert "what is taken, of ts, severity, what" in line.proposal.notes[0]
    event = of(level="info", event="served")
    assert not event.of_logs
    assert "The fields are ts, x, level, event. To count lines, put `input:" in "".join(
        event.proposal.notes
    )
    assert "log" not in " ".join(of(level=3, site="north hall of a").proposal.notes)
    told = look([json.dumps({"ts": START + n, "what": f"job {n} is on"}) for n in range(30)])
    assert 'message_field: "what"' in " ".join(told.proposal.notes)


def test_stack_traces_of_a_file_are_joined_and_the_year_of_its_lines_is_told() -> None:
    """Control: records of a topic are never joined, and have a time of their own."""
    lines = [HEAD["syslog"].format(SAID)] * 5 + ["Traceback (most recent call last):", "  at f()"]
    batch = batch_of([Record(line.encode()) for line in lines])
    of_file = inspect_records(batch, now_ns=NOW_NS, read_lines=lambda _: iter([batch]))
    assert of_file.proposal.settings["split_lines"] is True
    assert of_file.proposal.why["split_lines"].startswith("2 lines belong to the one before")
    assert "lines tell no year" in " ".join(of_file.proposal.notes)
    of_topic = inspect_records(batch, now_ns=NOW_NS)
    assert "split_lines" not in of_topic.proposal.settings
    assert "no year" not in " ".join(of_topic.proposal.notes)


def test_json_over_several_lines_is_named() -> None:
    text = json.dumps({"ts": START, "x": 1}, indent=1)
    assert "one object a line: jq -c" in look(text.split("\n") * 3).proposal.notes[0]
