"""Errors, by who can fix them.

```
StreamVaeError
├── ConfigError            the operator: a setting, a bundle or a command's input is wrong (exit 2)
│   ├── BundleError        the model bundle is missing, altered, or contradicts the configuration
│   ├── InputFileError     a CSV cannot be used; names file, line and column
│   └── StateError         saved state is damaged, or newer than this release
├── DecodeError            the producer: one record is invalid (dead letter, never fatal)
├── AlertDecodeError       the alerts topic's producer: not an alert event, or an unknown version
├── KafkaUnavailableError  transient: wait, retry, give up after a set deadline (exit 1)
├── KafkaRefusedError      the operator: the broker refuses a request (exit 1, names the right)
│   └── TopicMissingError  a topic does not exist, or the right to see it is missing
├── InputChangedError      transient: the input topic was made anew or cut; restart (exit 1)
├── FencedError            transient: another instance took over; restart (exit 1)
└── ShapeError             the developers: a bug (crash, lose nothing, resume exactly)
```
"""

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2


class StreamVaeError(Exception):
    """Base class of the errors that this package raises."""


class ConfigError(StreamVaeError):
    """An operator's mistake: says which field, what was found and what is expected."""


def on_one_line(error: StreamVaeError) -> str:
    r"""Return an error's text as a field of a log line.

    >>> on_one_line(ConfigError("2 settings cannot be used:\n  a: found 1\n  b: found 2"))
    '2 settings cannot be used: a: found 1; b: found 2'
    """
    head, *rest = (line.strip() for line in str(error).splitlines() or [""])
    return " ".join([head, "; ".join(rest)]) if head.endswith(":") else "; ".join([head, *rest])


def exit_code(error: StreamVaeError) -> int:
    """Return the exit code of a program that an error ends: 2 if a change must come first, or 1."""
    return EXIT_BAD_INPUT if isinstance(error, ConfigError) else EXIT_FAILED


class BundleError(ConfigError):
    """A model bundle that cannot be used."""


class InputFileError(ConfigError):
    """An input file that cannot be used; the message names file, line and column."""


class StateError(ConfigError):
    """Saved state that cannot be used: it is damaged, or a newer release wrote it."""


class DecodeError(StreamVaeError):
    """A record that cannot be decoded.

    Args:
        reason: One of the stable codes in `stream_vae.wire.rejections.REASONS`.
        detail: What was found and expected, for the dead letter's headers.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class AlertDecodeError(StreamVaeError):
    """Bytes that are not an alert event, or one of an unknown schema version."""


class KafkaUnavailableError(StreamVaeError):
    """No broker answered before the deadline."""


class KafkaRefusedError(StreamVaeError):
    """The broker answered and refused: authorisation, a missing topic, a size limit."""


class TopicMissingError(KafkaRefusedError):
    """A required topic does not exist, or the right to see it is missing."""


class InputChangedError(StreamVaeError):
    """The input topic ends before what was to be read next: it was made anew, or was cut."""


class FencedError(StreamVaeError):
    """Another instance with the same identity, or a newer group generation, took over."""


class ShapeError(StreamVaeError):
    """Arrays whose shapes contradict each other: a bug in the caller."""
