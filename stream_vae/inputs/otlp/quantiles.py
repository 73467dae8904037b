"""Quantiles of histograms from their buckets."""

from collections.abc import Sequence
from math import nan


def of_buckets(q: float, counts: Sequence[int], bounds: Sequence[float]) -> float:
    """Return the q-quantile, linear within its bucket; NaN where there are no values.

    The first bucket is taken to begin at 0 if it ends above, and one without an end gives the
    bound it begins at, as `histogram_quantile` of Prometheus does.

    Args:
        q: Between 0 and 1.
        counts: K + 1 numbers of values.
        bounds: K, ascending: upper ends of all buckets but the last.

    >>> of_buckets(0.5, [2, 2, 0], [10.0, 20.0])
    10.0
    >>> of_buckets(0.75, [2, 2, 0], [10.0, 20.0])
    15.0
    """
    total = sum(counts)
    if total == 0 or len(counts) != len(bounds) + 1 or not bounds:
        return nan
    rank, below, position = q * total, 0, 0
    while counts[position] == 0 or below + counts[position] < rank:
        below += counts[position]
        position += 1
        if position == len(bounds):
            break
    if position == len(bounds):
        return bounds[-1]
    end = bounds[position]
    if position == 0 and end <= 0:
        return end
    begin = 0.0 if position == 0 else bounds[position - 1]
    return begin + (end - begin) * max(rank - below, 0.0) / counts[position]


def of_exponential(
    q: float,
    *,
    scale: int,
    zero_count: int,
    positive: tuple[int, Sequence[int]],
    negative: tuple[int, Sequence[int]],
) -> float:
    """Return the q-quantile of an exponential histogram; NaN where there are no values.

    Args:
        q: Between 0 and 1.
        scale: Buckets end at powers of 2 ** 2 ** -scale.
        zero_count: Values that are about 0.
        positive: Number of the first bucket, and numbers of values.
        negative: The same of negative values, by their magnitude.

    >>> of_exponential(0.5, scale=0, zero_count=0, positive=(0, [1, 1]), negative=(0, []))
    2.0
    """
    total = sum(positive[1]) + sum(negative[1]) + zero_count
    if total == 0:
        return nan
    rank, below = q * total, 0.0
    first, counts = negative
    for position in reversed(range(len(counts))):
        count = counts[position]
        if count and below + count >= rank:
            share = 1 - max(rank - below, 0.0) / count
            return -_between(scale, first + position, share)
        below += count
    if zero_count and below + zero_count >= rank:
        return 0.0
    below += zero_count
    first, counts = positive
    for position, count in enumerate(counts):
        if count and below + count >= rank:
            return _between(scale, first + position, max(rank - below, 0.0) / count)
        below += count
    return nan


def _between(scale: int, bucket: int, share: float) -> float:
    """Return a value within a bucket; NaN if it is beyond a 64-bit float."""
    try:
        begin, end = (float(2.0 ** ((bucket + i) * 2.0**-scale)) for i in range(2))
    except OverflowError:
        return nan
    return begin + (end - begin) * share
