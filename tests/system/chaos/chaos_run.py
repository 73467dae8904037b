"""One run: the oracle first, then the same input under faults, then both compared."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

from tests.limits import Limit
from tests.system.broker import RealKafka
from tests.system.chaos.compare import broken_laws, differences
from tests.system.chaos.ends import oddities, reasons, times_told
from tests.system.chaos.faults import FaultPlayer
from tests.system.chaos.feed import Feed, publish_all
from tests.system.chaos.fleet import Fleet
from tests.system.chaos.log_stream import LogSource
from tests.system.chaos.operators import Operator
from tests.system.chaos.outputs import Outputs, collect
from tests.system.chaos.proxy import Proxy
from tests.system.chaos.reading_stream import ReadingSource
from tests.system.chaos.recording import load_recording
from tests.system.chaos.report import Report
from tests.system.chaos.schedule import (
    AT_REST,
    OPERATOR,
    SESSION_TIMEOUT_S,
    TOLD,
    TRANSACTION_TIMEOUT_S,
    USUAL,
    Fault,
    Kind,
    draw_schedule,
)
from tests.system.chaos.session_stream import SessionSource
from tests.system.chaos.small_disk import SmallDisk
from tests.system.chaos.stream import N_PARTITIONS, Source, StreamRecord, build_stream
from tests.system.harness import DaemonProcess, Topics, make_config
from tests.system.scene import await_true

_DRAIN_WITHIN_S = 120.0
_ORACLE_PER_S = 500.0  # slower than that it does not work
_PER_S = 260.0  # readings of a fault last as long as a fault on average
_LOOK_S = 0.5
_EXTRA = "extra"
_ORACLE = "oracle"

_BROKER = {
    "group.consumer.session.timeout.ms": str(int(SESSION_TIMEOUT_S * 1000)),
    "log.retention.ms": "-1",
}

_DAEMON: dict[str, object] = {
    "http.enabled": False,
    "logging.level": "info",
    "logging.summary_period_s": 5.0,
    "kafka.poll_records": 50,
    "kafka.session_timeout_s": SESSION_TIMEOUT_S,
    "kafka.transaction_timeout_s": TRANSACTION_TIMEOUT_S,
    "kafka.delivery_timeout_s": 3.0,
    "kafka.broker_deadline_s": 60.0,
    "state.snapshot_interval_s": 3.0,
    # Many small incidents, thresholds that move, and new levels that are learnt.
    "detect.threshold.quantile": 0.99,
    "detect.threshold.window": 100,
    "detect.threshold.release_after": 60,
    "detect.incident.resolve_after": 3,
    "detect.silence.intervals": 0,  # it depends on the wall clock
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is made of; the same options give the same input and the same faults."""

    n_faults: int
    seed: int
    n_daemons: int = 3
    n_series: int = 200
    readings_per_fault: int = 1200
    kinds: tuple[Kind, ...] = USUAL
    protocol: Literal["consumer", "classic"] = "consumer"
    logs: Literal["text", "json", "sessions", "sessions-json"] | None = None
    """Form of log lines that are fed in place of readings; `sessions`: judged by sessions, whose
    key a text holds, or, `sessions-json`, a field."""
    broken_order: bool = False
    """The control: output published before, and apart from, the offsets."""


@dataclass(slots=True, kw_only=True)
class _Stage:
    """What a run stands on."""

    directory: Path
    options: Options
    broker: RealKafka
    proxies: dict[str, Proxy]
    disk: SmallDisk | None
    bundle: Path
    settings: Mapping[str, object]
    chunks: list[list[StreamRecord]]
    first_ms: int
    unreached: Counter[str] = field(default_factory=Counter)
    first_chunk: int = 0
    """With which the input topic begins."""

    @property
    def stream(self) -> list[StreamRecord]:
        return list(chain.from_iterable(self.chunks))

    @property
    def ends(self) -> dict[int, int]:
        """Of the whole input."""
        return _ends(self.chunks)

    @property
    def names(self) -> list[str]:
        return [name for name in self.proxies if name != _EXTRA]


def run_chaos(options: Options, directory: Path, tell: Callable[[str], None]) -> Report:
    """Play a schedule of faults and report in what the outputs differ from the oracle's.

    Args:
        options: See `Options`.
        directory: For data and logs.
        tell: Told of the progress.

    Raises:
        BrokerUnavailableError: If no broker can be had.
        AssertionError: If a daemon ends again and again, or the input cannot be worked off.
    """
    began = time.monotonic()
    schedule = draw_schedule(options.seed, options.n_faults, options.n_daemons, options.kinds)
    source = _source(options)
    tell(f"input: {source.origin}")
    chunks = build_stream(
        source,
        schedule,
        seed=options.seed,
        n_series=options.n_series,
        readings_per_fault=options.readings_per_fault,
    )
    bundle = source.train_bundle(directory / "bundle")
    with _broker(options, directory) as (broker, proxies, disk):
        stage = _Stage(
            directory=directory,
            options=options,
            broker=broker,
            proxies=proxies,
            disk=disk,
            bundle=bundle,
            settings=source.settings,
            chunks=chunks,
            first_ms=int(time.time() * 1000) - len(chunks) * options.readings_per_fault * 2,
        )
        oracle = _run_oracle(stage)
        tell(f"oracle: {len(stage.stream)} records, {len(oracle.alerts)} alert events")
        run, fleet = _run_daemons(stage, schedule, tell)
    kinds = {fault.kind for fault in schedule}
    ends = _ends(stage.chunks[stage.first_chunk :])
    is_again = Kind.OFFSETS_SET_BACK in kinds
    found = broken_laws(run, stage.stream, ends, is_again=is_again)
    # That is by the clock: ten minutes after a series has moved.
    has_retired = times_told(fleet.logs, {"event": "series_evicted", "reason": "moved"}) > 0
    if not kinds & set(TOLD) and not has_retired:
        found += differences(oracle, run)
    return Report(
        origin=source.origin,
        faults=Counter(fault.kind.value for fault in schedule),
        unreached=stage.unreached,
        ends=reasons(fleet.ends),
        n_records=len(stage.stream),
        n_series=options.n_series,
        n_alerts=len(oracle.alerts),
        n_dead_letters=len(oracle.dead_letters),
        n_late=len(oracle.late),
        n_restored=len(oracle.state),
        duration_s=time.monotonic() - began,
        differences=[*found, *oddities(fleet.ends, fleet.logs)],
        logs=directory,
    )


def _source(options: Options) -> Source:
    if options.logs is None:
        return ReadingSource(load_recording())
    if options.logs == "sessions":
        return SessionSource(options.n_series)
    if options.logs == "sessions-json":
        return SessionSource(options.n_series, "json")
    return LogSource(options.logs)


@contextmanager
def _broker(
    options: Options, directory: Path
) -> Iterator[tuple[RealKafka, dict[str, Proxy], SmallDisk | None]]:
    """Start a broker that each daemon reaches through a proxy of its own."""
    names = [*(f"daemon-{i}" for i in range(options.n_daemons)), _EXTRA]
    with ExitStack() as stack:
        proxies = {name: Proxy() for name in names}
        for proxy in proxies.values():
            stack.callback(proxy.close)
        ports = [proxy.port for proxy in proxies.values()]
        disk = SmallDisk(directory / "kafka") if Kind.DISK_FULL in options.kinds else None
        if disk is not None:
            stack.callback(disk.close)
        broker = RealKafka.create(directory / "kafka", _BROKER, forwarded_ports=ports)
        stack.callback(broker.kill)
        for proxy, port in zip(proxies.values(), broker.inner_ports, strict=True):
            proxy.forward_to(port)
        yield broker, proxies, disk


def _run_oracle(stage: _Stage) -> Outputs:
    """Work the input off by one daemon, as users start it, that nothing disturbs."""
    topics = Topics.create(stage.broker, partitions=len(stage.ends))
    publish_all(stage.broker, topics.input, stage.stream, first_ms=stage.first_ms)
    with DaemonProcess(_config(stage, topics, _ORACLE)) as daemon:
        limit = Limit(_DRAIN_WITHIN_S + len(stage.stream) / _ORACLE_PER_S)
        while stage.broker.committed(topics.group, topics.input) != stage.ends:
            assert daemon.exit_code is None, daemon.tail()
            assert not limit.is_over, daemon.tail()
            time.sleep(_LOOK_S)
        assert daemon.stop(60.0) == 0, daemon.tail()
        assert not daemon.stray_lines, daemon.stray_lines
    return collect(stage.broker, topics, f"{topics.group}-changelog")


def _run_daemons(
    stage: _Stage, schedule: tuple[Fault, ...], tell: Callable[[str], None]
) -> tuple[Outputs, Fleet]:
    """Work the same input off by several daemons while the faults are played."""
    topics = Topics.create(stage.broker, partitions=N_PARTITIONS)
    configs = {name: _config(stage, topics, name) for name in stage.proxies}
    logs = stage.directory / "logs"
    logs.mkdir()
    fleet = Fleet(logs, configs, broken_order=stage.options.broken_order)
    try:
        for name in stage.names:
            if stage.options.broken_order:
                # Asked for before there is any input: it is certain to come.
                fleet.request(name, "commit", "kill-before")
            fleet.release(name)
        operator = Operator(fleet, stage.broker, topics, configs.values())
        player = FaultPlayer(
            fleet, stage.names, _EXTRA, stage.proxies, stage.broker, operator, stage.disk
        )
        feed = Feed(stage.broker, topics.input, stage.chunks, per_s=_PER_S, first_ms=stage.first_ms)
        feed.release(0)
        await_true(fleet.have_all_joined, "every daemon has partitions", _DRAIN_WITHIN_S)
        if set(stage.options.kinds) & set(OPERATOR):
            operator.set_start()
        for i, fault in enumerate(schedule):
            if fault.kind in AT_REST:
                _drain(stage, topics, fleet, n_chunks=max(i, 1))
            else:
                feed.release(i)
            came = player.play(fault)
            if fault.kind is Kind.INPUT_RECREATED:
                stage.first_chunk = max(i, 1)
                feed.renew()
            feed.release(i)
            stage.unreached[fault.kind.value] += not came
            tell(f"{i + 1}/{len(schedule)} {_described(fault, stage)}{'' if came else ' (missed)'}")
            time.sleep(fault.pause_s)
            fleet.check()
        feed.finish()
        _drain(stage, topics, fleet)
        fleet.stop()
        _check_input(stage, topics)
        return collect(stage.broker, topics, operator.changelog), fleet
    finally:
        fleet.close()


def _described(fault: Fault, stage: _Stage) -> str:
    who = stage.names[fault.target] if fault.target >= 0 else "everybody"
    return f"{fault.kind.value} ({who}, {fault.hold_s:.1f} s)"


def _drain(stage: _Stage, topics: Topics, fleet: Fleet, n_chunks: int | None = None) -> None:
    """Wait until the whole input, or these first chunks of it, are committed."""
    limit, ends = Limit(_DRAIN_WITHIN_S), _ends(stage.chunks[stage.first_chunk : n_chunks])
    while (committed := _positive(stage.broker.committed(topics.group, topics.input))) != ends:
        fleet.check()
        logs = "\n".join(f"{name}:\n{fleet.tail(name)}" for name in stage.names)
        assert not limit.is_over, f"{committed}, expected {ends}\n{logs}"
        time.sleep(_LOOK_S)


def _positive(offsets: Mapping[int, int]) -> dict[int, int]:
    return {partition: offset for partition, offset in offsets.items() if offset > 0}


def _ends(chunks: Sequence[Sequence[StreamRecord]]) -> dict[int, int]:
    """Return the end of each partition that holds these."""
    return dict(sorted(Counter(record.partition for record in chain(*chunks)).items()))


def _check_input(stage: _Stage, topics: Topics) -> None:
    """Make sure that the feed gave the daemons what the oracle got, in spite of the faults."""
    arrived: defaultdict[int, list[bytes | None]] = defaultdict(list)
    sent: defaultdict[int, list[bytes | None]] = defaultdict(list)
    for message in stage.broker.consume_all(topics.input, timeout_s=_DRAIN_WITHIN_S):
        arrived[message.partition() or 0].append(message.value())
    for record in chain(*stage.chunks[stage.first_chunk :]):
        sent[record.partition].append(record.value)
    assert arrived == sent, "the feed failed: the input is not the oracle's"


def _config(stage: _Stage, topics: Topics, name: str) -> Path:
    """Return a daemon's configuration: like any other's, but for its name and its way to Kafka."""
    own: dict[str, object] = {"kafka.group_protocol": stage.options.protocol}
    if name in stage.proxies:
        own["kafka.bootstrap_servers"] = f"127.0.0.1:{stage.proxies[name].port}"
    if name in stage.names:
        own["kafka.instance_id"] = name  # the extra one is a dynamic member
    return make_config(
        stage.directory, stage.broker, topics, stage.bundle, {**_DAEMON, **stage.settings, **own}
    )
