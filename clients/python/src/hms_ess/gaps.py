"""Finds missed events. No event for a subscriber lies strictly between an event's prev_cursor and its cursor. So a receiver whose newest
cursor is below prev_cursor has missed events, and knows their range."""
from __future__ import annotations

import threading
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional, Sequence, Union

Event = Mapping[str, Any]


class Gap(NamedTuple):
    """The events with since < cursor <= until are missing."""
    since: int
    until: int


def _number(value: Union[int, str, None]) -> Optional[int]:
    return None if value is None else int(value)


def _cursor(event: Event) -> Optional[int]:
    return _number(event.get("cursor", event.get("sequence")))


def _prev_cursor(event: Event) -> Optional[int]:
    return _number(event.get("prev_cursor", event.get("essprevcursor")))


class GapDetector:
    """Give the verified body of every webhook to `take` as it arrives. `take` calls your handler once for each event, in order.

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
        """The missing range before this event or heartbeat, or None."""
        previous = _prev_cursor(event)
        if self._cursor is None or previous is None or self._cursor >= previous:
            return None
        return Gap(self._cursor, previous)

    def take(self, body: Union[Event, Sequence[Event]], handle: Callable[[Event], object], *, replay: bool = False) -> None:
        """Calls `handle` with the events missed before this one, then with this one. Does not call `handle` for a repeat. Two kinds of events
        are not part of the live stream: a redriven dead letter, which has no prev_cursor, and an event of a replay job (pass `replay=True`
        if the webhook has the header X-ESS-Replay). They are always handled, and leave `cursor` unchanged. An exception of `handle` or of
        the fetch ends the call: answer 503, and the next delivery of the event continues where this one stopped.

        The events of a batch are taken one after the other. A heartbeat shows a gap as an event does, and moves `cursor`; a handshake
        moves nothing. Neither is given to `handle`. Events may be CloudEvents."""
        if isinstance(body, Mapping):
            if "handshake" in body:
                return
            body = body.get("events", [body])
        with self._lock:
            for event in body:
                self._one(event, handle, replay)

    def _one(self, event: Event, handle: Callable[[Event], object], replay: bool) -> None:
        if replay or _cursor(event) is None or _prev_cursor(event) is None:
            handle(event)
            return
        gap = self.gap_before(event)
        for missed in self._fetch_missing(gap) if gap else ():
            self._once(missed, handle)
        self._once(event, handle)

    def _once(self, event: Event, handle: Callable[[Event], object]) -> None:
        cursor = _cursor(event)
        if cursor is None:
            raise ValueError("an event without a cursor was fetched for a gap")
        if self._cursor is not None and cursor <= self._cursor:
            return
        if event.get("heartbeat") is not True:
            handle(event)
        self._cursor = cursor
