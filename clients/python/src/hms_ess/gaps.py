"""Nothing for a subscriber lies strictly between an event's prev_cursor and its cursor. So a receiver whose newest cursor is below
prev_cursor has missed events, and knows between which cursors they lie."""
from __future__ import annotations

import threading
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional

Event = Mapping[str, Any]


class Gap(NamedTuple):
    """Missing are the events with since < cursor <= until."""
    since: int
    until: int


class GapDetector:
    """Give every event to `take` as it arrives: it hands each event to your handler once, in order.

    `cursor` is the newest cursor that the receiver has handled, and has kept; None if it has handled nothing yet. `fetch_missing(gap)`
    returns the events of a gap, such as `lambda gap: client.replay(gap.since, gap.until, topics)`. Any thread may call `take`; the calls
    run one at a time.
    """

    def __init__(self, cursor: Optional[int] = None, *, fetch_missing: Callable[[Gap], Iterable[Event]]) -> None:
        self._cursor, self._fetch_missing, self._lock = cursor, fetch_missing, threading.Lock()

    @property
    def cursor(self) -> Optional[int]:
        """The newest cursor that was handled. Keep it together with what you did for the event."""
        return self._cursor

    def gap_before(self, event: Event) -> Optional[Gap]:
        """The range that is missing before this event; None if nothing is missing."""
        previous = event.get("prev_cursor")
        if self._cursor is None or previous is None or self._cursor >= previous:
            return None
        return Gap(self._cursor, previous)

    def take(self, event: Event, handle: Callable[[Event], object], *, replay: bool = False) -> None:
        """Calls `handle` with the events that were missed before this one, and then with this one; not at all for a repeat. A dead letter that
        is sent again (it has no prev_cursor) and an event of a replay job (`replay`: it came with the header X-ESS-Replay) stand beside the
        live stream: they are always handled, and `cursor` stays. What `handle` or the fetch raises ends the call: answer with 503, and
        the event's next delivery continues where this one stopped."""
        with self._lock:
            if replay or event.get("cursor") is None or event.get("prev_cursor") is None:
                handle(event)
                return
            gap = self.gap_before(event)
            for missed in self._fetch_missing(gap) if gap else ():
                self._once(missed, handle)
            self._once(event, handle)

    def _once(self, event: Event, handle: Callable[[Event], object]) -> None:
        if self._cursor is not None and event["cursor"] <= self._cursor:
            return
        handle(event)
        self._cursor = event["cursor"]
