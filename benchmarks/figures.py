"""A figure and the bar that it is held to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool:
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def __str__(self) -> str:
        bar = f"at most {self.at_most:g}" if self.at_most is not None else ""
        bar += f"at least {self.at_least:g}" if self.at_least is not None else ""
        return f"{self.name:<62} {self.value:9.2f}  {bar:<14} {'reached' if self.reached else 'MISSED'}  {self.note}"


def report(figures: list[Figure]) -> int:
    """Prints each figure; 0 if all reached their bars."""
    for figure in figures:
        print(figure, flush=True)
    return 0 if all(figure.reached for figure in figures) else 1
