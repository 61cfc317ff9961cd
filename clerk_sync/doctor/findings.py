from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """FINE was looked at and is in order. An ERROR keeps somebody from signing in, or a change from arriving."""

    FINE = 0
    NOTE = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` is stable, for scripts. `fix` says what to do, and is empty where nothing is to be done."""

    code: str
    severity: Severity
    text: str
    fix: str = ""


def fine(code: str, text: str) -> Finding:
    return Finding(code, Severity.FINE, text)


def note(code: str, text: str, fix: str = "") -> Finding:
    return Finding(code, Severity.NOTE, text, fix)


def warning(code: str, text: str, fix: str) -> Finding:
    return Finding(code, Severity.WARNING, text, fix)


def error(code: str, text: str, fix: str) -> Finding:
    return Finding(code, Severity.ERROR, text, fix)
