"""The one table of a run, as Markdown: what was measured, on what, and which bars were missed."""

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from benchmarks.figures import FELL_SHORT, Figure

# Between these lines of a file, `write` puts the table.
BEGIN, END = "<!-- the last run -->", "<!-- the end of the last run -->"
COLUMNS = ("benchmark", "figure", "measured", "bar", "", "note")


@dataclass(frozen=True)
class Outcome:
    """What came of one benchmark: its figures until it ended, and what its process ended with."""

    benchmark: str
    figures: list[Figure]
    exit_code: int

    @property
    def crashed(self) -> bool:
        return self.exit_code not in {0, FELL_SHORT}

    @property
    def reached(self) -> bool:
        return not self.crashed and all(figure.reached for figure in self.figures)


def table(outcomes: list[Outcome], machine: str) -> str:
    return "\n".join([machine, "", row(COLUMNS), row(["---"] * len(COLUMNS)), *rows(outcomes)])


def rows(outcomes: list[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        for figure in outcome.figures:
            measured = f"{figure.value:.2f}"
            verdict = f"**{figure.verdict}**" if not figure.reached else figure.verdict
            yield row([outcome.benchmark, figure.name.strip(), measured, figure.bar, verdict, figure.note])
        if outcome.crashed:
            yield row([outcome.benchmark, "", "", "", "**CRASHED**", f"it ended with {outcome.exit_code}"])


def row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def machine() -> str:
    """The day, the processor, how busy it is now, and the versions that matter: one line."""
    when = f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC"
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    hardware = f"{processor()}, {os.cpu_count()} cores, load average at the start {load}"
    return f"{when}; {hardware}; Python {platform.python_version()}, {postgresql()}."


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def postgresql() -> str:
    url = os.environ.get("TEST_DATABASE_URL", "")
    if not url.startswith("postgres"):
        return "no PostgreSQL"
    with psycopg.connect(url) as connection:
        version = connection.info.server_version
    return f"PostgreSQL {version // 10000}.{version % 10000}"


def write(text: str, path: Path) -> None:
    """Put the table where the file's last one is."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path} has no place for the table, between {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
