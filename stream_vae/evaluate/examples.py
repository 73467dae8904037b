"""Small data sets made by stated random rules, to try the detector on.

Each has a training part of normal rows and a test part with planted anomalies, a column `label`,
and a column `broken` that names what was changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Row = tuple[str, ...]

_ANOMALOUS_SHARE = 0.05
_START = np.datetime64("2026-01-05T00:00:00")  # a Monday


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Rows as they stand in CSV files."""

    header: Row
    train: Sequence[Row]
    test: Sequence[Row]
    """With labels in the last two columns: 0 or 1, and what was broken."""


def events(seed: int = 0, *, n_train: int = 4000, n_test: int = 2000) -> Example:
    """Return event records: employees whose city follows from the job, and pay from job and age.

    The job is engineering, sales or support. Each is found in two of three cities. Yearly pay rises
    linearly with age from the job's entry pay and varies by 5 %. In a twentieth of the test records
    either the city is one where the job does not exist, or the pay is two and a half times what the
    age and job give, or two fifths of it.
    """
    rng = np.random.default_rng(seed)
    train = [_employee(rng, "") for _ in range(n_train)]
    test = []
    for _ in range(n_test):
        is_broken = rng.random() < _ANOMALOUS_SHARE
        broken = ("city", "income")[int(rng.integers(2))] if is_broken else ""
        test.append((*_employee(rng, broken), str(int(is_broken)), broken))
    return Example(header=("sex", "age", "city", "income", "job"), train=train, test=test)


_JOBS = ("engineering", "sales", "support")
_CITIES = {
    "engineering": (("Lyon", "Porto"), "Turin"),
    "sales": (("Porto", "Turin"), "Lyon"),
    "support": (("Turin", "Lyon"), "Porto"),
}
"""Job -> cities where it exists, and the one where it does not."""
_PAY = {"engineering": (45_000, 1_600), "sales": (30_000, 1_200), "support": (25_000, 900)}
"""Job -> pay at 22, and rise a year."""
_YOUNGEST, _OLDEST = 22, 64


def _employee(rng: np.random.Generator, broken: str) -> Row:
    job = _JOBS[int(rng.choice(3, p=(0.3, 0.3, 0.4)))]
    age = int(rng.integers(_YOUNGEST, _OLDEST + 1))
    usual, never = _CITIES[job]
    city = never if broken == "city" else usual[int(rng.random() < 0.2)]
    entry, rise = _PAY[job]
    income = (entry + rise * (age - _YOUNGEST)) * rng.normal(1.0, 0.05)
    if broken == "income":
        income *= rng.choice((2.5, 0.4))
    return ("FM"[int(rng.integers(2))], str(age), city, f"{income:.0f}", job)


def daily(seed: int = 0, *, n_train: int = 56, n_test: int = 56) -> Example:
    """Return a daily signal at steps of 15 minutes: power of a solar plant, in kW.

    A day is a half sine from 6:00 to 18:00 whose height varies by 10 % from day to day, with noise.
    On a twentieth of the test days, at least two, the plant fails between 11:00 and 13:00, or the
    curve comes two hours late.
    """
    rng = np.random.default_rng(seed)
    faults = ["outage", "late", *("" for _ in range(n_test - 2))]
    for day in range(2, n_test):
        if rng.random() < _ANOMALOUS_SHARE:
            faults[day] = ("outage", "late")[int(rng.integers(2))]
    rng.shuffle(faults)
    train = [row for day in range(n_train) for row in _day(rng, day, "")]
    test = []
    for day, fault in enumerate(faults):
        for hour, row in enumerate(_day(rng, n_train + day, fault)):
            span = (44, 52) if fault == "outage" else (24, 80)
            label = bool(fault) and span[0] <= hour < span[1]
            test.append((*row, str(int(label)), fault if label else ""))
    return Example(header=("timestamp", "power"), train=train, test=test)


_STEPS_A_DAY = 96


def _day(rng: np.random.Generator, day: int, fault: str) -> list[Row]:
    step = np.arange(_STEPS_A_DAY)
    shift = 8 if fault == "late" else 0
    curve = np.sin(np.pi * (step - 24 - shift) / 48)
    power = 500 * rng.normal(1.0, 0.1) * np.clip(curve, 0, None)
    if fault == "outage":
        power[44:52] = 0.0
    power = np.clip(power + rng.normal(scale=8.0, size=_STEPS_A_DAY), 0, None)
    times = _START + (day * _STEPS_A_DAY + step) * np.timedelta64(15, "m")
    return [(f"{time}Z", f"{value:.1f}") for time, value in zip(times, power, strict=True)]


def logs(seed: int = 0, *, n_train: int = 4000, n_test: int = 2000) -> Example:
    """Return log vectors: how often each of six kinds of lines was written in each minute.

    Counts are Poisson around a load that swings slowly. In the test part, stretches of ten minutes
    have errors in bursts, or no heartbeat.
    """
    rng = np.random.default_rng(seed)
    train = _minutes(rng, 0, [""] * n_train)
    faults = [""] * n_test
    for at in range(100, n_test - 20, 400):
        begin = at + int(rng.integers(200))
        faults[begin : begin + 10] = [("errors", "heartbeat")[at // 400 % 2]] * 10
    rows = _minutes(rng, n_train, faults)
    test = [(*row, str(int(bool(fault))), fault) for row, fault in zip(rows, faults, strict=True)]
    header = ("timestamp", "request", "query", "cache_miss", "login", "error", "heartbeat")
    return Example(header=header, train=train, test=test)


def _minutes(rng: np.random.Generator, first: int, faults: Sequence[str]) -> list[Row]:
    rows = []
    for minute, fault in enumerate(faults, start=first):
        load = 1.0 + 0.4 * np.sin(2 * np.pi * minute / 240)
        rates = np.array([60.0, 90.0, 12.0, 4.0, 0.3, 0.0]) * load
        if fault == "errors":
            rates[4] = 9.0
        counts = rng.poisson(rates)
        counts[5] = 0 if fault == "heartbeat" else 2
        time = _START + minute * np.timedelta64(1, "m")
        rows.append((f"{time}Z", *map(str, counts.tolist())))
    return rows


EXAMPLES: Mapping[str, Callable[[int], Example]] = {"events": events, "daily": daily, "logs": logs}
"""Every example by name."""
