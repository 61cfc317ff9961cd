"""Claims templates: `{{user.public_metadata.key}}` replaced by what the user's record holds.

https://clerk.com/docs/guides/sessions/jwt-templates: a value alone keeps its type and a missing one is null;
inside text it becomes text, a missing one the word null; `{{a || b || 'x'}}` takes the first that is not null or false.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

SHORTCODE = re.compile(r"\{\{\s*(.*?)\s*\}\}")


def render(template: Any, context: Mapping[str, Any]) -> Any:
    """The template with every shortcode in it replaced, at any depth."""
    if isinstance(template, Mapping):
        return {name: render(value, context) for name, value in template.items()}
    if isinstance(template, list):
        return [render(value, context) for value in template]
    if not isinstance(template, str):
        return template
    whole = SHORTCODE.fullmatch(template)
    if whole and "}}" not in whole[1]:
        return evaluate(whole[1], context)
    return SHORTCODE.sub(lambda match: as_text(evaluate(match[1], context)), template)


def evaluate(expression: str, context: Mapping[str, Any]) -> Any:
    value: Any = None
    for operand in (part.strip() for part in expression.split("||")):
        literal = re.fullmatch(r"'([^']*)'|\"([^\"]*)\"", operand)
        value = (literal[1] or literal[2] or "") if literal else look_up(operand, context)
        if value is not None and value is not False:
            return value
    return value


def look_up(path: str, context: Mapping[str, Any]) -> Any:
    value: Any = context
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
