"""Many events in one request: an array or lines, taken whole or not at all, answered in order."""
import json

import pytest

from ess import wait_for

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def ingest(shared):
    return shared.daemons[0]


def event(**members):
    return {"topic": "b.a", "data": 1} | members


def lines(*events):
    return "\n".join(json.dumps(e) for e in events)


def send(ingest, events, ndjson):
    return ingest.post(lines(*events), **NDJSON) if ndjson else ingest.post(json.dumps(events))


def end_of_log(ingest):
    return int(ingest.metrics()["ess_feed_cursor"])


@pytest.fixture(params=[False, True], ids=["array", "lines"])
def ndjson(request):
    return request.param


def test_a_batch_is_answered_in_order_and_stored_in_order(ingest, ndjson):
    prefix = "lines" if ndjson else "array"
    events = [event(id=f"{prefix}-{n}", data={"n": n}, key=f"k{n % 3}", topic=f"b.{n % 2}") for n in range(100)]
    response = send(ingest, events, ndjson)
    assert response.status == 201, response
    results = response.json["results"]
    assert [result["id"] for result in results] == [e["id"] for e in events] and all(set(r) == {"cursor", "id"} for r in results)
    cursors = [result["cursor"] for result in results]
    assert cursors == sorted(cursors)
    found = ingest.replay(cursors[0] - 1, topics="b.0,b.1", until_cursor=cursors[-1]).json["events"]
    assert [(e["cursor"], e["id"], e["data"]) for e in found] == [(c, e["id"], e["data"]) for c, e in zip(cursors, events)]


def test_a_batch_of_one_is_answered_as_a_batch(ingest, ndjson):
    response = send(ingest, [event()], ndjson)
    assert response.status == 201 and len(response.json["results"]) == 1


def test_empty_lines_and_carriage_returns_are_nothing(ingest):
    response = ingest.post(f"\r\n{json.dumps(event(id='crlf-1'))}\r\n\n  \n{json.dumps(event(id='crlf-2'))}\r\n", **NDJSON)
    assert [result["id"] for result in response.json["results"]] == ["crlf-1", "crlf-2"]


def test_lines_may_be_sent_with_a_charset_and_in_chunks(ingest):
    body = lines(event(id="chunk-1"), event(id="chunk-2")).encode()
    response = ingest.request("POST", "/publish", iter([body[:30], body[30:]]), {"Content-Type": "Application/X-NDJSON; charset=utf-8"})
    assert [result["id"] for result in response.json["results"]] == ["chunk-1", "chunk-2"]


def test_events_without_ids_get_different_ones(ingest, ndjson):
    results = send(ingest, [event()] * 50, ndjson).json["results"]
    assert len({result["id"] for result in results}) == 50 and len({result["cursor"] for result in results}) == 50


def test_repeats_within_a_batch_and_of_before_are_duplicates(ingest, ndjson):
    prefix = "rl" if ndjson else "ra"
    before = ingest.post(json.dumps(event(id=f"{prefix}-old"))).json["cursor"]
    end = end_of_log(ingest)
    response = send(ingest, [event(id=f"{prefix}-{n}") for n in ("new", "old", "new", "other", "new")], ndjson)
    new, old, again, other, third = response.json["results"]
    assert response.status == 201
    assert old == {"cursor": before, "id": f"{prefix}-old", "duplicate": True}
    assert again == third == {**new, "duplicate": True} and "duplicate" not in new and "duplicate" not in other
    wait_for(lambda: end_of_log(ingest) == end + 2)
    repeated = send(ingest, [event(id=f"{prefix}-{n}") for n in ("other", "new")], ndjson)
    assert repeated.status == 201 and repeated.json["results"] == [{**other, "duplicate": True}, {**new, "duplicate": True}]
    assert end_of_log(ingest) == end + 2


def test_a_conflict_names_the_event_and_the_first_ones_cursor_and_nothing_is_appended(ingest, ndjson):
    prefix = "cl" if ndjson else "ca"
    before = ingest.post(json.dumps(event(id=f"{prefix}-old"))).json["cursor"]
    end = end_of_log(ingest)
    response = send(ingest, [event(id=f"{prefix}-1"), event(id=f"{prefix}-2"), event(id=f"{prefix}-old", data=2)], ndjson)
    assert response.status == 409 and response.json["index"] == 2, response
    assert response.json["id"] == f"{prefix}-old" and response.json["cursor"] == before
    within = send(ingest, [event(id=f"{prefix}-1"), event(id=f"{prefix}-2"), event(id=f"{prefix}-1", key="k")], ndjson)
    assert within.status == 409 and within.json["index"] == 2 and within.json["id"] == f"{prefix}-1" and "cursor" not in within.json
    assert end_of_log(ingest) == end


def nested(levels):
    return json.loads("[" * levels + "]" * levels)


# events, index, field
REFUSED = {
    "no topic": ([event(), {"data": 1}], 1, "topic"),
    "a bad topic": ([event(), event(), event(topic="a..b")], 2, "topic"),
    "an unknown field": ([event(x=1)], 0, "x"),
    "a bad id": ([event(id="a.b"), event()], 0, "id"),
    "no object": ([event(), 5], 1, None),
    "an array within": ([event(), [event()]], 1, None),
    "null": ([None], 0, None),
    "depth 33": ([event(), event(data=nested(32))], 1, None),
    "1001 events": ([event()] * 1001, 1000, None),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_batch_with_a_bad_event_is_refused_whole(ingest, ndjson, what):
    events, index, field = REFUSED[what]
    before = end_of_log(ingest)
    response = send(ingest, events, ndjson)
    assert response.status == 400 and response.headers["Content-Type"] == "application/problem+json", response
    assert response.json["index"] == index and response.json.get("field") == field, response
    assert end_of_log(ingest) == before


def test_data_too_large_in_a_batch_is_413_with_its_index(ingest, ndjson):
    response = send(ingest, [event(), event(data="x" * 2**18)], ndjson)
    assert response.status == 413 and response.json["index"] == 1 and response.json["field"] == "data"
    assert "link" in response.json["detail"]


@pytest.mark.parametrize("body, headers", [("[]", {}), (" [ ] ", {}), ("", NDJSON), ("\n\r\n", NDJSON)])
def test_an_empty_batch_is_refused(ingest, body, headers):
    response = ingest.post(body, **headers)
    assert response.status == 400 and "1 to 1000" in response.json["detail"] and "index" not in response.json


@pytest.mark.parametrize("body, headers, index", [
    (json.dumps([event(), event()])[:-1], {}, 2), (json.dumps([event(), event()])[:-5], {}, 1), ("[" + json.dumps(event()) + ",]", {}, 1),
    ("[" + json.dumps(event()) + "]x", {}, 1), (lines(event(), event())[:-1], NDJSON, 1), (lines(event()) + lines(event()), NDJSON, 0),
    (json.dumps(event(), indent=1), NDJSON, 0), (json.dumps([event()]), NDJSON, 0)],
    ids=["no end", "cut", "a comma at the end", "something behind", "a cut line", "two a line", "an event over lines", "an array as a line"])
def test_a_batch_that_is_cut_or_not_of_its_kind_is_refused(ingest, body, headers, index):
    before = end_of_log(ingest)
    response = ingest.post(body, **headers)
    assert response.status == 400 and response.json["index"] == index, response
    assert end_of_log(ingest) == before


def test_a_thousand_events_each_32_deep_are_taken(ingest, ndjson):
    response = send(ingest, [event(data=nested(31))] * 1000, ndjson)
    assert response.status == 201 and len(response.json["results"]) == 1000


def test_a_trace_goes_with_every_event_of_a_batch(shared, ingest):
    receiver = shared.receiver()
    shared.subscribe("batch-trace", receiver, ["trace.batch"])
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert ingest.post(json.dumps([event(topic="trace.batch")] * 3), traceparent=trace).status == 201
    assert [request.headers["traceparent"] for request in receiver.wait(3)] == [trace] * 3


def test_without_kafka_a_batch_is_answered_with_its_ids_in_order(ess_on_own_broker, ndjson):
    ingest = ess_on_own_broker.ingest(ready=False)
    response = send(ingest, [event(id="a"), event(), event(cursor=7), event(id="a")], ndjson)
    assert response.status == 503 and response.headers["Retry-After"] == "1", response
    ids = response.json["ids"]
    assert len(ids) == 4 and ids[0] == ids[3] == "a" and ids[2] == "b/a:7" and len(ids[1]) == 36 and "id" not in response.json
    single = ingest.post(json.dumps(event(id="b")))
    assert single.status == 503 and single.json["id"] == "b" and "ids" not in single.json
    assert send(ingest, [event(), {}], ndjson).status == 400


def test_a_batch_that_hangs_is_answered_with_its_ids_and_is_there_once_when_it_is_sent_again(ess_on_own_broker, own_broker):
    own_broker.start()
    ingest = ess_on_own_broker.ingest({"ingest.produce_timeout": "5m"})
    events = [event(id=f"e{n}", data=n) for n in range(200)]
    own_broker.freeze()
    try:
        response = ingest.post(json.dumps(events))
        assert response.status == 503 and response.json["ids"] == [e["id"] for e in events], response
        assert ingest.post(json.dumps(events[50:60])).json["ids"] == [e["id"] for e in events[50:60]]
    finally:
        own_broker.thaw()
    response = wait_for(lambda: next((r for r in [ingest.post(json.dumps(events))] if r.status == 201), None), timeout=60)
    assert all(result["duplicate"] for result in response.json["results"])
    stored = [json.loads(record.value()) for record in ess_on_own_broker.records("events")[1:]]
    assert [(e["id"], e["data"]) for e in stored] == [(e["id"], e["data"]) for e in events]
    assert [result["cursor"] for result in response.json["results"]] == list(range(1, 201))
