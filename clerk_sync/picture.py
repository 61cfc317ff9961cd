"""The last day as charts: how long changes waited for Clerk, what deliveries came to, why the database was asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from math import ceil

from clerk_sync.models import Activity
from clerk_sync.models.activity import INTERVAL, interval_of

DAY = timedelta(days=1)
INTERVALS = DAY // INTERVAL
# Units of the drawing, which is scaled to the width of the page.
BAR, HEIGHT = 6, 120
WIDTH = INTERVALS * BAR
HOURS_APART = 4

# In the order in which they are stacked, the good below, with colors that differ for color-blind eyes too.
COLORS: Mapping[str, str] = {
    "": "#417690",
    "delivered": "#2e8540",
    "unchanged": "#94bfa2",
    "retried": "#e8a33d",
    "failed": "#c0392b",
    "claims_stale": "#417690",
    "metadata_not_synced": "#94bfa2",
    "claims_not_configured": "#e8a33d",
    "claims_invalid": "#c0392b",
}


@dataclass(frozen=True, slots=True)
class Bar:
    x: int
    y: float
    height: float
    color: str
    text: str


@dataclass(frozen=True, slots=True)
class Legend:
    label: str
    color: str
    total: int


@dataclass(frozen=True, slots=True)
class Chart:
    """What a template needs to draw one. `ceiling` is the value at the top, `summary` the whole in words."""

    title: str
    unit: str
    ceiling: int
    bars: list[Bar]
    legends: list[Legend]
    hours: list[tuple[int, str]]
    summary: str


def charts(now: datetime) -> list[Chart]:
    """Of the 24 hours before `now`, in one query."""
    first = interval_of(now) - DAY + INTERVAL
    rows = list(Activity.objects.since(first))
    lag = [
        Activity(at=row.at, figure=row.figure, value=ceil(row.value / 1000))
        for row in rows
        if row.figure == Activity.Figure.LAG
    ]
    longest = max((row.value for row in lag), default=0)
    deliveries = [row for row in rows if row.figure == Activity.Figure.DELIVERY]
    fallbacks = [row for row in rows if row.figure == Activity.Figure.FALLBACK]
    return [
        _chart("Longest wait of a change for Clerk", "seconds", first, lag, f"The longest wait was {longest} seconds."),
        _chart("Deliveries to Clerk", "deliveries", first, deliveries, _totals(deliveries)),
        _chart("Identities that the database gave", "requests", first, fallbacks, _totals(fallbacks)),
    ]


def _chart(title: str, unit: str, first: datetime, rows: list[Activity], summary: str) -> Chart:
    values: dict[datetime, dict[str, int]] = {}
    for row in rows:
        values.setdefault(row.at, {})[row.label] = row.value
    ceiling = round_up(max((sum(stack.values()) for stack in values.values()), default=0))
    bars = [bar for at, stack in values.items() for bar in _stack(first, at, stack, ceiling, unit)]
    totals = {label: sum(stack.get(label, 0) for stack in values.values()) for label in COLORS}
    legends = [Legend(label, COLORS[label], total) for label, total in totals.items() if label and total]
    moments = (first + index * INTERVAL for index in range(INTERVALS))
    hours = [
        ((moment - first) // INTERVAL * BAR, f"{moment:%H:%M}")
        for moment in moments
        if moment.minute == 0 and moment.hour % HOURS_APART == 0
    ]
    return Chart(title, unit, ceiling, bars, legends, hours, summary)


def _stack(first: datetime, at: datetime, stack: Mapping[str, int], ceiling: int, unit: str) -> Iterable[Bar]:
    labels = [label for label in COLORS if stack.get(label)]
    tops = accumulate(stack[label] for label in labels)
    for label, top in zip(labels, tops, strict=True):
        height = stack[label] / ceiling * HEIGHT
        text = f"{at:%H:%M} {label} {stack[label]} {unit}".replace("  ", " ")
        yield Bar(
            (at - first) // INTERVAL * BAR,
            round(HEIGHT - top / ceiling * HEIGHT, 1),
            round(height, 1),
            COLORS[label],
            text,
        )


def round_up(value: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50 …"""
    if value <= 1:
        return 1
    power = int("1" + "0" * (len(str(value)) - 1))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _totals(rows: list[Activity]) -> str:
    totals: dict[str, int] = {}
    for row in rows:
        totals[row.label] = totals.get(row.label, 0) + row.value
    return ", ".join(f"{total} {label}" for label, total in totals.items()) or "None."
