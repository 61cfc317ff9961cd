"""Reads settings from environment variables, and remembers what was malformed.

A malformed value does not raise here: settings must load for `manage.py check` to explain every problem at once.
`manageros.checks` turns `problems` into system-check errors, which stop every command and server at start-up.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


class Environment:
    """Typed access to variables; `NAME_FILE` names a file that holds the value of `NAME`, as Docker secrets do."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self.variables = os.environ if variables is None else variables
        self.problems: dict[str, str] = {}

    def text(self, name: str, default: str = "") -> str:
        """The value without surrounding white space; `default` where it is unset or empty."""
        file = self.variables.get(f"{name}_FILE", "").strip()
        if not file:
            return self.variables.get(name, "").strip() or default
        try:
            return Path(file).read_text(encoding="utf-8").strip() or default
        except (OSError, UnicodeDecodeError) as error:
            self.problems[name] = f"{name}_FILE names {file}, which cannot be read: {error}."
            return default

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.text(name).lower()
        if not value:
            return default
        if value not in TRUE | FALSE:
            self.problems[name] = f"{name} must be true or false."
            return default
        return value in TRUE

    def choice(self, name: str, default: str, *, among: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in among:
            self.problems[name] = f"{name} must be one of {', '.join(among)}."
            return default
        return value

    def listed(self, name: str) -> list[str]:
        """Comma-separated values, empty ones left out."""
        return [part.strip() for part in self.text(name).split(",") if part.strip()]

    def number(self, name: str, default: float, *, minimum: float = 0) -> float:
        value = self.text(name)
        if not value:
            return default
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not minimum <= number < float("inf"):
            self.problems[name] = f"{name} must be a number, {minimum:g} or more."
            return default
        return number

    def origins(self, name: str) -> list[str]:
        """Comma-separated web origins: scheme and host, no path."""
        origins = self.listed(name)
        for origin in origins:
            if not is_origin(origin):
                self.problems[name] = f"{name} must list origins like https://example.com; {origin!r} is none."
        return [origin for origin in origins if is_origin(origin)]

    def parsed(self, name: str, default: str, parse: Callable[[str], T]) -> T:
        """`parse(value)`; where it raises ValueError, the problem is kept and the default parsed instead."""
        try:
            return parse(self.text(name, default))
        except ValueError as error:
            self.problems[name] = f"{name} cannot be understood: {error}."
            return parse(default)


def is_origin(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and not (parts.path or parts.query)
