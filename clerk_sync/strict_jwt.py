"""A signed token read strictly: one spelling, one meaning, and whether the instance signed it.

PyJWT checks the signature. The rest is read more strictly than it would: it lets duplicate keys, NaN, UTF-16, unused
bits in base64 and any `typ` pass, and two parsers that differ on one token are how tokens get forged.
"""

import binascii
import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NoReturn, Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from clerk_sync.refusals import Reason, TokenRefused

# Bytes. A cookie holds 4 KB; a template token in a header may be longer. Nothing longer is even parsed.
MAX_TOKEN_BYTES = 16 * 1024

RS256 = RSAAlgorithm(RSAAlgorithm.SHA256)

Content = tuple[Mapping[str, Any], Mapping[str, Any]]


class Keys(Protocol):
    """Keys by `kid`. `generation` changes when they become others."""

    generation: int

    def get(self, key_id: str) -> RSAPublicKey: ...


def signed_content(token: str, keys: Keys) -> Content:
    """Header and payload of a token that one of the keys signed, whatever they say. Raises TokenRefused."""
    header_segment, payload_segment, signature = _segments(token)
    header = _parsed(_decoded(header_segment))
    key = keys.get(_signing_key_id(header))
    signed = token[: len(header_segment) + 1 + len(payload_segment)].encode("ascii")
    if not RS256.verify(signed, key, _decoded(signature)):
        raise TokenRefused(Reason.TOKEN_SIGNATURE)
    return header, _parsed(_decoded(payload_segment))


@lru_cache(maxsize=1024)  # of at most 16 KB each; a browser sends the same token for a minute
def unverified_payload(token: str) -> Mapping[str, Any] | None:
    """What a token says without proof, for choosing between cookies before the chosen one is verified."""
    try:
        return _parsed(_decoded(_segments(token)[1]))
    except TokenRefused:
        return None


def unverified_content(token: str) -> Content:
    """Header and payload without proof, for explaining a token that does not verify. Raises TokenRefused."""
    header, payload, _ = _segments(token)
    return _parsed(_decoded(header)), _parsed(_decoded(payload))


def _signing_key_id(header: Mapping[str, Any]) -> str:
    """The `kid` of a header that this site accepts: RS256 alone, nothing that changes how the token is to be read."""
    if header.get("alg") != "RS256":
        raise TokenRefused(Reason.TOKEN_ALGORITHM)
    if "crit" in header or "b64" in header:
        raise TokenRefused(Reason.TOKEN_MALFORMED, "It uses an extension that this site does not know.")
    if header.get("typ", "JWT") != "JWT":
        raise TokenRefused(Reason.TOKEN_KIND)
    key_id = header.get("kid", "")
    if not isinstance(key_id, str):
        raise TokenRefused(Reason.TOKEN_MALFORMED)
    return key_id


def _segments(token: str) -> tuple[str, str, str]:
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefused(Reason.TOKEN_TOO_LARGE)
    segments = token.split(".", 3)
    if len(segments) != 3 or not token.isascii():
        raise TokenRefused(Reason.TOKEN_MALFORMED)
    return segments[0], segments[1], segments[2]


def _decoded(segment: str) -> bytes:
    """The bytes of a base64url segment, in the one spelling that they have."""
    try:
        content = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise TokenRefused(Reason.TOKEN_MALFORMED) from None
    if urlsafe_b64encode(content).rstrip(b"=").decode("ascii") != segment:
        raise TokenRefused(Reason.TOKEN_MALFORMED)
    return content


def _parsed(content: bytes) -> Mapping[str, Any]:
    try:
        value = DECODER.decode(content.decode("utf-8"))
        if b"\\u" in content:
            # Half of a surrogate pair is text that no database and no response could take.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise TokenRefused(Reason.TOKEN_MALFORMED) from None
    if not isinstance(value, ReadOnlyObject):
        raise TokenRefused(Reason.TOKEN_MALFORMED)
    return value


class ReadOnlyObject(dict[str, Any]):
    """A JSON object that nobody may change: verified claims are shared by every request that brings the same token.

    A dict and not a MappingProxyType, so that json and templates take it as it is.
    """

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("verified claims cannot be changed")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse


def _frozen_object(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = {name: _frozen(value) if type(value) is list else value for name, value in pairs}
    if len(members) != len(pairs):
        raise ValueError("a name twice in one object")
    return ReadOnlyObject(members)


def _frozen(items: list[Any]) -> tuple[Any, ...]:
    return tuple([_frozen(item) if type(item) is list else item for item in items])


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError("a number too large")
    return number


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(object_pairs_hook=_frozen_object, parse_float=_finite, parse_constant=_no_constant)
