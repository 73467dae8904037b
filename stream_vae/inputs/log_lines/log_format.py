"""Settings of the input formats of logs."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from stream_vae.core.excerpts import excerpt
from stream_vae.core.sessions import SessionConfig
from stream_vae.inputs.reading_format import ReadingFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFormat(ReadingFormat):
    """Where a record of a log keeps its line, its level, its time and its series."""

    message_field: str | None = None
    """Field (dotted path allowed) of the line in a log that is JSON (Fluent Bit and Docker: `log`;
    Vector and Filebeat: `message`); `a|b` is b where a finds nothing. Unset, a record is the line
    itself."""

    level_field: str | None = None
    """Field (dotted path allowed) of the level: a word, a number of syslog (0 to 7), or one of pino
    (10 to 60). Unset, or where it tells none, the line's own (`ERROR`, `[error]`, `level=error`,
    `<11>`, `E0304`)."""

    event_field: str | None = None
    """Field (dotted path allowed) of the id or template of an event that is parsed already; `a|b`
    is b where a finds nothing. `log_events` takes `template|event_id` where it is unset, and
    OpenTelemetry's logs `attributes.log\\.record\\.template`."""

    timestamp_pattern: str | None = None
    """Regular expression whose first group is the time within a line (`^(\\S+ \\S+) `), which
    `input.timestamp_format` and `input.timestamp_zone` read; or `syslog` (`Mar  4 13:00:07`),
    `klog` or `logcat`, whose year is the last one that is not after Kafka's time of the record.
    Unset, the time is that of
    `input.timestamp_field` in JSON, else Kafka's time of the record."""

    message_pattern: str | None = None
    """Regular expression whose first group is the message within a line (`^\\S+ \\S+ [^:]*: (.*)`
    leaves out the head that rsyslog writes); unset, or where it does not match, the whole line."""

    series_pattern: str | None = None
    """Regular expression whose groups, joined by `/`, name the series within a line
    (`^\\S+ \\S+ \\S+ (\\S+) ` is the host in a line of syslog); unset, `input.series_field` in
    JSON, else the Kafka key does."""

    session_pattern: str | None = None
    """Regular expression whose groups, joined by `/`, are the key of a session within a line: an id
    of a request, block or job (`(blk_-?\\d+)`). With a key, what is judged is a session: the counts
    of all its lines within its series and partition, once it is closed, by a bundle of
    `model.window_length: 1`; that and other settings then have the defaults that
    `configs/recipes/sessions.yaml` spells out. A line without a key counts nowhere else."""

    session_field: str | None = None
    """Field (dotted path allowed) of that key in JSON, or a label in OpenTelemetry's logs
    (`attributes.request.id`); `a|b` is b where a finds nothing. In place of `session_pattern`."""

    session_end_pattern: str | None = None
    """Regular expression of what ends a session, looked for in the messages of its lines (what
    `message_pattern` finds) and, of events that are parsed already, in their ids or templates.
    Unset, only quiet time does."""

    session_quiet_s: Annotated[float, Gt(0), Le(1e9)] = 300.0
    """A session is closed once so many seconds have passed since its last line, by the times of the
    records in its partition, so that a replay decides the same; in files by those of the lines."""

    session_max_open: Annotated[int, Ge(1), Le(8_000)] = 5_000
    """Open sessions of a partition; beyond it the one whose last line is the longest ago is closed
    early, and told (`sessions_closed_early`)."""

    session_max_lines: Annotated[int, Ge(1), Le(1_000_000)] = 10_000
    """Lines after which a session is closed; with the next one of its key another begins."""

    max_line_bytes: Annotated[int, Ge(64), Le(1_048_576)] = 16_384
    """Longer lines are cut there and counted."""

    split_lines: bool = False
    """A record holds several lines, each of which counts. Else what follows the first line of a
    record belongs to it, as a stack trace does. Lines of different records are never joined."""

    continuation_pattern: str | None = None
    """With `input.split_lines`: regular expression of how lines begin that belong to the line
    before them. Unset: with white space, `at `, `Caused by:`, `... 12 more`, `}`, `Traceback`, or
    the name of an exception."""

    join: Literal["first", "all"] = "first"
    """What is kept of a line and those that belong to it: the `first`, so that stack traces of
    every depth are one template, or `all`, on one line."""

    def __post_init__(self) -> None:
        """Validate the fields against each other."""
        ReadingFormat.__post_init__(self)
        if self.session_pattern is not None and self.session_field is not None:
            msg = (
                f"session_pattern, session_field: found {excerpt(self.session_pattern)} and "
                f"{excerpt(self.session_field)}; expected one of them"
            )
            raise ValueError(msg)
        if self.session_end_pattern is not None and self.sessions is None:
            msg = (
                "session_end_pattern: found it without a key of sessions; expected session_pattern "
                "or session_field beside it"
            )
            raise ValueError(msg)

    @property
    def sessions(self) -> SessionConfig | None:
        """When sessions are closed; None where lines make none."""
        if self.session_pattern is None and self.session_field is None:
            return None
        return SessionConfig(
            quiet_s=self.session_quiet_s,
            max_open=self.session_max_open,
            max_lines=self.session_max_lines,
        )
