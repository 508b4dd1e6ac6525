"""What is wrong with a call is named, at every endpoint: problem+json with the parameter, member or method to blame."""
import json

import pytest

from test_auth import ENDPOINTS, SUBSCRIBER
from test_hardening import post, send, statuses

BODIES = [(method, path) for (method, path), (body, _) in ENDPOINTS.items() if method in ("POST", "PUT")]
QUERIES = {"/ess/replay": "since_cursor", "/ess/poll": "cursor", "/ess/stream": "cursor", "/ess/subscribers": "limit",
           f"{SUBSCRIBER}/dead-letters": "limit"}


@pytest.fixture(scope="module")
def ingest(shared):
    answer = shared.daemons[0].post(json.dumps({"id": "there", "url": "https://vendor.example/hook", "topics": ["bad.input"]}), "/register")
    assert answer.status == 201
    return shared.daemons[0]


def problem(answer, status):
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer
    assert answer.json["status"] == status and answer.json["title"] and answer.json["detail"] and answer.headers["X-Request-Id"]
    return answer.json


def call(ingest, method, path, query="", body=None):
    return ingest.request(method, path.format(id="there", job=1) + query, body)


@pytest.mark.parametrize("method, path", ENDPOINTS, ids=lambda value: value)
def test_an_unknown_parameter_is_named(ingest, method, path):
    assert problem(call(ingest, method, path, "?x-y=1"), 400)["field"] == "x-y"


@pytest.mark.parametrize("path, name", QUERIES.items())
def test_a_repeated_parameter_or_one_of_the_wrong_kind_is_named(ingest, path, name):
    for query in (f"{name}=1&{name}=1", f"{name}=x", f"{name}=", f"{name}=-1", f"{name}=1.5", f"{name}=99999999999999999999", f"{name}=1%00",
                  f"{name}=%201", f"{name}"):
        assert problem(call(ingest, "GET", path, f"?{query}"), 400)["field"] == name, query


def test_numbers_out_of_range_and_bad_patterns_are_named(ingest):
    for path, query in (("/ess/replay", "limit=0"), ("/ess/replay", "limit=10001"), ("/ess/poll", "wait=61"), ("/ess/poll", "limit=0"),
                        ("/ess/subscribers", "limit=1001"), ("/ess/subscribers", "state=gone"), ("/ess/replay", "until_cursor=x"),
                        (f"{SUBSCRIBER}/dead-letters", "limit=0"), (f"{SUBSCRIBER}/dead-letters", "before=-1"), ("/ess/replay", "topics=a..b"),
                        ("/ess/poll", "topics=a,,b"), ("/ess/stream", "topics=" + "a," * 100 + "a"), ("/ess/stream", "topics=a*")):
        assert problem(call(ingest, "GET", path, f"?{query}"), 400)["field"] == query.split("=")[0], query


@pytest.mark.parametrize("path", sorted({path for _, path in ENDPOINTS}))
def test_a_wrong_method_is_told_with_those_that_are_right(ingest, path):
    right = {method for method, other in ENDPOINTS if other == path}
    right |= {"HEAD"} if "GET" in right else set()
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "ESS"} - right:
        answer = call(ingest, method, path)
        assert answer.status == 405 and {allowed.strip() for allowed in answer.headers["Allow"].split(",")} == right, (method, answer)
        if method != "HEAD":
            problem(answer, 405)


@pytest.mark.parametrize("path", ["/", "/ess", "/ess/", "/ess/publish/", "//ess/publish", "/ess/publish/x", "/ESS/publish", "/ess/subscribers/", "/ess/%2e%2e/metrics",
                                  "/ess/subscribers/a/b", "/ess/subscribers/a/pause/", "/ess/subscribers/" + "a" * 200, "/metrics/../healthz"])
def test_where_nothing_is_it_is_said(ingest, path):
    for method in ("GET", "POST"):
        problem(ingest.request(method, path), 404)


@pytest.mark.parametrize("method, path", [(m, p) for m, p in ENDPOINTS if "{id}" in p], ids=lambda value: value)
def test_a_subscriber_that_is_not_there_is_named(ingest, method, path):
    body = ENDPOINTS[method, path][0]
    for id in ("nobody", "a.b", "x", "%C3%A9"):
        answer = ingest.request(method, path.format(id=id, job=1), json.dumps(body) if body else None)
        assert "no subscriber" in problem(answer, 404)["detail"]


@pytest.mark.parametrize("method, path", BODIES, ids=lambda value: value)
def test_a_body_that_is_no_object_or_holds_what_is_unknown_is_refused(ingest, method, path):
    for body in (b"[1]", b'"x"', b"1", b"nul", b"{", b'{"a":1,}', b"{'a':1}", b"\xff", b"\0", b'{"a":"\xff"}', b"\xef\xbb\xbf{}"):
        problem(call(ingest, method, path, body=body), 400)
    unknown = problem(call(ingest, method, path, body=b'{"unknown_m":1}'), 400)
    assert unknown["field"] == "unknown_m" or unknown["detail"]
    twice = problem(call(ingest, method, path, body=b'{"topic":1,"topic":2}'), 400)
    assert "topic" in twice.get("field", twice["detail"])


@pytest.mark.parametrize("method, path", BODIES, ids=lambda value: value)
def test_a_body_that_is_too_large_is_refused_before_it_is_read(ingest, method, path):
    largest = 8 * 2**20 if "publish" in path else 64 * 2**10
    answer, closed = send(ingest, post(b"Content-Length: %d" % (largest + 1), line=f"{method} {path.format(id='there')} HTTP/1.1".encode()))
    assert closed and statuses(answer) == [413] and str(largest).encode() in answer
    problem(call(ingest, method, path, body=b"[" + b" " * (largest - 1)), 400)


def test_a_body_in_chunks_that_grows_too_large_is_refused_too(ingest):
    def chunks():
        for _ in range(20):
            yield b" " * 4096
    problem(ingest.request("POST", "/register", chunks()), 413)
