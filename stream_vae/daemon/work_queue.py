"""Work in flight: submitted to the model in order, decided in the same order."""

from stream_vae.core.health import Heartbeat
from stream_vae.core.model_spec import Scores
from stream_vae.core.ports import Clock, ScoringQueue
from stream_vae.daemon.clock import utc_now
from stream_vae.daemon.live_page import LivePage
from stream_vae.delivery.committer import Committer
from stream_vae.pipeline.pipeline import Pipeline
from stream_vae.pipeline.polled_batch import PolledBatch
from stream_vae.pipeline.scored_batch import ScoredBatch
from stream_vae.state.snapshots import SnapshotJob

_WAIT_S = 0.5

Work = PolledBatch | SnapshotJob


class WorkQueue:
    """Passes windows to the model, and scored windows to pipeline, outbox and changelog.

    Args:
        scoring: Scores windows.
        pipeline: Judges scored windows.
        committer: Receives the outputs.
        heartbeat: The loop's; beats while it waits for the model.
        clock: The time.
        page: Is shown the outcomes, if there is one.
    """

    def __init__(  # noqa: PLR0913 -- one part of each kind
        self,
        scoring: ScoringQueue[Work],
        pipeline: Pipeline,
        committer: Committer,
        *,
        heartbeat: Heartbeat,
        clock: Clock,
        page: LivePage | None = None,
    ) -> None:
        self._scoring = scoring
        self._pipeline = pipeline
        self._committer = committer
        self._heartbeat = heartbeat
        self._clock = clock
        self._page = page
        nothing = pipeline.store.windows.empty_batch()
        self._no_windows = nothing.windows, nothing.end_times

    def submit(self, polled: PolledBatch) -> None:
        """Submit the windows of a poll for scoring."""
        batch = polled.steps.window_batch
        # Records without a reading count too, for their decoding.
        n_readings = max(len(polled.records), len(polled.steps.readings))
        self._scoring.submit(polled, batch.windows, batch.end_times, n_readings=n_readings)

    def submit_snapshot(self, job: SnapshotJob) -> None:
        """Save series once all earlier polls are decided."""
        self._scoring.submit(job, *self._no_windows, n_readings=0)

    def decide_finished(self) -> None:
        """Judge scored windows, and put their outputs in the outbox."""
        for work, scores in self._scoring.collect():
            self._decide(work, scores)

    def settle(self) -> None:
        """Wait until everything submitted is decided."""
        while not self._scoring.wait_idle(timeout_s=_WAIT_S):
            self._heartbeat.beat(self._clock.monotonic())
        self.decide_finished()

    def _decide(self, work: Work, scores: Scores) -> None:
        if isinstance(work, SnapshotJob):
            self._committer.add_saved(self._pipeline.complete(work.capture), work.positions)
            self._committer.add_checkpoints(work.checkpoints)
            return
        scored = ScoredBatch(
            readings=work.steps.readings,
            decided_at=work.steps.decided_at,
            window_batch=work.steps.window_batch,
            scores=scores,
            detector=work.detector,
            marks=work.steps.marks,
        )
        outcome = self._pipeline.decide(scored, utc_now(self._clock), replayed=work.ticket is None)
        if self._page is not None:
            self._page.observe(work, outcome)
        if work.ticket is not None:
            self._committer.add_outcome(work, work.ticket, outcome)
