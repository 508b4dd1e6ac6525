"""Ids of events. ESS recognises a repeated event by its id."""
from __future__ import annotations

import re
import secrets
import time
import uuid
from typing import Any, Mapping, Optional


def uuid7() -> str:
    """RFC 9562: 48 bits of milliseconds since 1970, then random bits."""
    value = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 7 << 76
    return str(uuid.UUID(int=value & ~(3 << 62) | 2 << 62))


def header_id(event: Mapping[str, Any]) -> Optional[str]:
    """The value of X-ESS-Id, by which a proxy sends all requests with one id to the same ingest. For an event with a cursor and no id,
    this is the id that ESS makes from topic and cursor. None if the id cannot be a header's value."""
    made = event["id"] if "id" in event else f"{event['topic']}:{event['cursor']}".replace(".", "/")
    return made if isinstance(made, str) and re.fullmatch(r"[!-~]{1,128}", made) else None
