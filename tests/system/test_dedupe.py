"""A repeated id is heard once: over restarts, from another ingest, and after an answer that had to say that nothing is known."""
import concurrent.futures
import json
import time

import pytest

from ess import wait_for
from test_log import append, genesis_of


@pytest.fixture(scope="module")
def ingest(shared):
    return shared.daemons[0]


def event(**members):
    return json.dumps({"topic": "d.a", "data": {"n": 1}} | members)


def ids_in_log(ess):
    return [dict(record.headers())["ess-id"].decode() for record in ess.records("events")[1:]]


def test_a_repeat_gets_the_first_ones_cursor_and_appends_nothing(shared, ingest):
    first = ingest.post(event(id="one", key="k", ts="2024-05-07T14:03:11Z"))
    assert first.status == 201 and "duplicate" not in first.json
    for again in (event(id="one", key="k"), event(id="one", key="k", ts="2025-05-07T14:03:11Z"), event(key="k", id="one")):
        response = ingest.post(again)
        assert response.status == 200 and response.json == {**first.json, "duplicate": True}, response
    assert ids_in_log(shared).count("one") == 1


@pytest.mark.parametrize("other", [{"topic": "d.b"}, {"key": "l"}, {"key": None}, {"data": {"n": 2}}, {"data": None}, {"data": "{\"n\":1}"}],
                         ids=["topic", "key", "no key", "data", "null", "type"])
def test_the_same_id_with_other_content_is_refused_and_names_the_first(ingest, other):
    members = {"id": "conflict", "key": "k"}
    cursor = ingest.post(event(**members)).json["cursor"]
    members = {name: value for name, value in {**members, **other}.items() if value is not None or name == "data"}
    response = ingest.post(event(**members))
    assert response.status == 409 and response.json["id"] == "conflict" and response.json["cursor"] == cursor, response
    assert response.json["field"] == "id" and response.headers["Content-Type"] == "application/problem+json"


def test_line_breaks_between_tokens_are_spaces_and_no_other_content(ingest):
    first = ingest.post(b'{"topic":"d.a","id":"breaks","data":[1,\n2,\r3]}')
    assert ingest.post(b'{"topic":"d.a","id":"breaks","data":[1, 2, 3]}').json == {**first.json, "duplicate": True}
    assert ingest.post(b'{"topic":"d.a","id":"breaks","data":[1,2,3]}').status == 409


def test_a_publishers_own_cursor_makes_the_id(ingest):
    first = ingest.post(event(topic="drug.copay", cursor=1842))
    assert first.status == 201 and first.json["id"] == "drug/copay:1842"
    assert ingest.post(event(topic="drug.copay", cursor=1842)).json == {**first.json, "duplicate": True}
    assert ingest.post(event(topic="drug.copay", cursor=1842, data=5)).status == 409
    found = ingest.replay(first.json["cursor"] - 1, topics="drug.copay").json["events"][0]
    assert found["source_cursor"] == 1842 and found["id"] == "drug/copay:1842"


def test_a_made_id_is_a_repeat_when_it_is_sent_back(ingest):
    first = ingest.post(event()).json
    assert ingest.post(event(id=first["id"])).json == {**first, "duplicate": True}


def test_of_one_id_sent_fifty_times_at_once_one_is_appended(shared, ingest):
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: ingest.post(event(id="many")), range(50)))
    assert sorted(answer.status for answer in answers) == [200] * 49 + [201]
    assert len({answer.json["cursor"] for answer in answers}) == 1
    assert ids_in_log(shared).count("many") == 1


def test_of_two_contents_of_one_id_sent_at_once_one_is_appended(shared, ingest):
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda n: (n % 2, ingest.post(event(id="rivals", data=n % 2))), range(40)))
    won = next(data for data, answer in answers if answer.status == 201)
    assert [answer.status for data, answer in answers if data != won] == [409] * 20
    assert sorted(answer.status for data, answer in answers if data == won) == [200] * 19 + [201]
    assert len({answer.json["cursor"] for _, answer in answers}) == 1
    assert ids_in_log(shared).count("rivals") == 1


def test_a_repeat_is_noticed_after_a_kill_and_after_a_restart(ess):
    ingest = ess.ingest()
    first = [ingest.post(event(id=f"e{n}", data=n)).json for n in range(100)]
    ingest.kill9()
    ingest.start()
    assert ingest.metrics()["ess_dedupe_ids"] == 100
    for n in range(100):
        assert ingest.post(event(id=f"e{n}", data=n)).json == {**first[n], "duplicate": True}
    assert ingest.post(event(id="e0", data=1)).json["cursor"] == first[0]["cursor"]
    ingest.restart()
    assert ingest.post(event(id="e99", data=99)).json == {**first[99], "duplicate": True}
    assert ids_in_log(ess) == [f"e{n}" for n in range(100)]


def test_a_repeat_is_noticed_by_another_ingest(ess):
    one, two = ess.ingest(), ess.ingest({"subscribers.dir": "none"})
    for n in range(50):
        first, second = (one, two) if n % 2 else (two, one)
        answer = first.post(event(id=f"e{n}")).json
        wait_for(lambda: second.metrics()["ess_dedupe_ids"] == n + 1)
        assert second.post(event(id=f"e{n}")).json == {**answer, "duplicate": True}
        assert second.post(event(id=f"e{n}", data=0)).status == 409
    assert len(ids_in_log(ess)) == 50


def test_two_ingests_that_get_one_id_at_once_agree_on_the_first_afterwards(ess):
    ingests = [ess.ingest(), ess.ingest({"subscribers.dir": "none"})]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for n in range(50):
            list(pool.map(lambda ingest: ingest.post(event(id=f"e{n}")), ingests))
    first = {}
    for record in ess.records("events")[1:]:
        first.setdefault(dict(record.headers())["ess-id"].decode(), record.offset())
    last = max(record.offset() for record in ess.records("events"))
    for ingest in ingests:
        wait_for(lambda: ingest.metrics()["ess_feed_cursor"] == last)
        wait_for(lambda: ingest.metrics()["ess_doubled_ids_total"] == len(ids_in_log(ess)) - 50)
        for n in range(50):
            assert ingest.post(event(id=f"e{n}")).json == {"cursor": first[f"e{n}"], "id": f"e{n}", "duplicate": True}


def test_a_doubled_id_is_counted_by_every_ingest(ess):
    ingests = [ess.ingest(), ess.ingest({"subscribers.dir": "none"})]
    ess.publish("d.a", 1, ingests[0], id="one")
    append(ess, genesis_of(ess), "d.a", ["one"])
    for ingest in ingests:
        wait_for(lambda: ingest.metrics()["ess_doubled_ids_total"] == 1)
        ess.publish("d.a", 2, ingest)
    assert all(ingest.metrics()["ess_doubled_ids_total"] == 1 for ingest in ingests)


@pytest.mark.parametrize("members, header, good", [
    ({"id": "h1"}, "h1", True), ({"id": "h2"}, "other", False), ({}, "h3", False), ({"cursor": 7}, "d/a:7", True), ({"id": "h4"}, "", False)])
def test_the_id_in_the_header_must_be_the_bodys(ingest, members, header, good):
    response = ingest.post(event(**members), **{"X-ESS-Id": header})
    assert response.status == (201 if good else 400), response
    assert good or response.json["field"] == "X-ESS-Id"


def test_a_batch_carries_any_of_its_ids_in_the_header_or_none(ingest):
    batch = json.dumps([{"topic": "d.a", "data": 1, "id": f"batch-{n}"} for n in range(3)])
    assert ingest.post(batch, **{"X-ESS-Id": "batch-3"}).json["field"] == "X-ESS-Id"
    assert [ingest.post(batch, **headers).status for headers in ({"X-ESS-Id": "batch-2"}, {}, {"X-ESS-Id": "batch-0"})] == [201, 201, 201]


def test_an_id_is_new_again_when_the_window_has_passed(ess):
    ingest = ess.ingest({"ingest.dedupe_window": "1s"})
    first = ingest.post(event(id="x")).json["cursor"]
    wait_for(lambda: ingest.metrics()["ess_dedupe_ids"] == 0)
    again = ingest.post(event(id="x", data=2))
    assert again.status == 201 and again.json["cursor"] > first
    wait_for(lambda: ingest.metrics()["ess_dedupe_ids"] == 0)
    ingest.restart()
    assert ingest.metrics()["ess_dedupe_ids"] == 0 and ingest.post(event(id="x")).status == 201


# --- produces whose fate is unknown


@pytest.fixture
def hasty(ess_on_own_broker, own_broker):
    """An ingest that gives a produce up after 2 seconds, on a broker of its own; one event is in the log."""
    own_broker.start()
    ingest = ess_on_own_broker.ingest({"ingest.produce_timeout": "2s"})
    post_until_answered(ingest, event(id="before"))
    wait_for(lambda: ingest.metrics()["ess_publish_unresolved"] == 0)
    return ingest


def post_until_answered(ingest, body):
    return wait_for(lambda: next((r for r in [ingest.post(body)] if r.status != 503), None), timeout=60)


def test_an_event_that_arrived_after_all_is_found_by_its_id(ess_on_own_broker, own_broker, hasty):
    own_broker.freeze()
    try:
        began = time.monotonic()
        response = hasty.post(event(id="lost?"))
        assert response.status == 503 and response.json["id"] == "lost?" and response.headers["Retry-After"] == "1", response
        assert time.monotonic() - began < 4
        wait_for(lambda: hasty.metrics()["ess_publish_unresolved"] == 1)
        assert hasty.post(event(id="lost?")).status == 503
    finally:
        own_broker.thaw()
    found = post_until_answered(hasty, event(id="lost?"))
    assert found.status == 200 and found.json["duplicate"] is True
    assert post_until_answered(hasty, event(id="lost?", data=9)).status == 409
    wait_for(lambda: hasty.metrics()["ess_publish_unresolved"] == 0)
    post_until_answered(hasty, event(id="after"))
    assert ids_in_log(ess_on_own_broker) == ["before", "lost?", "after"]


def test_an_event_that_died_with_the_broker_is_appended_when_it_is_sent_again(ess_on_own_broker, own_broker, hasty):
    own_broker.freeze()
    assert hasty.post(event(id="dead")).status == 503
    wait_for(lambda: hasty.metrics()["ess_publish_unresolved"] == 1)
    own_broker.kill9()
    own_broker.start()
    post_until_answered(hasty, event(id="dead"))
    assert len(hasty.lines("produce_lost")) == 1
    assert ids_in_log(ess_on_own_broker) == ["before", "dead"]


def test_a_broker_that_is_back_in_time_costs_an_event_nothing(ess_on_own_broker, own_broker):
    own_broker.start()
    ingest = ess_on_own_broker.ingest({"ingest.produce_timeout": "5m"})
    post_until_answered(ingest, event(id="before"))
    own_broker.freeze()
    assert ingest.post(event(id="waits")).status == 503
    own_broker.kill9()
    own_broker.start()
    post_until_answered(ingest, event(id="waits"))
    assert not ingest.lines("produce_lost")
    assert ids_in_log(ess_on_own_broker) == ["before", "waits"]
