"""GET /ess/replay as NDJSON, /ess/poll and /ess/stream: what a vendor that pulls gets, when, and what it costs the others."""
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import re
import socket
import threading
import time

import pytest

from ess import PATIENCE_S, SANITIZED, wait_for

names = itertools.count()


@pytest.fixture(scope="module")
def ingest(shared):
    return shared.daemons[0]


@pytest.fixture
def topic():
    """A topic that no other test publishes to."""
    return f"pull.t{next(names)}"


def end_of_log(ingest):
    return int(ingest.metrics()["ess_feed_cursor"])


def ndjson(ingest, query=""):
    response = ingest.request("GET", f"/ess/replay?{query}", headers={"Accept": "application/x-ndjson"})
    assert response.status == 200 and response.headers["Content-Type"] == "application/x-ndjson", response
    assert response.body == b"" or response.body.endswith(b"\n")
    return response.body.splitlines()


def poll(ingest, **parameters):
    return ingest.get("/ess/poll?" + "&".join(f"{name}={value}" for name, value in parameters.items()))


class Stream:
    """A client of /ess/stream: one connection, read block by block."""

    def __init__(self, ingest, query="", headers={}, receive_bytes=None):
        host, port = ingest.address.split(":")
        self.connection = socket.socket()
        if receive_bytes:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.connection.settimeout(PATIENCE_S)
        self.connection.connect((host, int(port)))
        lines = [f"GET /ess/stream?{query} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers.items())]
        self.connection.sendall("\r\n".join(lines + ["", ""]).encode())
        self.response = None

    def open(self):
        self.response = http.client.HTTPResponse(self.connection)
        self.response.begin()
        return self

    def block(self):
        """The next one's fields: id, data."""
        fields = {}
        while line := self.response.readline().decode():
            if line == "\n":
                return fields
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value
        return None

    def event(self):
        """The next block with data, parsed; its id must be its cursor."""
        while (block := self.block()) is not None:
            if "data" in block:
                event = json.loads(block["data"])
                assert event["cursor"] == int(block["id"])
                return event
        return None

    def close(self):
        if self.response:
            self.response.close()
        self.connection.close()


@contextlib.contextmanager
def stream(ingest, query="", headers={}, **options):
    client = Stream(ingest, query, headers, **options).open()
    try:
        assert client.response.status == 200 and client.response.headers["Content-Type"] == "text/event-stream"
        yield client
    finally:
        client.close()


# --- NDJSON


def test_ndjson_is_byte_for_byte_what_was_delivered(shared, ingest, topic):
    receiver = shared.receiver()
    shared.subscribe("nd", receiver, [f"{topic}.*"])
    cursors = [shared.publish(f"{topic}.{'a' if n % 3 else 'b'}", {"n": n, "text": "é\u2028"}, key=f"k{n % 4}") for n in range(20)]
    delivered = [request.body for request in receiver.wait(20)]
    since = json.loads(delivered[0])["prev_cursor"]
    assert ndjson(ingest, f"since_cursor={since}&topics={topic}.*") == delivered
    assert [json.loads(line)["cursor"] for line in delivered] == cursors


def test_ndjson_and_pages_give_the_same_but_for_where_a_page_begins(shared, ingest, topic):
    since = shared.publish("pull.before", 0)
    for n in range(12):
        shared.publish(topic if n % 2 else "pull.other", n)
    lines = [json.loads(line) for line in ndjson(ingest, f"since_cursor={since}&topics={topic}")]
    page, pages = {"more": True, "cursor": since}, []
    while page["more"]:
        page = ingest.replay(page["cursor"], topics=topic, limit=2).json
        pages += page["events"]
    assert [{**event, "prev_cursor": 0} for event in pages] == [{**event, "prev_cursor": 0} for event in lines]
    assert [event["prev_cursor"] for event in lines] == [since] + [event["cursor"] for event in lines[:-1]]


def test_ndjson_keeps_to_limit_and_until(shared, ingest, topic):
    cursors = [shared.publish(topic, n) for n in range(10)]
    since = cursors[0] - 1
    assert [json.loads(line)["cursor"] for line in ndjson(ingest, f"since_cursor={since}&limit=3&topics={topic}")] == cursors[:3]
    assert [json.loads(line)["cursor"] for line in ndjson(ingest, f"since_cursor={since}&until_cursor={cursors[4]}&topics={topic}")] == cursors[:5]
    assert ndjson(ingest, f"since_cursor={cursors[-1]}") == ndjson(ingest, f"since_cursor={since}&topics=pull.none") == []


def test_ndjson_ends_although_others_go_on_publishing(shared, ingest, topic):
    stop = threading.Event()

    def publish():
        while not stop.is_set():
            shared.publish(topic, "x")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        publishers = [pool.submit(publish) for _ in range(2)]
        try:
            for _ in range(20):
                before = end_of_log(ingest)
                lines = ndjson(ingest, f"topics={topic}")
                assert not lines or json.loads(lines[-1])["cursor"] <= end_of_log(ingest)
                assert end_of_log(ingest) >= before
        finally:
            stop.set()
    for publisher in publishers:
        publisher.result()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed for a while")
def test_ten_megabytes_of_ndjson_wait_for_a_slow_reader_without_taking_memory(shared, ingest, topic):
    cursors = [shared.publish(topic, "x" * 250_000) for _ in range(60)]
    ndjson(ingest, f"since_cursor={cursors[0] - 1}&topics={topic}")
    before = ingest.metrics()["process_resident_memory_bytes"]
    clients = []
    for _ in range(10):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE_S)
        host, port = ingest.address.split(":")
        client.connect((host, int(port)))
        client.sendall(f"GET /ess/replay?since_cursor={cursors[0] - 1}&topics={topic} HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n".encode())
        clients.append(client)
    wait_for(lambda: ingest.metrics()["ess_readers"] == 10)
    for _ in range(20):  # others are served meanwhile
        shared.publish("pull.other", 1)
    assert ingest.metrics()["process_resident_memory_bytes"] - before < 16 * 2**20
    for client in clients:
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert [json.loads(line)["cursor"] for line in answer.read().splitlines()] == cursors
        client.close()


# --- poll


def test_poll_answers_at_once_with_what_is_there(shared, ingest, topic):
    cursors = [shared.publish(topic, n) for n in range(5)]
    page = poll(ingest, cursor=cursors[0] - 1, topics=topic, limit=3).json
    assert [e["cursor"] for e in page["events"]] == cursors[:3] and page["cursor"] == cursors[2] and page["more"] is True
    page = poll(ingest, cursor=page["cursor"], topics=topic).json
    assert [e["cursor"] for e in page["events"]] == cursors[3:] and page["more"] is False
    assert [e["prev_cursor"] for e in page["events"]] == cursors[2:4]


def test_poll_waits_and_is_woken_by_the_first_event_for_it(shared, ingest, topic):
    begin = end_of_log(ingest)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(poll, ingest, cursor=begin, topics=f"nothing.*,{topic}.*")
        wait_for(lambda: ingest.metrics()["ess_readers"] == 1)
        shared.publish("pull.other", 1)
        shared.publish(topic, 2)  # its pattern wants a segment more
        cursor = shared.publish(f"{topic}.x", 3)
        page = waiting.result(PATIENCE_S).json
    assert [e["cursor"] for e in page["events"]] == [cursor] and page["events"][0]["prev_cursor"] == begin
    assert page["cursor"] >= cursor and page["more"] is False


def test_poll_without_a_cursor_begins_at_the_end_which_it_names(shared, ingest, topic):
    shared.publish(topic, "before")
    end = end_of_log(ingest)
    page = poll(ingest, topics=topic, wait=0).json
    assert page == {"events": [], "cursor": end, "more": False}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(poll, ingest, topics=topic)
        wait_for(lambda: ingest.metrics()["ess_readers"] == 1)
        cursor = shared.publish(topic, "after")
        assert [e["cursor"] for e in waiting.result(PATIENCE_S).json["events"]] == [cursor]


def test_a_poll_that_nothing_came_for_ends_with_its_cursor_advanced(shared, ingest, topic):
    begin = end_of_log(ingest)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(poll, ingest, cursor=begin, topics=topic, wait=2)
        wait_for(lambda: ingest.metrics()["ess_readers"] == 1)
        other = [shared.publish("pull.other", n) for n in range(3)]
        page = waiting.result(PATIENCE_S).json
    assert page["events"] == [] and page["cursor"] == other[-1] and page["more"] is False


def test_polls_whose_clients_went_away_are_noticed_at_once(shared, ingest, topic):
    host, port = ingest.address.split(":")
    clients = []
    for _ in range(50):
        client = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        client.sendall(f"GET /ess/poll?topics={topic}&wait=60 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        clients.append(client)
    wait_for(lambda: ingest.metrics()["ess_readers"] == 50)
    for client in clients:
        client.close()
    wait_for(lambda: ingest.metrics()["ess_readers"] == 0)
    assert shared.publish(topic, 1)


def test_polls_on_one_connection_miss_nothing(shared, ingest, topic):
    host, port = ingest.address.split(":")
    found, cursor = [], end_of_log(ingest)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        published = pool.submit(lambda: [shared.publish(topic if n % 2 else "pull.other", n) for n in range(200)][1::2])
        connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)
        while len(found) < 100:
            connection.request("GET", f"/ess/poll?topics={topic}&cursor={cursor}")
            page = json.load(connection.getresponse())
            found += page["events"]
            cursor = page["cursor"]
        connection.close()
        assert [e["cursor"] for e in found] == published.result()


def test_a_cursor_just_given_by_another_ingest_is_waited_for(ess):
    first, second = ess.ingest(), ess.ingest({"subscribers.dir": "none"})
    for n in range(50):
        cursor = ess.publish("pull.two", n, ingest=first)
        assert second.replay(cursor).status == 200
        assert [e["cursor"] for e in poll(second, cursor=cursor - 1).json["events"]] == [cursor]
        assert ndjson(second, f"since_cursor={cursor}") == []


# --- server-sent events


def test_stream_begins_at_the_end_and_says_where(shared, ingest, topic):
    shared.publish(topic, "before")
    end = end_of_log(ingest)
    with stream(ingest, f"topics={topic}") as client:
        assert int(client.block()["id"]) == end
        cursors = [shared.publish(t, "after") for t in (topic, "pull.other", topic)]
        events = [client.event(), client.event()]
    assert [e["cursor"] for e in events] == [cursors[0], cursors[2]]
    assert [e["prev_cursor"] for e in events] == [end, cursors[0]]


def test_stream_gives_the_past_and_goes_on_with_the_present(shared, ingest, topic):
    receiver = shared.receiver()
    shared.subscribe("sse", receiver, [topic])
    for n in range(300):
        shared.publish(topic, n)
    delivered = [request.json for request in receiver.wait(300)]
    with stream(ingest, f"topics={topic}&cursor={delivered[0]['prev_cursor']}") as client:
        assert [client.event() for _ in range(300)] == delivered
        cursor = shared.publish(topic, "new")
        assert client.event()["cursor"] == cursor


def test_last_event_id_wins_over_the_cursor(shared, ingest, topic):
    cursors = [shared.publish(topic, n) for n in range(3)]
    with stream(ingest, f"topics={topic}&cursor={cursors[0] - 1}", {"Last-Event-ID": cursors[1]}) as client:
        assert client.event()["cursor"] == cursors[2]
    with stream(ingest, f"topics={topic}&cursor={cursors[1]}", {"Last-Event-ID": ""}) as client:
        assert client.event()["cursor"] == cursors[2]


def test_a_keep_alive_moves_the_id_over_what_others_got(shared, ingest, topic):
    with stream(ingest, f"topics={topic}") as client:
        client.block()
        other = shared.publish("pull.other", 1)
        began = time.monotonic()
        block = client.block()
        assert int(block["id"]) >= other and "data" not in block
        assert time.monotonic() - began > 10


def test_streams_whose_clients_went_away_are_noticed_at_once(shared, ingest, topic):
    clients = [Stream(ingest, f"topics={topic}").open() for _ in range(50)]
    wait_for(lambda: ingest.metrics()["ess_readers"] == 50)
    for client in clients:
        client.close()
    wait_for(lambda: ingest.metrics()["ess_readers"] == 0)
    assert shared.publish(topic, 1)


def test_three_hundred_streams_get_one_event_each_of_those_that_want_it(shared, ingest, topic):
    clients = [Stream(ingest, f"topics={topic}.{n % 3}").open() for n in range(300)]
    try:
        for client in clients:
            assert client.block()
        cursors = [shared.publish(f"{topic}.{n}", n) for n in range(3)]
        for n, client in enumerate(clients):
            assert client.event()["cursor"] == cursors[n % 3]
    finally:
        for client in clients:
            client.close()


def test_a_stream_that_is_not_read_takes_little_and_misses_nothing(shared, ingest, topic):
    before = ingest.metrics()["process_resident_memory_bytes"]
    with stream(ingest, f"topics={topic}", receive_bytes=4096) as client:
        client.block()
        cursors = [shared.publish(topic, "x" * 200_000) for _ in range(60)]
        assert ingest.metrics()["process_resident_memory_bytes"] - before < 24 * 2**20  # 12 MB of them is in the chunks
        assert [client.event()["cursor"] for _ in range(60)] == cursors


def test_readers_that_take_nothing_for_half_a_minute_are_cut_and_go_on_where_they_stood(shared, ingest, topic):
    cursors = [shared.publish(topic, "x" * 200_000) for _ in range(60)]
    since, lines_before = cursors[0] - 1, len(ingest.lines("stream_cut"))
    events = Stream(ingest, f"topics={topic}&cursor={since}", receive_bytes=4096).open()
    host, port = ingest.address.split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((host, int(port)))
    client.sendall(f"GET /ess/replay?since_cursor={since}&topics={topic} HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n".encode())
    wait_for(lambda: len(ingest.lines("stream_cut")) == lines_before + 2, 60)
    assert ingest.metrics()["ess_readers"] == 0
    cut = {line["path"]: int(line["cursor"]) for line in ingest.lines("stream_cut")[lines_before:]}
    answer = http.client.HTTPResponse(client)
    answer.begin()
    taken = b""
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        while True:
            taken += answer.read1(2**16) or answer.read()  # read() tells that the last chunk is missing
    client.close()
    got = [json.loads(line)["cursor"] for line in taken.split(b"\n")[:-1]]
    assert got == cursors[:len(got)] and 0 < len(got) < 60 and got[-1] <= cut["/ess/replay"] < cursors[-1]
    assert [json.loads(line)["cursor"] for line in ndjson(ingest, f"since_cursor={got[-1]}&topics={topic}")] == cursors[len(got):]
    got = []
    with contextlib.suppress(http.client.IncompleteRead, ConnectionError, json.JSONDecodeError):
        while event := events.event():
            got.append(event["cursor"])
    events.close()
    assert got == cursors[:len(got)] and 0 < len(got) < 60 and got[-1] <= cut["/ess/stream"] < cursors[-1]
    with stream(ingest, f"topics={topic}", {"Last-Event-ID": got[-1]}) as again:
        assert [again.event()["cursor"] for _ in cursors[len(got):]] == cursors[len(got):]


# --- ends


def test_sigterm_ends_polls_with_503_and_streams_at_once(ess):
    ingest = ess.ingest()
    with concurrent.futures.ThreadPoolExecutor(1) as pool, stream(ingest) as client:
        waiting = pool.submit(poll, ingest)
        wait_for(lambda: ingest.metrics()["ess_readers"] == 2)
        began = time.monotonic()
        ingest.term()
        answer = waiting.result(PATIENCE_S)
        assert answer.status == 503 and answer.headers["Retry-After"]
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            while client.response.read(1):
                pass
        assert time.monotonic() - began < 15


# --- bad input


LONG = "999999999999"
BAD = {
    "/ess/replay": [("since_cursor=-1", "since_cursor"), ("since_cursor=1.5", "since_cursor"), ("since_cursor=0x1", "since_cursor"),
                    ("since_cursor=1e3", "since_cursor"), ("since_cursor=%201", "since_cursor"), (f"since_cursor={LONG}", "since_cursor"),
                    ("since_cursor=99999999999999999999", "since_cursor"), ("since_cursor", "since_cursor"), ("until_cursor=x", "until_cursor"),
                    ("since_cursor=1&until_cursor=0", "until_cursor"), ("limit=0", "limit"), ("limit=10001", "limit"), ("limit=-5", "limit"),
                    ("limit=", "limit"), ("cursor=1", "cursor"), ("wait=1", "wait"), ("since_cursor=0&since_cursor=0", "since_cursor"),
                    ("topics=a&topics=b", "topics"), ("topics=a,,b", "topics"), ("topics=a*", "topics"), ("topics=a/b", "topics"),
                    ("topics=a,", "topics"), ("topics=%00", "topics"), ("topics=" + "a" * 101, "topics"), ("topics=" + ",".join(["a"] * 101), "topics")],
    "/ess/poll": [("cursor=-1", "cursor"), ("cursor=x", "cursor"), (f"cursor={LONG}", "cursor"), ("wait=61", "wait"), ("wait=-1", "wait"),
                  ("wait=1.5", "wait"), ("limit=0", "limit"), ("limit=10001", "limit"), ("since_cursor=0", "since_cursor"), ("until_cursor=5", "until_cursor"),
                  ("topics=.", "topics"), ("wait=1&wait=1", "wait")],
    "/ess/stream": [("cursor=-1", "cursor"), ("cursor=", "cursor"), (f"cursor={LONG}", "cursor"), ("limit=5", "limit"), ("wait=5", "wait"),
                    ("topics=*a", "topics"), ("cursor=1&cursor=1", "cursor")],
}


@pytest.mark.parametrize("path, query, field", [(path, query, field) for path, cases in BAD.items() for query, field in cases])
@pytest.mark.parametrize("accept", ["*/*", "application/x-ndjson"])
def test_a_bad_read_is_refused_by_the_name_of_its_parameter(ingest, path, query, field, accept):
    response = ingest.request("GET", f"{path}?{query}", headers={"Accept": accept})
    assert response.status == 400 and response.headers["Content-Type"] == "application/problem+json", response
    assert response.json["field"] == field and re.search(r"\S", response.json["detail"]), response


@pytest.mark.parametrize("value", ["x", "-1", "1.5", LONG, "1 2"])
def test_a_bad_last_event_id_is_refused_by_its_name(ingest, value):
    response = ingest.request("GET", "/ess/stream?cursor=0", headers={"Last-Event-ID": value})
    assert response.status == 400 and response.json["field"] == "Last-Event-ID", response


@pytest.mark.parametrize("path", ["/ess/replay", "/ess/poll", "/ess/stream"])
def test_reads_are_gets(ingest, path):
    response = ingest.request("POST", path, b"{}")
    assert response.status == 405 and response.headers["Allow"] == "GET, HEAD"
