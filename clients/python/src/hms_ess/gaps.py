"""Finds missed events. No event for a subscriber lies strictly between an event's prev_cursor and its cursor. So a receiver whose newest
cursor is below prev_cursor has missed events, and knows their range."""
from __future__ import annotations

import threading
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional

Event = Mapping[str, Any]


class Gap(NamedTuple):
    """The events with since < cursor <= until are missing."""
    since: int
    until: int


class GapDetector:
    """Give every event to `take` as it arrives. `take` calls your handler once for each event, in order.

    `cursor` is the newest cursor that the receiver has handled and stored, or None at first. `fetch_missing(gap)`
    returns the events of a gap, such as `lambda gap: client.replay(gap.since, gap.until, topics)`. Any thread may call `take`; the calls
    run one at a time.
    """

    def __init__(self, cursor: Optional[int] = None, *, fetch_missing: Callable[[Gap], Iterable[Event]]) -> None:
        self._cursor, self._fetch_missing, self._lock = cursor, fetch_missing, threading.Lock()

    @property
    def cursor(self) -> Optional[int]:
        """The newest handled cursor. Store it together with the result of handling the event."""
        return self._cursor

    def gap_before(self, event: Event) -> Optional[Gap]:
        """The missing range before this event, or None."""
        previous = event.get("prev_cursor")
        if self._cursor is None or previous is None or self._cursor >= previous:
            return None
        return Gap(self._cursor, previous)

    def take(self, event: Event, handle: Callable[[Event], object], *, replay: bool = False) -> None:
        """Calls `handle` with the events missed before this one, then with this one. Does not call `handle` for a repeat. Two kinds of events
        are not part of the live stream: a redriven dead letter, which has no prev_cursor, and an event of a replay job (pass `replay=True`
        if the webhook has the header X-ESS-Replay). They are always handled, and leave `cursor` unchanged. An exception of `handle` or of
        the fetch ends the call: answer 503, and the next delivery of the event continues where this one stopped."""
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
