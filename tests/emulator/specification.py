"""Clerk's published OpenAPI descriptions, and whether an answer keeps to them."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import requests
import yaml
from jsonschema import Draft4Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT4

# Described by no published schema, though the pattern of a described path fits.
UNDESCRIBED = {"/clients/handshake_payload"}

BASE = "urn:clerk"
DATA = Path(__file__).parent.parent / "data"


@cache
def specification(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DATA / f"clerk-{name}-subset.yml").read_text(encoding="utf-8"))
    schema: dict[str, Any] = as_json_schema(loaded)
    return schema


def as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0's `nullable` said in JSON Schema: the schema, or null. References get a base of their own."""
    if isinstance(node, list):
        return [as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": f"{BASE}{node['$ref']}"}
    schema = {name: as_json_schema(value) for name, value in node.items()}
    if schema.pop("nullable", False) is True:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


@cache
def registry(name: str) -> Registry[Any]:
    registry: Registry[Any] = Registry().with_resource(BASE, DRAFT4.create_resource(specification(name)))
    return registry


def operation(name: str, method: str, path: str) -> dict[str, Any] | None:
    """The description of this call; of two that fit, the one with fewer parameters in its path."""
    if path in UNDESCRIBED:
        return None
    fitting = []
    for template, operations in specification(name)["paths"].items():
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method.lower() in operations:
            fitting.append((template.count("{"), template, operations[method.lower()]))
    return min(fitting)[2] if fitting else None


def assert_published(name: str, method: str, path: str, answer: requests.Response) -> None:
    """The answer's status is one that the operation may have, and its body fits; operations not described pass."""
    described = operation(name, method, path)
    if described is None or answer.status_code in {405, 429, 501} or answer.status_code >= 500:
        return
    responses = described["responses"]
    assert str(answer.status_code) in responses, f"{method} {path} answered {answer.status_code}: {answer.text[:500]}"
    response = responses[str(answer.status_code)]
    if "$ref" in response:
        response = specification(name)["components"]["responses"][response["$ref"].rpartition("/")[2]]
    if "content" not in response:
        return
    assert answer.headers["Content-Type"] == "application/json"
    schema = response["content"]["application/json"]["schema"]
    errors = sorted(Validator(schema, registry=registry(name)).iter_errors(answer.json()), key=str)
    assert not errors, f"{method} {path}: {errors[0].json_path}: {errors[0].message[:500]}"


# OpenAPI 3.0's schemas are of JSON Schema draft 4 with a few keywords more, which draft 4 passes over.
Validator = extend(Draft4Validator)
