"""A figure, the bar that it is held to if there is one, and how figures reach whoever gathers them."""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

# What a benchmark ends with if a figure misses its bar. Not 1, with which Python ends a program that crashed.
FELL_SHORT = 3
# Names the file to which each figure is added, as a line of JSON.
GATHERED_IN = "BENCHMARK_FIGURES"


@dataclass(frozen=True)
class Figure:
    """`value` is in the unit that `name` tells. Without a bar it is printed and never missed."""

    name: str
    value: float
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def bar(self) -> str:
        bars = [("at most", self.at_most), ("at least", self.at_least)]
        return " and ".join(f"{word} {bar:g}" for word, bar in bars if bar is not None)

    @property
    def reached(self) -> bool:
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    @property
    def verdict(self) -> str:
        """Empty where there is no bar."""
        if not self.bar:
            return ""
        return "reached" if self.reached else "MISSED"

    def __str__(self) -> str:
        return f"{self.name:<62} {self.value:9.2f}  {self.bar:<14} {self.verdict:<7}  {self.note}".rstrip()


def report(figures: list[Figure]) -> int:
    """Prints each figure, and hands it to whoever gathers them; 0 if all reached their bars, else FELL_SHORT."""
    for figure in figures:
        print(figure, flush=True)
    if path := os.environ.get(GATHERED_IN):
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(dataclasses.asdict(figure)) + "\n" for figure in figures)
    return 0 if all(figure.reached for figure in figures) else FELL_SHORT


def gathered(path: Path) -> list[Figure]:
    """The figures that were reported into this file."""
    return [Figure(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
