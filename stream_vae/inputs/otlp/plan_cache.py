"""Plans of messages by the bytes that do not vary."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from stream_vae.inputs.otlp.resource_plan import ResourcePlan

_MOST_BYTES = 32 * 1024 * 1024
_MOST_MASKS = 4  # of one length
_PLAN_BYTES = 4096  # about what a plan takes besides its key

_Mask = NDArray[np.uint8]
_Plans = dict[bytes, ResourcePlan]


class PlanCache:
    """Finds the plans of whole polls; begins anew when it is full."""

    def __init__(self) -> None:
        self._by_length: dict[int, list[tuple[_Mask, _Plans]]] = {}
        self._n_bytes = 0

    def find(self, raws: Sequence[bytes]) -> list[ResourcePlan | None]:
        """Return the plan of each message, where it is known."""
        found: list[ResourcePlan | None] = [None] * len(raws)
        by_length: dict[int, list[int]] = defaultdict(list)
        for row, raw in enumerate(raws):
            by_length[len(raw)].append(row)
        for length, rows in by_length.items():
            missing = rows
            for mask, plans in self._by_length.get(length, ()):
                keys = _keys([raws[row] for row in missing], mask)
                for row, key in zip(missing, keys, strict=True):
                    found[row] = plans.get(key)
                missing = [row for row in missing if found[row] is None]
                if not missing:
                    break
        return found

    def keep(self, raw: bytes, plan: ResourcePlan) -> None:
        """Remember a plan that holds for other messages too."""
        if plan.mask is None or not raw:
            return
        if self._n_bytes > _MOST_BYTES:
            self._by_length.clear()
            self._n_bytes = 0
        of_length = self._by_length.setdefault(len(raw), [])
        plans = next((each for mask, each in of_length if np.array_equal(mask, plan.mask)), None)
        if plans is None:
            if len(of_length) == _MOST_MASKS:
                return
            plans = {}
            of_length.append((plan.mask, plans))
        plans[next(_keys([raw], plan.mask))] = plan
        self._n_bytes += 2 * len(raw) + _PLAN_BYTES


def _keys(raws: Sequence[bytes], mask: _Mask) -> Iterator[bytes]:
    """Yield the bytes of each message, those that vary as 0."""
    length = len(mask)
    rows = np.frombuffer(b"".join(raws), dtype=np.uint8).reshape(len(raws), length)
    kept = (rows & mask).tobytes()
    return (kept[at : at + length] for at in range(0, length * len(raws), length))
