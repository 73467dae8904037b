"""A consumer group: members, who owns which partition, and committed offsets."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Member:
    """One member, from joining to leaving."""

    name: str
    epoch: int
    owned: set[int] = field(default_factory=set)
    """Partitions that nobody else gets before this member has let go of them."""
    target: set[int] = field(default_factory=set)
    """Partitions it is to own."""
    end: str = ""
    """`left`, `expired` (its session) or `fenced` (by a member of the same name)."""
    silent_since: float | None = None
    """When its process died, monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Membership:
    """What a transaction says to prove that its producer's consumer is still a member."""

    member: Member
    epoch: int


class Group:
    """Hands the partitions of one topic out; moves one only once its owner has let go of it.

    Args:
        n_partitions: Of the topic.
    """

    def __init__(self, n_partitions: int) -> None:
        self._n_partitions = n_partitions
        self._epoch = 0
        self.members: dict[str, Member] = {}
        self.committed: dict[int, tuple[int, str]] = {}
        """Partition -> offset and its note."""
        self.pending: dict[int, int] = {}
        """Partition -> number of open transactions that carry an offset of it."""
        self.refuses_back = False
        """Whether those that have expired are not let in again."""

    def extend(self, n_partitions: int) -> None:
        """Share out the partitions that the topic has now."""
        self._n_partitions = n_partitions
        self.balance()

    def join(self, name: str) -> Member:
        """Add a member; one of the same name is fenced."""
        if name in self.members:
            self._end(self.members[name], "fenced")
        member = Member(name=name, epoch=self._next_epoch())
        self.members[name] = member
        self.balance()
        return member

    def leave(self, member: Member) -> None:
        """Remove a member that says goodbye."""
        self._end(member, "left")
        member.end = "left"
        self.balance()

    def expire(self, name: str) -> None:
        """Remove a member that was not heard of for a session; it does not know yet."""
        self._end(self.members[name], "expired")
        self.balance()

    def balance(self) -> None:
        """Share the partitions out evenly."""
        members = [self.members[name] for name in sorted(self.members)]
        for member in members:
            member.target = set()
        if members:
            for partition in range(self._n_partitions):
                members[partition % len(members)].target.add(partition)

    def assign(self, targets: Mapping[str, Collection[int]]) -> None:
        """Share the partitions out in this way, until somebody joins or leaves."""
        for name, member in self.members.items():
            member.target = set(targets.get(name, ()))

    def take(self, member: Member) -> set[int]:
        """Give a member what it is to own and nobody else has; return it."""
        taken = {
            partition
            for partition in member.target - member.owned
            if not any(partition in other.owned for other in self.members.values())
        }
        if taken:
            member.owned |= taken
            member.epoch = self._next_epoch()
        return taken

    def give_up(self, member: Member, partitions: Collection[int]) -> None:
        """Take back what a member has let go of."""
        member.owned.difference_update(partitions)
        member.epoch = self._next_epoch()

    def bump(self, name: str) -> None:
        """Begin a new epoch of a member, as a heartbeat may: older memberships have passed."""
        self.members[name].epoch = self._next_epoch()

    def accepts(self, membership: object) -> bool:
        """Tell whether a membership still stands."""
        assert isinstance(membership, Membership)
        return not membership.member.end and membership.member.epoch == membership.epoch

    def expire_silent(self, now: float, session_timeout_s: float) -> None:
        """Remove members whose process died a session ago."""
        for name, member in list(self.members.items()):
            if member.silent_since is not None and now >= member.silent_since + session_timeout_s:
                self.expire(name)

    def _end(self, member: Member, how: str) -> None:
        member.end = member.end or how
        member.owned = set()
        if self.members.get(member.name) is member:
            del self.members[member.name]

    def _next_epoch(self) -> int:
        self._epoch += 1
        return self._epoch
