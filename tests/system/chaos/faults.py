"""How each kind of fault is brought about."""

import time
from collections.abc import Mapping, Sequence
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals

import psutil

from tests.system.broker import RealKafka
from tests.system.chaos.fleet import Fleet
from tests.system.chaos.operators import Operator
from tests.system.chaos.proxy import Network, Proxy
from tests.system.chaos.schedule import EVERYBODY, OPERATOR, Fault, Kind
from tests.system.chaos.small_disk import SmallDisk

_STARTED_WITHIN_S = 20.0
_TRANSACTION_WITHIN_S = 3.0
_FULL_WITHIN_S = 20.0
_FILL_EVERY_S = 0.05


class FaultPlayer:
    """Plays one fault after the other.

    Args:
        fleet: The daemons.
        names: Those that a fault's target numbers.
        extra: The one that joins and leaves.
        proxies: Name -> what stands between that daemon and the broker.
        broker: To be killed.
        operator: Does what people do.
        disk: The broker's, if it is one that may be filled up.
    """

    def __init__(
        self,
        fleet: Fleet,
        names: Sequence[str],
        extra: str,
        proxies: Mapping[str, Proxy],
        broker: RealKafka,
        operator: Operator,
        disk: SmallDisk | None = None,
    ) -> None:
        self._fleet = fleet
        self._names = names
        self._extra = extra
        self._proxies = proxies
        self._broker = broker
        self._operator = operator
        self._disk = disk

    def play(self, fault: Fault) -> bool:
        """Bring a fault about and end it; tell whether it came to pass."""
        if fault.kind in OPERATOR:
            self._operator.play(fault)
            return True
        name = self._names[fault.target % len(self._names)]
        if fault.kind not in _OF_ALL:
            self._fleet.await_state(name, lambda pid: pid is not None, _STARTED_WITHIN_S)
        return self._play(fault, name)

    def _play(self, fault: Fault, name: str) -> bool:  # noqa: C901, PLR0912 -- one line a kind
        match fault.kind:
            case Kind.KILL:
                self._restart(name, SIGKILL, fault.hold_s)
            case Kind.TERMINATE:
                self._restart(name, SIGTERM, fault.hold_s)
            case Kind.FREEZE:
                self._fleet.signal(name, SIGSTOP)
                time.sleep(fault.hold_s)
                self._fleet.signal(name, SIGCONT)
            case Kind.FREEZE_IN_TRANSACTION:
                return self._strike_at_commit(name, "freeze", fault.hold_s)
            case Kind.KILL_BEFORE_COMMIT:
                return self._strike_at_commit(name, "kill-before", fault.hold_s)
            case Kind.KILL_AFTER_COMMIT:
                return self._strike_at_commit(name, "kill-after", fault.hold_s)
            case Kind.SCALE:
                self._scale(fault)
            case Kind.KILL_ALL:
                self._kill_all(fault.hold_s)
            case Kind.BROKER_KILL:
                self._broker.kill()
                time.sleep(fault.hold_s)
                self._broker.start()
            case Kind.NETWORK_CUT:
                self._break_network(fault, Network.CUT)
            case Kind.NETWORK_STALL:
                self._break_network(fault, Network.STALLED)
            case Kind.NETWORK_SLOW:
                self._slow_network(fault)
            case Kind.WORKER_SLOW:
                self._fleet.request(name, "slow", str(fault.strength))
                time.sleep(fault.hold_s)
                self._fleet.withdraw(name, "slow")
            case Kind.WORKER_RAISE:
                self._fleet.request(name, "raise", "")
            case Kind.CLOCK_JUMP:
                self._fleet.request(name, "clock", str(fault.strength))
            case Kind.POISON_BURST:
                pass  # it stands in the stream
            case Kind.DISK_FULL:
                return self._fill_disk(fault.hold_s)
        return True

    def _restart(self, name: str, number: Signals, hold_s: float) -> None:
        self._fleet.end(name, number)
        time.sleep(hold_s)
        self._fleet.release(name)

    def _kill_all(self, hold_s: float) -> None:
        wanted = self._fleet.wanted
        for name in wanted:
            self._fleet.end(name, SIGKILL)
        time.sleep(hold_s)
        for name in wanted:
            self._fleet.release(name)

    def _fill_disk(self, hold_s: float) -> bool:
        """Leave the broker no space until it gives up, as it does; then let it start again."""
        assert self._disk is not None, "made where this kind is among those of the run"
        deadline = time.monotonic() + _FULL_WITHIN_S
        while self._broker.is_running and time.monotonic() < deadline:
            self._disk.fill()
            time.sleep(_FILL_EVERY_S)
        died = not self._broker.is_running
        self._broker.kill()
        time.sleep(hold_s)
        self._disk.free()
        self._broker.start()
        return died

    def _strike_at_commit(self, name: str, how: str, hold_s: float) -> bool:
        """Strike the named daemon, or another one if that has nothing to commit just now."""
        first = self._names.index(name)
        strike = self._freeze_in_transaction if how == "freeze" else self._kill_at_commit
        return any(
            strike(each, how, hold_s) for each in (*self._names[first:], *self._names[:first])
        )

    def _freeze_in_transaction(self, name: str, how: str, hold_s: float) -> bool:
        self._fleet.request(name, "commit", how)
        reached = self._fleet.await_state(name, _is_stopped, _TRANSACTION_WITHIN_S)
        self._fleet.withdraw(name, "commit")
        if reached:
            time.sleep(hold_s)
        self._fleet.signal(name, SIGCONT)
        return reached

    def _kill_at_commit(self, name: str, how: str, hold_s: float) -> bool:
        self._fleet.hold(name)
        self._fleet.request(name, "commit", how)
        reached = self._fleet.await_state(name, lambda pid: pid is None, _TRANSACTION_WITHIN_S)
        self._fleet.withdraw(name, "commit")
        if reached:
            time.sleep(hold_s)
        self._fleet.release(name)
        return reached

    def _scale(self, fault: Fault) -> None:
        if not self._fleet.is_wanted(self._extra):
            self._fleet.release(self._extra)
        else:
            self._fleet.end(self._extra, SIGKILL if fault.target % 2 else SIGTERM)

    def _struck(self, fault: Fault) -> list[Proxy]:
        if fault.target == EVERYBODY:
            return list(self._proxies.values())
        return [self._proxies[self._names[fault.target]]]

    def _break_network(self, fault: Fault, how: Network) -> None:
        for proxy in self._struck(fault):
            proxy.set_network(how)
        time.sleep(fault.hold_s)
        for proxy in self._struck(fault):
            proxy.set_network(Network.UP)

    def _slow_network(self, fault: Fault) -> None:
        for proxy in self._struck(fault):
            proxy.set_delay(fault.strength)
        time.sleep(fault.hold_s)
        for proxy in self._struck(fault):
            proxy.set_delay(0.0)


_OF_ALL = {Kind.KILL_ALL, Kind.BROKER_KILL, Kind.SCALE, Kind.POISON_BURST, Kind.DISK_FULL}


def _is_stopped(pid: int | None) -> bool:
    try:
        return pid is not None and psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False
