"""Whether the lines of a log are of the templates that training saw.

A log whose format changes causes no error: each line is read and counted, but as one never seen.
"""

JUDGED_LINES = 1000
"""Lines of which the share of those never seen is taken, at least."""

_MOST_UNSEEN = 0.5


class LineFit:
    """Judges lines, so many at a time.

    Its state does not survive a restart.
    """

    def __init__(self) -> None:
        self._known = self._unseen = 0
        self.complaint = ""
        """Description of what does not fit; empty if nothing is known."""

    def observe(self, known: int, unseen: int) -> None:
        """Add the lines of a poll.

        Args:
            known: Of the model's templates.
            unseen: Of none.
        """
        self._known += known
        self._unseen += unseen
        n = self._known + self._unseen
        if n < JUDGED_LINES:
            return
        self.complaint = ""
        if self._unseen >= _MOST_UNSEEN * n:
            self.complaint = (
                f"{self._unseen:,} of the last {n:,} lines are of no template that training saw, "
                "as after a change of the log's format; expected an input.message_pattern that "
                "finds the message in them, or a bundle trained on such lines"
            )
        self._known = self._unseen = 0
