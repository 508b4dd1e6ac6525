"""For receivers: checks that a webhook comes from ESS unchanged, by the Standard Webhooks specification."""
from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from typing import Any, Iterable, List, Mapping, Optional, Tuple, Union

from .errors import VerificationError

Headers = Union[Mapping[str, str], Iterable[Tuple[Any, Any]]]


def _key(secret: str) -> bytes:
    """A secret with the prefix whsec_ is base64 of the key, any other is the key's bytes."""
    if not isinstance(secret, str) or not secret:
        raise ValueError("verify: the secret is missing; give the one that the subscriber was registered with")
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        key = base64.b64decode(secret[6:], validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("verify: the secret is damaged: what follows whsec_ must be base64")
    return key


def _keys(secret: Union[str, Iterable[str]]) -> List[bytes]:
    keys = [_key(one) for one in ((secret,) if isinstance(secret, str) or secret is None else secret)]
    if not keys:
        raise ValueError("verify: the secret is missing; give the one that the subscriber was registered with")
    return keys


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _header(headers: Headers, name: str) -> str:
    """The values of a header, joined by a space. Ignores the case of names. Takes mappings, and pairs of str or bytes."""
    pairs = headers.items() if hasattr(headers, "items") else headers
    found = " ".join(_text(value) for key, value in pairs if _text(key).lower() == name)
    if not found:
        raise VerificationError(f"verify: the header {name} is missing; did a proxy drop it, or is this no webhook of ESS?")
    return found


def _signed(signatures: str, keys: Iterable[bytes], message: bytes) -> bool:
    """Whether any signature belongs to any key. Compares all, so that the time reveals nothing."""
    good = False
    for key in keys:
        expected = b"v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest())
        for signature in signatures.split(" "):
            good = hmac.compare_digest(signature.encode(), expected) or good
    return good


def _parsed(body: bytes) -> Any:
    """An object; a batch has several: in `events`, or as a list of CloudEvents."""
    try:
        parsed = json.loads(body)
    except ValueError as cause:
        raise VerificationError("verify: the body is signed, but no JSON; did ESS send it?") from cause
    objects = parsed.get("events", [parsed]) if isinstance(parsed, dict) else parsed
    if not isinstance(objects, list) or not objects or not all(isinstance(one, dict) for one in objects):
        raise VerificationError("verify: the body is signed, but no JSON object; did ESS send it?")
    return parsed


def verify(raw_body: Union[bytes, bytearray, memoryview, str], headers: Headers, secret: Union[str, Iterable[str]], *,
           tolerance: float = 300, now: Optional[float] = None) -> Any:
    """Checks the signature (in constant time) and the age of a webhook, and returns its body, parsed: a dict, or a list for a batch of
    CloudEvents. `raw_body` is the body as received, before any parsing. During a rotation `secret` may be a list of secrets, one of which
    must fit. Raises a VerificationError that says what is wrong with the webhook; ValueError and TypeError are mistakes of the caller. `tolerance` and `now` are seconds."""
    if not isinstance(raw_body, (bytes, bytearray, memoryview, str)):
        raise TypeError(f"verify: the body must be the raw bytes as they came, before any parsing, not {type(raw_body).__name__}")
    keys = _keys(secret)
    body = raw_body.encode() if isinstance(raw_body, str) else bytes(raw_body)
    id, timestamp, signatures = (_header(headers, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    clock = time.time() if now is None else now
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or abs(clock - int(timestamp)) > tolerance:
        raise VerificationError(f"verify: the timestamp is more than {tolerance:g} s away from this clock; is one of the clocks wrong, "
                                "or was it recorded?")
    if not _signed(signatures, keys, f"{id}.{timestamp}.".encode() + body):
        raise VerificationError("verify: the signature does not fit; is it the secret of this subscriber, and the body as it came?")
    return _parsed(body)
