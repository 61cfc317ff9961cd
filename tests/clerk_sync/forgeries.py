"""Tokens that must not be accepted, and endless variations of one that must: for the tests, and for `make prove`."""

import base64
import hashlib
import hmac
import json
import random
import string
import time
from collections.abc import Iterator
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256, SHA512

from tests.instance import ClerkInstance

B64 = string.ascii_letters + string.digits + "-_"


def b64(content: bytes | str) -> str:
    content = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def unb64(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def signed(clerk: ClerkInstance, header: bytes | str, payload: bytes | str) -> str:
    """A token whose signature is right, whatever its two parts are."""
    content = f"{b64(header)}.{b64(payload)}"
    return f"{content}.{b64(clerk.key.sign(content.encode(), padding.PKCS1v15(), SHA256()))}"


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = token.split(".")
    return json.loads(unb64(header)), json.loads(unb64(payload))


def claiming(clerk: ClerkInstance, name: str, value: Any) -> str:
    """A token with one claim of any value, which PyJWT would not sign."""
    header, payload = parts(clerk.token())
    return signed(clerk, json.dumps(header), json.dumps(payload | {name: value}))


def refused_tokens(clerk: ClerkInstance) -> Iterator[tuple[str, str]]:
    """Each kind of token that must be refused, by name. Most are signed by the instance itself."""
    yield from _forged_by_algorithm(clerk)
    yield from _forged_by_header(clerk)
    yield from _misspelled(clerk)
    yield from _wrongly_signed(clerk)
    yield from _wrong_claims(clerk)
    yield from _other_kinds(clerk)


def _forged_by_algorithm(clerk: ClerkInstance) -> Iterator[tuple[str, str]]:
    header, payload = parts(clerk.token())
    body = json.dumps(payload)
    for name in ("none", "None", "NONE", "nOnE", ""):
        unsigned = f"{b64(json.dumps(header | {'alg': name}))}.{b64(body)}"
        yield f"algorithm {name!r}", f"{unsigned}."
        yield f"algorithm {name!r} with a signature", f"{unsigned}.{b64('signature')}"
    public = clerk.public_pem
    for secret in (public, public.strip(), public.replace("\n", "\\n")):
        content = f"{b64(json.dumps(header | {'alg': 'HS256'}))}.{b64(body)}"
        mac = hmac.new(secret.encode(), content.encode(), hashlib.sha256).digest()
        yield f"HS256 with the public key of {len(secret)}", f"{content}.{b64(mac)}"
    for algorithm in ("RS384", "RS512", "PS256"):
        yield algorithm, jwt.encode(payload, clerk.key, algorithm=algorithm, headers=header | {"alg": algorithm})
    curve = ec.generate_private_key(ec.SECP256R1())
    yield "ES256", jwt.encode(payload, curve, algorithm="ES256", headers=header | {"alg": "ES256"})
    for value in (None, 7, ["RS256"], {"RS256": 1}, "rs256", "RS256 "):
        yield f"alg {value!r}", signed(clerk, json.dumps(header | {"alg": value}), body)
    content = f"{b64(json.dumps(header))}.{b64(body)}"
    yield "SHA-512 under RS256", f"{content}.{b64(clerk.key.sign(content.encode(), padding.PKCS1v15(), SHA512()))}"
    pss = clerk.key.sign(content.encode(), padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    yield "PSS under RS256", f"{content}.{b64(pss)}"


def _forged_by_header(clerk: ClerkInstance) -> Iterator[tuple[str, str]]:
    header, payload = parts(clerk.token())
    body = json.dumps(payload)
    mallory = ClerkInstance(key=generate_private_key(public_exponent=65537, key_size=2048))
    jwk = mallory.jwks["keys"][0]
    tricks: dict[str, Any] = {
        "jwk": jwk,
        "jku": "https://evil.test/.well-known/jwks.json",
        "x5u": "https://evil.test/key.pem",
        "x5c": ["MIIB"],
    }
    for name, value in tricks.items():
        yield f"a key of its own in {name}", signed(mallory, json.dumps(header | {name: value}), body)
    for key_id in ("../../dev/null", "' OR 1=1 --", "\x00", "https://evil.test/jwks.json", "", " ", "a" * 5000):
        yield f"kid {key_id[:20]!r}", signed(mallory, json.dumps(header | {"kid": key_id}), body)
    for value in (7, None, ["ins_tests"], {"kid": "ins_tests"}):
        yield f"kid {value!r}", signed(clerk, json.dumps(header | {"kid": value}), body)
    for name, value in {"crit": ["exp"], "b64": False}.items():
        yield f"unknown {name}", signed(clerk, json.dumps(header | {name: value}), body)
    yield "crit empty", signed(clerk, json.dumps(header | {"crit": []}), body)
    yield "b64 true", signed(clerk, json.dumps(header | {"b64": True}), body)
    for typ in ("at+jwt", "application/at+jwt", "JWE", "", None, 7):
        yield f"typ {typ!r}", signed(clerk, json.dumps(header | {"typ": typ}), body)
    categories: list[Any] = ["cl_B7d4PD333AAA", "cl_unknown", "", None, 7, ["cl_B7d4PD111AAA"], {}]
    for category in categories:
        yield f"cat {category!r}", signed(clerk, json.dumps(header | {"cat": category}), body)
    for oiat in ("now", -1, 1.5, True, None, 2**60):
        yield f"oiat {oiat!r}", signed(clerk, json.dumps(header | {"oiat": oiat}), body)


def _misspelled(clerk: ClerkInstance) -> Iterator[tuple[str, str]]:
    token = clerk.token()
    header, payload, signature = token.split(".")
    head, body = unb64(header).decode(), unb64(payload).decode()
    yield "empty", ""
    yield "two dots", ".."
    yield "one segment", header
    yield "two segments", f"{header}.{payload}"
    yield "four segments", f"{token}.{signature}"
    yield "five segments", f"{token}.."
    yield "empty header", f".{payload}.{signature}"
    yield "empty payload", f"{header}..{signature}"
    yield "empty signature", f"{header}.{payload}."
    yield "white space before", f" {token}"
    yield "a line break after", f"{token}\n"
    yield "a line break inside", f"{header}.\n{payload}.{signature}"
    yield "padding", f"{header}={'.'}{payload}.{signature}"
    yield "padded signature", f"{header}.{payload}.{signature}=="
    yield "standard base64", f"{header}.{payload}.{base64.b64encode(unb64(signature)).decode().rstrip('=')}+/"
    yield "unused bits", f"{header}.{payload}.{other_spelling(signature)}"
    yield "not ASCII", f"{header}.{payload}.{signature[:-1]}é"
    yield "a full-width digit", f"{header}.{payload}.{signature[:-1]}\N{FULLWIDTH DIGIT ONE}"
    duplicates = (
        (head.replace('"alg"', '"alg":"none","alg"', 1), body),
        (head, body.replace('"sub"', '"sub":"user_2","sub"', 1)),
        (head, body.replace('{"', '{"exp":1,"', 1)),
        (head, body[:-1] + ',"o":{"id":1,"id":2}}'),
    )
    for number, (one, two) in enumerate(duplicates):
        yield f"duplicate keys {number}", signed(clerk, one, two)
    for number, text in enumerate(("NaN", "Infinity", "-Infinity", "1e999", "-1e999")):
        yield f"number {number}", signed(clerk, head, body[:-1] + f',"x":{text}}}')
    for text in ("null", "true", "7", '"text"', "[]", "", "{", "{}"):
        yield f"payload {text!r}", signed(clerk, head, text)
        yield f"header {text!r}", signed(clerk, text, body)
    for number, text in enumerate((body + "x", body + body, f"[{body}]", body.replace('"', "'"))):
        yield f"payload not JSON {number}", signed(clerk, head, text)
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig"):
        yield f"payload in {encoding}", signed(clerk, head, body.encode(encoding))
        yield f"header in {encoding}", signed(clerk, head.encode(encoding), body)
    yield "not UTF-8", signed(clerk, head, body[:-1].encode() + b',"x":"\xff"}')
    yield "half a surrogate pair", signed(clerk, head, body[:-1] + ',"x":"\\ud800"}')
    yield "nested without end", signed(clerk, head, '{"x":' + "[" * 4000 + "]" * 4000 + "}")
    yield "a number of 5000 digits", signed(clerk, head, body[:-1] + f',"x":{"9" * 5000}}}')
    for kilobytes in (17, 64, 1024):
        yield f"{kilobytes} KB", signed(clerk, head, body[:-1] + f',"x":"{"x" * 1024 * kilobytes}"}}')
        yield f"{kilobytes} KB of dots", "." * 1024 * kilobytes


def other_spelling(segment: str) -> str:
    """The same bytes, with other bits in the last character where base64 leaves some unused."""
    return segment[:-1] + B64[B64_VALUES.index(segment[-1]) ^ 1] if len(segment) % 4 else segment + "A==="


B64_VALUES = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def _wrongly_signed(clerk: ClerkInstance) -> Iterator[tuple[str, str]]:
    token = clerk.token()
    content, signature = token.rsplit(".", 1)
    raw = unb64(signature)
    wrong = {
        "all zero": bytes(256),
        "all ones": b"\xff" * 256,
        "one byte": b"\x00",
        "truncated": raw[:-1],
        "with a byte more": raw + b"\x00",
        "with a zero before": b"\x00" + raw,
        "reversed": raw[::-1],
        "foreign": unb64(ClerkInstance().token().rsplit(".", 1)[1]),
        "of another token": unb64(clerk.token(sid="sess_2").rsplit(".", 1)[1]),
        "its own modulus": clerk.key.public_key().public_numbers().n.to_bytes(256, "big"),
    }
    for name, value in wrong.items():
        yield f"signature {name}", f"{content}.{b64(value)}"
    yield "another instance's", ClerkInstance().token()


def _wrong_claims(clerk: ClerkInstance) -> Iterator[tuple[str, str]]:
    now = int(time.time())
    for name in ("exp", "iat", "sub", "sid", "iss"):
        yield f"without {name}", clerk.token(**{name: None})
    times: list[Any] = ["soon", str(now), 1.5, float(now), True, -1, 2**53 + 1, 2**64, 10**400, [now], {}, None]
    for name in ("exp", "iat", "nbf"):
        for number, value in enumerate(times):
            yield f"{name} of a wrong type or size {number}", claiming(clerk, name, value)
    texts: list[Any] = [None, 7, 1.5, True, "", " ", [], ["user_1"], {}, {"id": "user_1"}]
    for name in ("sub", "sid", "iss", "azp"):
        for value in texts:
            yield f"{name} {value!r}", claiming(clerk, name, value)
    for name in ("sub", "sid"):
        for value in ("user 1", "user_1\n", "user_1\x00", "üser", "u" * 65, "user_1;DROP", "../user_1"):
            yield f"{name} {value!r}", claiming(clerk, name, value)
    for value in [None, 7, "ACTIVE", "", True, [], {}, "pending", "ended", "revoked"]:
        yield f"sts {value!r}", claiming(clerk, "sts", value)
    for value in [None, 7, "user_2", [], {}, {"sub": None}, {"sub": 7}, {"sub": ""}, {"iss": "x"}]:
        yield f"act {value!r}", claiming(clerk, "act", value)
    yield "expired", clerk.token(exp=now - 6, iat=now - 66, nbf=now - 76)
    yield "expired long ago", clerk.token(exp=0, iat=0, nbf=0)
    yield "issued in the future", clerk.token(iat=now + 3000, exp=now + 6000)
    yield "not valid yet", clerk.token(nbf=now + 3000, exp=now + 6000)
    for issuer in ("https://clerk.manageros.test/", "http://clerk.manageros.test", "clerk.manageros.test", "null"):
        yield f"iss {issuer}", clerk.token(iss=issuer)
    for party in ("http://testserver/", "https://testserver", "http://testserver.evil.test", "null", "testserver"):
        yield f"azp {party}", clerk.token(azp=party)


def _other_kinds(clerk: ClerkInstance) -> Iterator[tuple[str, str]]:
    year = int(time.time()) + 365 * 24 * 3600
    yield "a template's", clerk.token(sid=None, exp=year, headers={"cat": "cl_B7d4PD222AAA"})
    yield "a template's with a sid", clerk.token(exp=year, headers={"cat": "cl_B7d4PD222AAA"})
    yield "a template's for us", clerk.token(sid=None, aud="manageros", headers={"cat": "cl_B7d4PD222AAA"})
    yield "a template's of unknown category", clerk.token(sid=None, exp=year, headers={"cat": None})
    yield "a machine's", clerk.token(sub="mch_1", headers={"cat": "cl_B7d4PD333AAA"})
    yield "a machine's of unknown category", clerk.token(sub="mch_1", headers={"cat": None})
    yield "a handshake", clerk.token(sub=None, sid=None, claims={"handshake": ["__session=x"]})
    yield "an OAuth token", clerk.token(sid=None, headers={"typ": "at+jwt", "cat": None}, claims={"scope": "profile"})
    for opaque in ("mt_0123456789abcdef", "oat_0123456789abcdef", "ak_0123456789abcdef", "sess_1", "dvb_1"):
        yield f"opaque {opaque[:4]}", opaque


def mutated(token: str, random: random.Random) -> str:
    """The token with one thing changed: a character, a bit of a segment's bytes, a cut, a doubling, a swap."""
    while True:
        changed = random.choice(MUTATIONS)(token, random)
        if changed != token:
            return changed


def _change_character(token: str, random: random.Random) -> str:
    at = random.randrange(len(token))
    return token[:at] + random.choice(B64 + ".+/= \x00é") + token[at + 1 :]


def _flip_bit(token: str, random: random.Random) -> str:
    segments = token.split(".")
    which = random.randrange(3)
    content = bytearray(unb64(segments[which]))
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    segments[which] = b64(bytes(content))
    return ".".join(segments)


def _cut(token: str, random: random.Random) -> str:
    start = random.randrange(len(token))
    return token[:start] + token[start + random.randrange(1, 40) :]


def _double(token: str, random: random.Random) -> str:
    start = random.randrange(len(token))
    piece = token[start : start + random.randrange(1, 40)]
    return token[:start] + piece + token[start:]


def _swap(token: str, random: random.Random) -> str:
    segments = token.split(".")
    random.shuffle(segments)
    return ".".join(segments)


def _respell(token: str, random: random.Random) -> str:
    segments = token.split(".")
    which = random.randrange(3)
    segments[which] = random.choice((other_spelling, lambda segment: segment + "="))(segments[which])
    return ".".join(segments)


def _rewrite_claim(token: str, random: random.Random) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(unb64(payload))
    name = random.choice(list(claims))
    claims[name] = random.choice((None, 0, -1, 2**70, "x", [], {}, True, "user_2", claims[name], [claims[name]]))
    return f"{header}.{b64(json.dumps(claims))}.{signature}"


MUTATIONS = (_change_character, _flip_bit, _cut, _double, _swap, _respell, _rewrite_claim)
