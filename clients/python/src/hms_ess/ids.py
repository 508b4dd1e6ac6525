"""Ids of events: by its id ESS recognises an event that is sent again."""
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
    """A proxy in front of several ingests sends what has one id to one of them. ESS makes the id of an event that only has a cursor
    from topic and cursor; this is the same."""
    made = event["id"] if "id" in event else f"{event['topic']}:{event['cursor']}".replace(".", "/")
    return made if isinstance(made, str) and re.fullmatch(r"[!-~]{1,128}", made) else None
