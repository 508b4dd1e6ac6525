"""The calls of ESS's HTTP API that publishers and readers make."""
from __future__ import annotations

import json
import os
import random
import ssl
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, TypedDict, Union
from urllib.parse import quote, urlencode

from .errors import EssError
from .ids import header_id, uuid7
from .transport import Http

BATCH_MAX = 1000
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.1, 5.0
RETRY_AFTER_MAX_S = 60.0  # a longer Retry-After is reported to the caller at once
POLL_WAIT_MAX_S = 60

Event = Dict[str, Any]
Topics = Union[str, Sequence[str], None]
Filter = Optional[Mapping[str, Any]]  # like a subscriber's: {"data": {"state": ["MD"]}}


class _Needed(TypedDict):
    topic: str
    data: Any


class EventInput(_Needed, total=False):
    """What a publisher sends."""
    key: str     # what the event is about; of each topic and key, Kafka keeps the newest event beyond the replay window
    id: str      # names the event; generated if neither id nor cursor is given
    cursor: int  # the publisher's own counter; arrives as source_cursor
    ts: str      # RFC 3339


class Published(NamedTuple):
    cursor: int
    id: str
    duplicate: bool = False  # the event was in the log already


class Page(NamedTuple):
    """The next events of a pulled subscriber."""
    events: List[Event]
    cursor: int  # read up to here; acknowledge it if a page without events has more
    more: bool   # the log has more


def _named(event: Mapping[str, Any]) -> Dict[str, Any]:
    """The event with an id or a cursor, so that a repeat is recognised."""
    if not isinstance(event, Mapping) or not {"topic", "data"} <= event.keys():
        raise ValueError('an event must be such as {"topic": "drug.copay", "data": {"copay": 25}}')
    whole = {name: value for name, value in event.items() if value is not None or name == "data"}
    return whole if "id" in whole or "cursor" in whole else {**whole, "id": uuid7()}


def _published(result: Mapping[str, Any]) -> Published:
    return Published(result["cursor"], result["id"], result.get("duplicate", False))


def _query(path: str, topics: Topics, filter: Filter, **parameters: Optional[int]) -> str:
    given: Dict[str, Any] = {name: value for name, value in parameters.items() if value is not None}
    joined = topics if isinstance(topics, str) else ",".join(topics or ())
    if joined:
        given["topics"] = joined
    if filter is not None:
        given["filter"] = json.dumps(filter, separators=(",", ":"))
    return f"{path}?{urlencode(given, safe=',*')}"


class Client:
    """May be used by several threads. `timeout` limits each wait on the network, in seconds. `retries` is how often a call is repeated after 429,
    502, 503, 504 or a lost connection. `tls` verifies an https server; without it, the system's CAs do."""

    def __init__(self, url: Optional[str] = None, token: Optional[str] = None, *, timeout: float = 10, retries: int = 8,
                 tls: Optional[ssl.SSLContext] = None) -> None:
        self._http = Http(url or os.environ.get("ESS_URL") or "http://127.0.0.1:8080", tls)
        self._token = token or os.environ.get("ESS_TOKEN")
        self._timeout, self._retries = timeout, retries

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the idle connections. The client can be used again."""
        self._http.close()

    def _call(self, method: str, path: str, body: Optional[bytes] = None, *, id: Optional[str] = None, longer: float = 0) -> Any:
        """Makes a call, and repeats it after a retryable error. Only for calls that may be made twice."""
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        if id is not None:
            headers["X-ESS-Id"] = id
        attempt = 0
        while True:
            try:
                return self._http.call(method, path, body, headers, self._timeout + longer)
            except EssError as error:
                if not error.retryable or attempt >= self._retries or error.retry_after > RETRY_AFTER_MAX_S:
                    raise
                backoff = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** attempt)
                time.sleep(max(error.retry_after, backoff * random.uniform(0.5, 1)))
            attempt += 1

    def _publish(self, first: Mapping[str, Any], sent: Any) -> Any:
        body = json.dumps(sent, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        return self._call("POST", "/ess/publish", body, id=header_id(first))

    def publish(self, topic: str, data: Any, *, key: Optional[str] = None, id: Optional[str] = None, cursor: Optional[int] = None,
                ts: Optional[str] = None) -> Published:
        """Returns once the event is in Kafka, on every in-sync replica. An event without `id` or `cursor` gets an id. ESS
        recognises a repeat by its id. After an EssError, publish again with `id=error.id` to try later."""
        event = _named({"topic": topic, "data": data, "key": key, "id": id, "cursor": cursor, "ts": ts})
        try:
            return _published(self._publish(event, event))
        except EssError as error:
            error.id = error.id or event.get("id")
            raise

    def publish_batch(self, events: Sequence[EventInput]) -> List[Published]:
        """Publishes 1 to 1,000 events. ESS checks all of them before it appends any. After an EssError whose `retryable` is true, some events
        may be in the log: send the whole batch again. Give each event an `id`, so that ESS recognises the repeats."""
        if isinstance(events, (str, bytes, Mapping)) or not 1 <= len(events) <= BATCH_MAX:
            raise ValueError(f"a batch must be a list of 1 to {BATCH_MAX} events")
        whole = [_named(event) for event in events]
        return [_published(result) for result in self._publish(whole[0], whole)["results"]]

    def replay(self, since: int = 0, until: Optional[int] = None, topics: Topics = None, *, filter: Filter = None,
               limit: int = 500) -> Iterator[Event]:
        """Yields every event above the cursor `since`, up to and including `until`, or to the end. `limit` is the size of a page."""
        cursor, more = since, True
        while more:
            page = self._call("GET", _query("/ess/replay", topics, filter, since_cursor=cursor, until_cursor=until, limit=limit))
            yield from page["events"]
            if page["more"] and page["cursor"] <= cursor:
                raise EssError(f"replay stands still at cursor {cursor}: the answer has more, but names no later cursor; is it ESS that answers?")
            cursor, more = page["cursor"], page["more"]

    def poll(self, cursor: Optional[int] = None, topics: Topics = None, *, filter: Filter = None, limit: int = 500, wait: int = 30,
             stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Yields every event above `cursor` (default: the end), then each new event. Ends once `stop()` returns true. `stop` is called before
        each request, so at least every `wait` seconds. After an EssError, continue from the last event's cursor."""
        if not 0 <= wait <= POLL_WAIT_MAX_S:
            raise ValueError(f"wait must be 0 to {POLL_WAIT_MAX_S} seconds")
        while not stop():
            page = self._call("GET", _query("/ess/poll", topics, filter, cursor=cursor, limit=limit, wait=wait), longer=wait)
            yield from page["events"]
            cursor = page["cursor"]

    def next(self, id: str, *, limit: int = 500, wait: int = 0) -> Page:
        """Returns the next events of a pulled subscriber. Waits up to `wait` seconds for a first event. Without an ack, the next call returns
        the same events."""
        if not 0 <= wait <= POLL_WAIT_MAX_S:
            raise ValueError(f"wait must be 0 to {POLL_WAIT_MAX_S} seconds")
        page = self._call("GET", _query(f"/ess/subscribers/{quote(id, safe='')}/next", None, None, limit=limit, wait=wait), longer=wait)
        return Page(page["events"], page["cursor"], page["more"])

    def ack(self, id: str, cursor: int) -> int:
        """Acknowledges everything up to `cursor`: ESS does not give it again. Returns the position, once it is in Kafka."""
        body = json.dumps({"cursor": cursor}).encode()
        position: int = self._call("POST", f"/ess/subscribers/{quote(id, safe='')}/ack", body)["cursor"]
        return position

    def consume(self, id: str, *, limit: int = 500, wait: int = 30, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Yields each event of a pulled subscriber. Ask for the next event once the one before it is handled: a page is acknowledged when the
        event after it is asked for. Ends once `stop()` returns true. `stop` is called before each request."""
        while not stop():
            page = self.next(id, limit=limit, wait=wait)
            yield from page.events
            if page.events:
                self.ack(id, page.events[-1]["cursor"])
            elif page.more:  # it has passed events of other topics
                self.ack(id, page.cursor)
