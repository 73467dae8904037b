"""Alert events as Slack's incoming webhooks take them.

References:
    Slack, "Sending messages using incoming webhooks" and "Formatting text for app surfaces".
"""

from typing import Any

from stream_vae.core.alerts import AlertEvent
from stream_vae.core.excerpts import printable
from stream_vae.wire.alert_text import change_of, format_alert
from stream_vae.wire.receivers.words import is_web

# A section holds 3,000 characters, and an escaped one is up to five.
_LINE_CHARACTERS = 500
_NAME_CHARACTERS = 60
_MOST_LINKS = 5
_URL_CHARACTERS = 500


def slack_message(event: AlertEvent) -> dict[str, Any]:
    """Return the body of a message: blocks, and the text that notifications show."""
    head = f"{change_of(event)} {event.severity}"
    summary = escape(printable(event.summary, _LINE_CHARACTERS))
    line = escape(printable(format_alert(event), _LINE_CHARACTERS))
    context = [line, f"incident {escape(printable(event.incident_id, _NAME_CHARACTERS))}"]
    links = [
        f"<{escape(url)}|{escape(printable(name, _NAME_CHARACTERS))}>"
        for name, url in event.links.items()
        if is_web(url) and len(url) <= _URL_CHARACTERS
    ]
    context += links[:_MOST_LINKS]
    return {
        "text": f"{head}: {summary}",
        "blocks": [
            {"type": "section", "text": _mrkdwn(f"*{head}*\n{summary}")},
            {"type": "context", "elements": [_mrkdwn(text) for text in context]},
        ],
    }


def escape(text: str) -> str:
    """Return text of which Slack takes nothing for a mention or a link.

    >>> escape("<!channel> a & b")
    '&lt;!channel&gt; a &amp; b'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mrkdwn(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}
