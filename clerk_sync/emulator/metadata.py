"""Clerk's rules for metadata: https://clerk.com/docs/guides/users/extending"""

import json
from collections.abc import Mapping
from typing import Any

from clerk_sync.emulator.errors import parameter

MAXIMUM_BYTES = 8 * 1024
KINDS = ("public_metadata", "private_metadata", "unsafe_metadata")


def merged(held: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The deep merge of PATCH: a null removes its key at any level, anything but an object replaces."""
    result = dict(held)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def check_size(kind: str, value: Mapping[str, Any]) -> None:
    if len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) > MAXIMUM_BYTES:
        raise parameter("form_param_exceeds_allowed_size", kind, f"must be at most {MAXIMUM_BYTES} bytes")
