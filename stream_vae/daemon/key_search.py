"""Looks for series in partitions that other instances own."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from stream_vae.core.ports import Clock, InputConsumer, RangeReader
from stream_vae.core.records import RecordBatch
from stream_vae.core.series_index import SeriesName
from stream_vae.errors import KafkaUnavailableError
from stream_vae.inputs.decoder import Decoder
from stream_vae.state.partitions import PartitionTable

_PAUSE_S = 10.0
_LIMIT_S = 30.0
_MOST_UNFINISHED = 3  # searches in a row
_ASK_PAUSE_S = 5.0  # a broker that hangs takes up to two seconds of the loop's
_MOST_RECORDS = 500_000  # seconds of decoding, in small pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search has found."""

    began_ns: int
    """Wall clock, nanoseconds since 1970."""
    searched: Collection[SeriesName]
    """Those of which it is known now."""
    n_series: int
    """Of the search."""
    found: Collection[SeriesName]
    """Those of them whose key has sent in a partition of another instance since it did here."""
    unread: tuple[int, ...] = ()
    """Partitions that were not read to their ends in time, where that keeps series from being
    found."""
    waited_s: float = 0.0
    is_last: bool = False
    """Whether they count as read all the same, for the last tries went like that too."""


@dataclass(slots=True, kw_only=True)
class _Search:
    began_at: float
    began_ns: int
    series: Mapping[SeriesName, int]
    keys: Mapping[str, int]
    """Key -> arrival of its newest reading here."""
    since_ns: int
    to_ask: list[int]
    """Partitions whose range is not known yet."""
    share: int
    """Most records of each partition, the newest ones."""
    reading: set[int] = field(default_factory=set)
    undecoded: RecordBatch | None = None
    """Records that the decoder is not ready for."""
    found: set[str] = field(default_factory=set)


class KeySearch:
    """Tells whether series that seem to have stopped send in partitions of other instances.

    A series' key may go on in another partition. The instance that owns the old one would take that
    for a silence: nobody but the owner of the new one knows of it. So the newest records of all
    partitions that are not this instance's are read, a few at each turn of the loop.

    Args:
        consumer: Of the input; gives offsets.
        input_reader: Of the input; counts its partitions.
        make_reader: Returns another one, for the ranges; called if there is something to read.
        decoder: Tells the keys of records.
        partitions: Those of this instance.
        clock: The time.
    """

    def __init__(  # noqa: PLR0913 -- one part of each kind
        self,
        *,
        consumer: InputConsumer,
        input_reader: RangeReader,
        make_reader: Callable[[], RangeReader],
        decoder: Decoder,
        partitions: PartitionTable,
        clock: Clock,
    ) -> None:
        self._consumer = consumer
        self._input_reader = input_reader
        self._make_reader = make_reader
        self._decoder = decoder
        self._partitions = partitions
        self._clock = clock
        self._reader: RangeReader | None = None
        self._search: _Search | None = None
        self._ended_at = self._ask_at = -float("inf")
        self._n_unfinished = 0  # searches in a row

    @property
    def is_free(self) -> bool:
        """Whether another search may begin."""
        return self._search is None and self._clock.monotonic() >= self._ended_at + _PAUSE_S

    def begin(self, series: Mapping[SeriesName, int], since_ns: int) -> bool:
        """Begin a search; return False if there is nothing to search: all partitions are live here.

        Args:
            series: Name -> arrival of its newest reading here, nanoseconds since 1970.
            since_ns: Earlier records are not read.

        Raises:
            KafkaUnavailableError: If no broker answers.
        """
        here = self._partitions.live  # of what is being restored, not all is known yet
        others = [p for p in range(self._input_reader.n_partitions()) if p not in here]
        if not others:
            return False
        self._search = _Search(
            began_at=self._clock.monotonic(),
            began_ns=self._clock.time_ns(),
            series=series,
            keys={key: arrived for (_, key), arrived in series.items()},
            since_ns=since_ns,
            to_ask=others,
            share=max(_MOST_RECORDS // len(others), 1),
        )
        return True

    def advance(self, max_records: int) -> SearchResult | None:
        """Go on, with at most so many records; return what was found, once it is over."""
        search = self._search
        if search is None:
            return None
        if search.to_ask and self._clock.monotonic() >= self._ask_at:
            self._ask(search)
        elif search.undecoded is not None:
            self._look_at(search, search.undecoded)
        elif search.reading and self._reader is not None:
            records = self._reader.poll(max_records)
            if records is not None:
                self._look_at(search, records)
            search.reading.difference_update(self._reader.take_finished())
        is_late = self._clock.monotonic() > search.began_at + _LIMIT_S
        is_unread = search.to_ask or search.reading or search.undecoded is not None
        may_find = is_unread and len(search.found) < len(search.keys)
        if may_find and not is_late:
            return None
        unread = tuple(sorted({*search.to_ask, *search.reading})) if may_find else ()
        self._end(search)
        self._n_unfinished = self._n_unfinished + 1 if unread else 0
        found = [name for name in search.series if name[1] in search.found]
        # Brokers that hang for long must not hide a silence for good.
        is_last = self._n_unfinished >= _MOST_UNFINISHED
        return SearchResult(
            began_ns=search.began_ns,
            searched=search.series.keys() if is_last or not unread else found,
            n_series=len(search.series),
            found=found,
            unread=unread,
            waited_s=self._ended_at - search.began_at,
            is_last=is_last,
        )

    def close(self) -> None:
        """Close the client."""
        if self._reader is not None:
            self._reader.close()

    def _ask(self, search: _Search) -> None:
        """Begin to read a partition, at the first record since then or its newest ones.

        One of which no broker answers is asked for again after the others.
        """
        partition, offsets = search.to_ask.pop(), self._consumer.offsets
        try:
            begin = offsets.since(partition, search.since_ns)
            end = offsets.end(partition) if begin is not None else 0
        except KafkaUnavailableError:
            search.to_ask.insert(0, partition)
            self._ask_at = self._clock.monotonic() + _ASK_PAUSE_S
            return
        if begin is not None:
            self._reader = self._reader or self._make_reader()
            self._reader.add(partition, max(begin, end - search.share), end)
            search.reading.add(partition)

    def _look_at(self, search: _Search, records: RecordBatch) -> None:
        search.undecoded = records if self._decoder.lacks(records) else None
        if search.undecoded is not None:
            return
        decoded = self._decoder.decode(records, self._clock.time_ns())
        times = records.timestamps[decoded.index].tolist()
        for key, time_ns in zip(decoded.readings.series, times, strict=True):
            if time_ns > search.keys.get(key, time_ns):
                search.found.add(key)

    def _end(self, search: _Search) -> None:
        if self._reader is not None:
            for partition in search.reading:
                self._reader.remove(partition)
            self._reader.take_finished()
        self._search, self._ended_at = None, self._clock.monotonic()
