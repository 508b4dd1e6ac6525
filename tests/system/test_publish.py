"""POST /ess/publish and GET /ess/replay as a publisher meets them: what is taken, what is refused and why, what can be read again."""
import concurrent.futures
import http.client
import json
import re
import socket

import pytest

from ess import ROOT

LIMIT = 256 * 1024


@pytest.fixture(scope="module")
def ingest(shared):
    return shared.daemons[0]


def event(**members):
    return json.dumps({"topic": "p.a", "data": 1} | members).encode()


def nested(levels):
    return b'{"topic":"p.a","data":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def end_of_log(ingest):
    return int(ingest.metrics()["ess_feed_cursor"])


# body, status, field (None: the whole is to blame)
REFUSED = {
    "not JSON": (b"hello", 400, None),
    "empty": (b"", 400, None),
    "an array of no events": (b'"text"', 400, None),
    "cut off": (event()[:-1], 400, None),
    "something behind it": (event() + b"x", 400, None),
    "two objects": (event() + event(), 400, None),
    "a byte order mark": (b"\xef\xbb\xbf" + event(), 400, None),
    "UTF-16": (event().decode().encode("utf-16"), 400, None),
    "not UTF-8": (b'{"topic":"p.a","data":"\xff"}', 400, None),
    "overlong UTF-8": (b'{"topic":"p.a","data":"\xc0\xaf"}', 400, None),
    "a surrogate in UTF-8": (b'{"topic":"p.a","data":"\xed\xa0\x80"}', 400, None),
    "an escaped lone surrogate": (b'{"topic":"p.a","data":"\\ud800"}', 400, None),
    "NaN": (b'{"topic":"p.a","data":NaN}', 400, None),
    "single quotes": (b"{'topic':'p.a','data':1}", 400, None),
    "-01": (b'{"topic":"p.a","data":-01}', 400, None),
    "1.": (b'{"topic":"p.a","data":1.}', 400, None),
    "a raw line break in a string": (b'{"topic":"p.a","data":"a\nb"}', 400, None),
    "a raw control character": (b'{"topic":"p.a","data":"\x01"}', 400, None),
    "a comment": (b'{"topic":"p.a",/* */"data":1}', 400, None),
    "a trailing comma": (b'{"topic":"p.a","data":1,}', 400, None),
    "depth 33": (nested(33), 400, None),
    "a key twice": (b'{"topic":"p.a","data":1,"data":2}', 400, "data"),
    "a key twice, one escaped": (b'{"topic":"p.a","data":1,"d\\u0061ta":2}', 400, "d\\u0061ta"),  # as it was written
    "a key twice in data": (b'{"topic":"p.a","data":{"x":1,"x":2}}', 400, "x"),
    "an unknown field": (event(topics="x"), 400, "topics"),
    "prev_cursor": (event(prev_cursor=1), 400, "prev_cursor"),
    "no topic": (b'{"data":1}', 400, "topic"),
    "no data": (b'{"topic":"p.a"}', 400, "data"),
    "topic is no text": (event(topic=5), 400, "topic"),
    "topic is empty": (event(topic=""), 400, "topic"),
    "an empty segment": (event(topic="p..a"), 400, "topic"),
    "a wildcard": (event(topic="p.*"), 400, "topic"),
    "a slash": (event(topic="p/a"), 400, "topic"),
    "nine segments": (event(topic="a.b.c.d.e.f.g.h.i"), 400, "topic"),
    "a segment of 65": (event(topic="a" * 65), 400, "topic"),
    "a topic of 101": (event(topic=("a" * 50 + ".") * 2), 400, "topic"),
    "id is empty": (event(id=""), 400, "id"),
    "id is no text": (event(id=5), 400, "id"),
    "id is null": (event(id=None), 400, "id"),
    "id holds a dot": (event(id="a.b"), 400, "id"),
    "id holds a space": (event(id="a b"), 400, "id"),
    "id is of ESS": (event(id="ess-1"), 400, "id"),
    "an id of 129": (event(id="a" * 129), 400, "id"),
    "an id beyond ASCII": (event(id="é"), 400, "id"),
    "key is empty": (event(key=""), 400, "key"),
    "key is no text": (event(key=5), 400, "key"),
    "a key of 257 bytes": (event(key="é" * 128 + "x"), 400, "key"),
    "a key with NUL": (event(key="a\0b"), 400, "key"),
    "cursor is text": (event(cursor="1"), 400, "cursor"),
    "cursor is negative": (event(cursor=-1), 400, "cursor"),
    "cursor has a fraction": (event(cursor=1.5), 400, "cursor"),
    "ts is no time": (event(ts="yesterday"), 400, "ts"),
    "ts without a zone": (event(ts="2024-05-07T14:03:11"), 400, "ts"),
    "ts on a 30th of February": (event(ts="2024-02-30T14:03:11Z"), 400, "ts"),
    "data one byte too large": (event(data="x" * (LIMIT - 1)), 413, "data"),
    "data of 2 MiB": (event(data="x" * 2**21), 413, "data"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_event_is_refused_with_the_field_and_nothing_is_appended(ingest, what):
    body, status, field = REFUSED[what]
    before = end_of_log(ingest)
    response = ingest.post(body)
    assert response.status == status and response.headers["Content-Type"] == "application/problem+json", response
    problem = response.json
    assert problem["status"] == status and problem["title"] and problem["detail"] and problem.get("field") == field, problem
    assert response.headers["X-Request-Id"]
    assert end_of_log(ingest) == before


def corpus():
    """Names and documents of the scanner's unit test; %xx stands for a byte."""
    for line in (ROOT / "tests/unit/json/corpus.txt").read_bytes().splitlines():
        if line and not line.startswith(b"#"):
            name, _, document = line.partition(b" ")
            yield name.decode(), re.sub(rb"%([0-9A-Fa-f]{2})", lambda byte: bytes.fromhex(byte[1].decode()), document)


def test_json_documents_are_taken_and_refused_as_data_as_they_must_be(ingest):
    """y_: by everybody; large_, zero_: what only some parsers cannot hold. In an event they lie one level deeper."""
    wrong, kept = [], {}
    for name, document in corpus():
        answer = ingest.post(b'{"topic":"p.corpus","data":' + document + b"}")
        taken = name.startswith(("y_", "large_", "zero_")) and not name.startswith("y_depth_32_")
        if answer.status != (201 if taken else 400):
            wrong.append((name, answer))
        elif taken:
            kept[answer.json["cursor"]] = document
    assert wrong == []
    assert len(kept) > 100
    lines = ingest.request("GET", f"/ess/replay?topics=p.corpus&since_cursor={min(kept) - 1}", headers={"Accept": "application/x-ndjson"}).body.splitlines()
    assert len(lines) == len(kept)
    for line, document in zip(lines, kept.values()):
        assert line.partition(b',"data":')[2][:-1].strip(b" \t") == document.translate(bytes.maketrans(b"\r\n", b"  ")).strip(b" \t"), document


def test_where_the_json_is_wrong_is_told(ingest):
    assert "line 2, column 9" in ingest.post(b'{"topic":"p.a",\n"data": 01}').json["detail"]


def test_a_body_too_large_to_be_buffered_is_refused_before_it_is_sent(ingest):
    before = end_of_log(ingest)
    host, port = ingest.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST /ess/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 413 and json.load(answer)["status"] == 413
    chunked = ingest.request("POST", "/ess/publish", iter([b"x" * 2**20] * 9))
    assert chunked.status == 413 and chunked.json["status"] == 413
    assert end_of_log(ingest) == before


def test_data_of_exactly_the_limit_is_fine(shared, ingest):
    cursor = shared.publish("p.limit", "x" * (LIMIT - 2))
    assert ingest.replay(cursor - 1).json["events"][0]["data"] == "x" * (LIMIT - 2)


def test_the_limits_of_everything_else_are_fine_too(shared, ingest):
    cursor = shared.publish("a.b.c.d.e.f.g." + "h" * 64, 1, id="~" * 128, key="é" * 128, cursor=10**18 - 1)
    found = ingest.replay(cursor - 1).json["events"][0]
    assert found["id"] == "~" * 128 and found["key"] == "é" * 128 and found["source_cursor"] == 10**18 - 1
    assert ingest.post(nested(32)).status == 201


def test_curls_content_type_and_the_short_path_are_taken(ingest):
    assert ingest.post(event(), **{"Content-Type": "application/x-www-form-urlencoded"}).status == 201
    assert ingest.post(event(), path="/publish").status == 201


def test_an_answer_names_cursor_and_id_and_a_made_id_is_a_uuid_v7(ingest):
    answer = ingest.post(event()).json
    assert set(answer) == {"cursor", "id"}
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", answer["id"])
    found = ingest.replay(answer["cursor"] - 1).json["events"][0]
    assert found["id"] == answer["id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["ts"])


def test_many_publishers_at_once_get_each_cursor_once(ingest):
    def publish(n):
        return ingest.post(event(topic="p.many", id=f"many-{n}")).json
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(publish, range(300)))
    by_cursor = {answer["cursor"]: answer["id"] for answer in answers}
    assert len(by_cursor) == 300
    found = ingest.replay(min(by_cursor) - 1, topics="p.many").json["events"]
    assert {e["cursor"]: e["id"] for e in found} == by_cursor


def test_a_client_that_goes_away_while_it_waits_harms_nobody(ingest):
    host, port = ingest.address.split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            body = event(topic="p.gone")
            connection.sendall(b"POST /ess/publish HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    assert ingest.post(event()).status == 201


@pytest.mark.parametrize("request_text", [
    b"POST /ess/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"POST /ess/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /ess/publish HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /ess/publish HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 5\r\n\r\nhello",
    b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n",
    b"hello\r\n\r\n",
], ids=["two lengths", "length and chunks", "no host", "two hosts", "a space before the colon", "another version", "no request"])
def test_what_a_proxy_may_read_otherwise_is_refused_and_the_connection_closed(ingest, request_text):
    host, port = ingest.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request_text)
        answer = http.client.HTTPResponse(connection)
        try:
            answer.begin()
        except http.client.BadStatusLine:
            return  # closed without a word
        assert answer.status in (400, 505)
        answer.read()
        try:
            assert connection.recv(100) == b""
        except ConnectionResetError:
            pass


def test_wrong_paths_methods_and_parameters_are_told(ingest):
    assert ingest.get("/nowhere").status == 404
    wrong = ingest.get("/ess/publish")
    assert wrong.status == 405 and wrong.headers["Allow"] == "POST"
    unknown = ingest.post(event(), path="/ess/publish?topic=a")
    assert unknown.status == 400 and unknown.json["field"] == "topic"


# --- replay


@pytest.fixture(scope="module")
def history(shared):
    """20 events, of r.odd and r.even in turn."""
    return [shared.publish(f"r.{'odd' if n % 2 else 'even'}", {"n": n}) for n in range(20)]


def test_replay_gives_what_was_delivered_in_order(shared, ingest, history):
    page = ingest.replay(history[0] - 1, until_cursor=history[-1]).json
    assert [e["cursor"] for e in page["events"]] == history and page["cursor"] == history[-1]
    assert [e["data"]["n"] for e in page["events"]] == list(range(20))
    assert [e["prev_cursor"] for e in page["events"]] == [history[0] - 1] + history[:-1]


def test_replay_continues_from_its_cursor_until_there_is_no_more(ingest, history):
    found, since, pages = [], history[0] - 1, 0
    while True:
        page = ingest.replay(since, topics="r.*", limit=3, until_cursor=history[-1]).json
        found += [e["cursor"] for e in page["events"]]
        since, pages = page["cursor"], pages + 1
        if not page["more"]:
            break
    assert found == history and pages in (7, 8)


def test_replay_filters_by_topics(ingest, history):
    page = ingest.replay(history[0] - 1, topics="r.odd,nothing.*", until_cursor=history[-1]).json
    assert [e["data"]["n"] for e in page["events"]] == list(range(1, 20, 2)) and page["more"] is False
    assert [e["prev_cursor"] for e in page["events"]][1:] == [e["cursor"] for e in page["events"]][:-1]
    assert ingest.replay(0, topics="nothing.here").json["events"] == []


def test_replay_of_everything_begins_with_cursor_1(ingest, history):
    page = ingest.get("/ess/replay").json
    assert page["events"][0]["cursor"] == 1 and page["events"][0]["prev_cursor"] == 0


@pytest.mark.parametrize("query, field", [
    ("since_cursor=-1", "since_cursor"), ("since_cursor=x", "since_cursor"), ("since_cursor=999999999", "since_cursor"), ("limit=0", "limit"),
    ("limit=10001", "limit"), ("topics=a..b", "topics"), ("topics=,", "topics"), ("since_cursor=5&until_cursor=4", "until_cursor"),
    ("since=1", "since"), ("limit=1&limit=2", "limit"), ("since_cursor=", "since_cursor")])
def test_a_bad_replay_is_refused_with_the_parameter(ingest, history, query, field):
    response = ingest.get(f"/ess/replay?{query}")
    assert response.status == 400 and response.json["field"] == field, response


def test_an_answer_of_large_events_is_bounded_and_continues(shared, ingest):
    cursors = [shared.publish("r.large", "x" * 250_000) for _ in range(40)]
    first = ingest.replay(cursors[0] - 1, topics="r.large")
    assert len(first.body) < 8 * 2**20 and first.json["more"] is True
    rest = ingest.replay(first.json["cursor"], topics="r.large").json
    assert [e["cursor"] for e in first.json["events"] + rest["events"]] == cursors and rest["more"] is False
