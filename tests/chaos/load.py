"""What runs while things break: publishers that send each event, with its id, until it is acknowledged, and subscribers of every kind,
whose endpoints fail now and then and keep what they got."""
import dataclasses
import http.client
import json
import random
import threading
import time
import zlib

from ess import Answer

TOPICS = ["chaos.a", "chaos.a", "chaos.b", "chaos.c"]
KEYS = [f"key-{n}" for n in range(6)] + [None]
STATES = ["MD"] * 40 + ["VA"] * 20 + ["WV"] * 20 + ["DC"] * 15 + ["WY"] * 5
FILTERS = [{"data": {"state": states}} for states in (["MD", "VA"], ["MD", "WV"], ["MD"])]


def call(ingest, method, path, body=None, timeout=3):
    """(status, answer). An ingest that is stopped is not waited for."""
    host, port = ingest.address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


def post(ingest, path, body, timeout=3):
    return call(ingest, "POST", path, body, timeout)


class Publisher(threading.Thread):
    """Sends its events one after the other at a rate, each by whichever ingest, until it is taken."""

    RETRY_S = 0.1

    def __init__(self, name, ingests, per_sec, rng):
        super().__init__(daemon=True)
        self.prefix, self.ingests, self.pause, self.rng = name, ingests, 1 / per_sec, rng
        self.acknowledged, self.failure = {}, None  # id: (cursor, topic, data)
        self._end = threading.Event()
        self.start()

    def run(self):
        try:
            number = 0
            while not self._end.wait(self.pause):
                self._publish({"topic": self.rng.choice(TOPICS), "id": f"{self.prefix}-{number}", "data": {"n": number, "by": self.prefix, "state": self.rng.choice(STATES)}})
                number += 1
        except Exception as failure:
            self.failure = failure

    def _post(self, event):
        """(status, answer). An ingest that was killed, or is not back yet, is as good as one that answers 503."""
        try:
            return post(self.rng.choice(self.ingests), "/ess/publish", event)
        except (OSError, http.client.HTTPException):
            return 503, None

    def _publish(self, event):
        key = self.rng.choice(KEYS)
        while True:
            status, answer = self._post({**event, "key": key} if key else event)
            if status in (200, 201):
                self.acknowledged[event["id"]] = (answer["cursor"], event["topic"], event["data"])
                return
            assert status == 503, answer
            time.sleep(self.RETRY_S)

    def stop(self):
        """Returns once its last event was taken."""
        self._end.set()
        self.join()
        if self.failure:
            raise self.failure


def in_ess_form(event):
    """A CloudEvent's attributes by ESS's names."""
    if "specversion" not in event:
        return event
    names = {"id": "id", "type": "topic", "subject": "key", "time": "ts", "data": "data"}
    cursors = {name: int(event[attribute]) for name, attribute in (("cursor", "sequence"), ("prev_cursor", "essprevcursor")) if attribute in event}
    return cursors | {names[attribute]: value for attribute, value in event.items() if attribute in names}


def events_of(body):
    """The events of a request: one, or those of a batch."""
    body = json.loads(body)
    events = body if isinstance(body, list) else body.get("events", [body])
    return [in_ess_form(event) for event in events]


@dataclasses.dataclass
class Receipt:
    """Of one event; those of a batch have theirs at the same time."""
    at: float
    gone: bool  # its sender did not wait any more when it was read
    event: dict  # in ESS's form
    attempt: int
    job: str
    id: str
    body: bytes
    status: int  # that it was answered with; 0: not at all, or a batch that was refused, whose events come again

    @property
    def cursor(self):
        return self.event["cursor"]


class Subscriber:
    """One with an endpoint of its own. What an attempt is answered with hangs on its cursor, its number and the seed alone."""

    def __init__(self, ess, id, topics, refuses=False, rewound=False, receiver=None, name="127.0.0.1", filters=(), **fields):
        """`rewound`: operators may send it back; `name`: of its host; `filters`: it has the first, and with several operators change it."""
        self.id, self.topics, self.fields, self.refuses, self.rewound = id, topics, fields, refuses, rewound
        self.filters, self.changing = filters, len(filters) > 1
        if filters:
            fields["filter"] = filters[0]
        self.ordering, self.throttle = fields.get("ordering", "strict"), fields.get("throttle")
        self.receiver, self.receipts, self.heartbeats = receiver or ess.receiver(), [], []
        self.silent, self.url = False, self.receiver.url(host=name)
        self.receiver.idle_timeout = 120
        self.receiver.answer = self.answer
        self.patience = {"timeout": "1500ms", "backoff_min": "50ms", "backoff_max": "500ms", "max_attempts": 1000}

    def spec(self):
        return {"id": self.id, "url": self.url, "topics": self.topics, "from": "beginning", **self.patience, **self.fields}

    def register(self, ess, by_file):
        """What operators change cannot be a file."""
        if by_file and not self.changing:
            ess.subscribe(self.id, self.url, self.topics, wait=False, **{"from": "beginning"}, **self.patience, **self.fields)
            return
        answer = ess.daemons[0].post(json.dumps(self.spec()), "/register")
        assert answer.status == 201, answer

    def change_filter(self, rng):
        self.fields["filter"] = rng.choice(self.filters)

    def _wants(self, event, quantifier):
        topic = event["topic"]
        return (topic in self.topics or f"{topic.split('.')[0]}.*" in self.topics) and \
            quantifier(event["data"]["state"] in filter["data"]["state"] for filter in self.filters or [{"data": {"state": STATES}}])

    def wants(self, event):
        """Under each of its filters: it must get this event."""
        return self._wants(event, all)

    def may_get(self, event):
        """Under one of its filters."""
        return self._wants(event, any)

    def answer(self, request):
        if "X-ESS-Cursor" not in request.headers:  # a test delivery, a handshake or a heartbeat
            if "heartbeat" in (body := json.loads(request.body)):
                self.heartbeats.append((request.at, body["cursor"], body["prev_cursor"]))
            return Answer(cut=self.silent, delay=2 * self.silent)
        events, attempt = events_of(request.body), int(request.headers["X-ESS-Attempt"])
        answer = Answer(delay=3, cut=True) if self.silent else self.choose([event["cursor"] for event in events], attempt)
        status = 0 if answer.cut or answer.status == 400 and len(events) > 1 else answer.status
        for event in events:
            id, body = (event["id"], json.dumps(event)) if "batch" in self.fields else (request.headers["webhook-id"], request.body)
            self.receipts.append(Receipt(request.at, request.gone, event, attempt, request.headers["X-ESS-Replay"], id, body, status))
        return answer

    def choose(self, cursors, attempt):
        dice = random.Random(zlib.crc32(f"{self.id}/{cursors[0]}/{attempt}".encode()))
        if self.refuses and any(cursor % 23 == 0 for cursor in cursors):
            return Answer(400)
        p = dice.random()
        if p < 0.03:
            return Answer(dice.choice([500, 502, 503]))
        if p < 0.035:
            return Answer(429, {"Retry-After": "1"})
        if p < 0.045:
            return Answer(cut=True)
        if p < 0.048:
            return Answer(delay=1.8)  # longer than it has
        return Answer(delay=dice.uniform(0, 0.02))


def subscribers(ess):
    return [
        Subscriber(ess, "strict", ["chaos.*"]),
        Subscriber(ess, "strict-slow", ["chaos.a"], throttle=20),
        Subscriber(ess, "strict-refuses", ["chaos.b", "chaos.c"], refuses=True),
        Subscriber(ess, "key", ["chaos.*"], ordering="key", max_in_flight=8),
        Subscriber(ess, "key-slow", ["chaos.b", "chaos.c"], ordering="key", throttle=17.5, refuses=True),
        Subscriber(ess, "none", ["chaos.*"], ordering="none", max_in_flight=16),
        Subscriber(ess, "none-slow", ["chaos.a"], ordering="none", throttle=25, max_in_flight=4),
        Subscriber(ess, "none-refuses", ["chaos.*"], ordering="none", refuses=True),
        Subscriber(ess, "strict-filter", ["chaos.*"], filters=FILTERS[:1], refuses=True),
        Subscriber(ess, "none-filter", ["chaos.*"], filters=FILTERS[1:2], ordering="none"),
        Subscriber(ess, "strict-cloudevents", ["chaos.*"], format="cloudevents", filters=FILTERS[2:], refuses=True),
        Subscriber(ess, "key-id", ["chaos.b", "chaos.c"], format="cloudevents", content="id", ordering="key"),
        Subscriber(ess, "strict-batch", ["chaos.*"], batch={"max_events": 20, "max_wait": "200ms"}, refuses=True),
        Subscriber(ess, "key-batch", ["chaos.b", "chaos.c"], batch={"max_events": 7}, ordering="key", filters=FILTERS),
        Subscriber(ess, "none-batch", ["chaos.*"], batch={"max_events": 50, "max_bytes": "4KiB"}, ordering="none", format="cloudevents",
                   max_in_flight=4, throttle=60),
        Subscriber(ess, "handshake", ["chaos.a"], handshake=True, filters=FILTERS[2:]),
        Subscriber(ess, "heartbeat", ["chaos.c"], heartbeat="10s", filters=[{"data": {"state": ["WY"]}}], refuses=True),
        Subscriber(ess, "adaptive", ["chaos.b"], adaptive=True, throttle=200, ordering="none", filters=[{"data": {"state": ["WV"]}}]),
        Subscriber(ess, "strict-filters", ["chaos.*"], filters=FILTERS),
        Subscriber(ess, "key-filters", ["chaos.b", "chaos.c"], filters=FILTERS, ordering="key", refuses=True),
    ]
