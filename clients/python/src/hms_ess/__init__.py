"""hms-ess: publishes to ESS, reads its feed, and verifies its webhooks. Standard library only; Python 3.9 or later."""
from __future__ import annotations

import threading
from typing import Any, Optional

from .client import Client, EventInput, Page, Published
from .errors import EssError, VerificationError
from .gaps import Gap, GapDetector
from .verify import verify

__all__ = ["Client", "EssError", "EventInput", "Gap", "GapDetector", "Page", "Published", "VerificationError", "publish", "verify"]
__version__ = "0.1.0"

_lock = threading.Lock()
_common: Optional[Client] = None  # made at the first publish, from the environment


def publish(topic: str, data: Any, *, key: Optional[str] = None, id: Optional[str] = None, cursor: Optional[int] = None,
            ts: Optional[str] = None) -> Published:
    """Publishes one event to ESS_URL (http://127.0.0.1:8080 unless set), with the access token ESS_TOKEN. See Client.publish."""
    global _common
    with _lock:
        _common = _common or Client()
    return _common.publish(topic, data, key=key, id=id, cursor=cursor, ts=ts)
