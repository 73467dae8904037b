from stream_vae.core.records import Headers, Rejection
from stream_vae.wire.rejections import MAX_DETAIL_CHARACTERS, REASONS, rejection_headers

ORIGINAL: Headers = [("trace", b"\xff\x00"), ("trace", None), ("dlq.reason", b"an older one")]


def headers_of(rejection: Rejection) -> list[tuple[str, bytes | None]]:
    return rejection_headers(
        ORIGINAL, rejection, topic="readings", partition=3, offset=120, detector="water"
    )


def test_original_headers_come_first_and_untouched() -> None:
    headers = headers_of(Rejection(index=0, reason="not_json", detail="found x"))
    assert headers[:3] == list(ORIGINAL)
    assert headers[3:] == [
        ("dlq.reason", b"not_json"),
        ("dlq.detail", b"found x"),
        ("dlq.source.topic", b"readings"),
        ("dlq.source.partition", b"3"),
        ("dlq.source.offset", b"120"),
        ("dlq.detector", b"water"),
    ]


def test_details_in_headers_are_bounded_and_printable() -> None:
    rejection = Rejection(index=0, reason="late", detail="\x1b" + "x" * 1000)
    detail = dict(headers_of(rejection))["dlq.detail"]
    assert detail is not None
    assert len(detail) <= MAX_DETAIL_CHARACTERS
    assert detail.decode().isprintable()


def test_every_reason_has_its_line() -> None:
    for reason, meaning in REASONS.items():
        assert reason.replace("_", "").isalnum()
        assert meaning.endswith(".")
        assert "\n" not in meaning
