"""A subscriber's `filter`, and `filter=` of a read: what is excluded is treated exactly like an event of another topic."""
import json
import urllib.parse

import pytest

from ess import Answer, wait_for
from test_pull import poll, stream

STATES = "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA " \
    "WA WV WI WY".split()
MD = {"data": {"state": ["MD"]}}


@pytest.fixture(scope="module")
def ingest(shared):
    shared.allow("bad_subscriber_file")
    return shared.daemons[0]


def publish(ess, topic, states):
    return [ess.publish(topic, {"state": state}) for state in states]


def chain(requests):
    """(cursor, prev_cursor) of what came."""
    return [(request.cursor, request.json["prev_cursor"]) for request in requests]


def chained(first, cursors):
    return list(zip(cursors, [first] + cursors[:-1]))


def query(filter):
    return urllib.parse.quote(filter if isinstance(filter, str) else json.dumps(filter))


def test_each_of_fifty_states_gets_its_own_events_alone(shared, ingest):
    assert len(STATES) == 50
    topic, receivers = "fifty.copay", {}
    for state in STATES:
        receivers[state] = shared.receiver()
        shared.subscribe(f"fifty-{state}", receivers[state], ["fifty.*"], wait=False, filter={"data": {"state": [state]}})
    wait_for(lambda: all(shared.daemons[1].lines("subscriber_started", subscriber=f"fifty-{state}") for state in STATES))
    cursors = publish(shared, topic, STATES * 2)
    for number, state in enumerate(STATES):
        requests = receivers[state].wait(2)
        assert [request.cursor for request in requests] == [cursors[number], cursors[50 + number]]
        assert requests[1].json["prev_cursor"] == cursors[number] and requests[0].json["prev_cursor"] < cursors[number]
    wait_for(lambda: all(ingest.status(f"fifty-{state}")["lag"] == 0 for state in STATES))


def test_prev_cursor_spans_what_is_filtered_out_and_stays_true_over_filters_that_change(shared, make):
    subscriber = make(["span.a"], filter=MD)
    assert subscriber.show()["filter"] == MD
    first = publish(shared, "span.a", ["MD", "VA", "VA", "MD"])
    begin = subscriber.registration["cursor"]
    expected = chained(begin, [first[0], first[3]])
    assert chain(subscriber.receiver.wait(2)) == expected

    subscriber.replace(filter={"data": {"state": ["MD", "VA"]}})  # wider
    second = publish(shared, "span.a", ["VA", "WV", "MD"])
    expected += chained(first[3], [second[0], second[2]])
    assert chain(subscriber.receiver.wait(4)) == expected

    subscriber.replace(filter={"data": {"state": ["WV"]}})  # another
    third = publish(shared, "span.a", ["VA", "WV"])
    expected += chained(second[2], [third[1]])
    assert chain(subscriber.receiver.wait(5)) == expected

    subscriber.replace(filter=None)
    assert "filter" not in subscriber.show()
    fourth = publish(shared, "span.a", ["VA", "WV"])
    expected += chained(third[1], fourth)
    assert chain(subscriber.receiver.wait(7)) == expected
    assert subscriber.status()["dead_lettered"] == 0


def test_an_event_that_waits_for_its_next_attempt_is_judged_by_the_new_filter(shared, make):
    subscriber = make(["judged.a"], backoff_min="1h", backoff_max="1h")
    subscriber.receiver.answers(200, 503)
    cursors = publish(shared, "judged.a", ["MD", "VA", "VA", "MD"])
    wait_for(lambda: "next_attempt" in subscriber.status(), told=subscriber.status)
    subscriber.replace(filter=MD)
    subscriber.call("resume")
    assert chain(subscriber.receiver.wait(3))[2] == (cursors[3], cursors[0])
    wait_for(lambda: subscriber.status()["cursor"] == cursors[3] and subscriber.status()["lag"] == 0, told=subscriber.status)


def test_a_filter_and_its_position_survive_a_kill(ess):
    ess.ingest()
    dispatcher, receiver = ess.dispatcher(), ess.receiver()
    ess.subscribe("kept", receiver, ["kept.a"], filter={"data": {"state": ["MD"], "n": [{"numeric": [">", 12345678901234567890]}]}})
    first = [ess.publish("kept.a", {"state": state, "n": n}) for state, n in
             (("MD", 12345678901234567891), ("MD", 12345678901234567890), ("VA", 12345678901234567891))]
    receiver.wait(1)
    wait_for(lambda: ess.daemons[0].status("kept")["cursor"] >= first[0])
    dispatcher.kill9()
    between = ess.publish("kept.a", {"state": "MD", "n": 5e300})
    ess.publish("kept.a", {"state": "VA", "n": 5e300})
    dispatcher.start()
    last = ess.publish("kept.a", {"state": "MD", "n": 5e300})
    wait_for(lambda: last in receiver.cursors())
    chained_to = dict(chain(receiver.requests))
    assert chained_to[between] == first[0] and chained_to[last] == between
    assert set(chained_to) == {first[0], between, last}


def test_a_replay_job_and_a_rewind_keep_to_the_filter(shared, make):
    subscriber = make(["job.a"], filter=MD)
    cursors = publish(shared, "job.a", ["MD", "VA", "MD", "VA"] * 100)
    mine = cursors[::2]
    subscriber.receiver.wait(len(mine))
    job = subscriber.call("replay", {"from": 0, "to": cursors[-1]})
    replayed = subscriber.receiver.wait(2 * len(mine))[len(mine):]
    assert [request.cursor for request in replayed] == mine and {request.headers["X-ESS-Replay"] for request in replayed} == {str(job)}
    assert chain(replayed)[1:] == chained(mine[0], mine[1:])
    wait_for(lambda: any(o["outcome"] == "done" for o in subscriber.status()["outcomes"]), told=subscriber.status)
    subscriber.call("rewind", {"cursor": cursors[0]})
    assert chain(subscriber.receiver.wait(3 * len(mine) - 1)[2 * len(mine):]) == chained(cursors[0], mine[1:])


def test_a_redrive_sends_dead_letters_whatever_the_filter_is_by_now(shared, make):
    subscriber = make(["letter.a"])
    subscriber.receiver.answers(Answer(400))
    cursor = shared.publish("letter.a", {"state": "VA"})
    wait_for(lambda: subscriber.status()["dead_lettered"] == 1)
    subscriber.replace(filter=MD)
    subscriber.call("redrive", {})
    assert [request.cursor for request in subscriber.receiver.wait(2)] == [cursor, cursor]


def test_thousands_of_excluded_events_are_passed(shared, make):
    """Behind the tail, in pieces: others have their turn."""
    ingest = shared.daemons[0]
    body = json.dumps([{"topic": "many.a", "data": {"state": "VA", "text": "x" * 100}}] * 1000)
    begin = shared.publish("many.a", {"state": "MD"})
    for _ in range(5):
        assert ingest.post(body).status == 201
    end = shared.publish("many.a", {"state": "MD"})
    subscriber = make(["many.a"], filter=MD, **{"from": begin - 1})
    assert chain(subscriber.receiver.wait(2)) == chained(begin - 1, [begin, end])
    page = ingest.replay(begin - 1, topics="many.a", filter=query(MD)).json
    assert [(e["cursor"], e["prev_cursor"]) for e in page["events"]] == chained(begin - 1, [begin, end])


# --- readers


def test_replay_poll_and_stream_take_a_filter(shared, ingest):
    cursors = publish(shared, "read.a", ["MD", "VA", "MD", "VA"])
    since, mine = cursors[0] - 1, chained(cursors[0] - 1, [cursors[0], cursors[2]])
    page = ingest.replay(since, topics="read.a", filter=query(MD)).json
    assert [(e["cursor"], e["prev_cursor"]) for e in page["events"]] == mine and page["cursor"] >= cursors[3] and not page["more"]
    lines = ingest.request("GET", f"/ess/replay?since_cursor={since}&filter={query(MD | {'topic': ['read.a']})}", None,
                           {"Accept": "application/x-ndjson"}).body.splitlines()
    assert [(e["cursor"], e["prev_cursor"]) for e in map(json.loads, lines)] == mine
    page = poll(ingest, cursor=since, topics="read.a", filter=query(MD)).json
    assert [(e["cursor"], e["prev_cursor"]) for e in page["events"]] == mine
    with stream(ingest, f"topics=read.a&cursor={since}&filter={query(MD)}") as client:
        assert [client.event()["cursor"] for _ in range(2)] == [cursors[0], cursors[2]]
        excluded, wanted = publish(shared, "read.a", ["VA", "MD"])
        event = client.event()
        assert (event["cursor"], event["prev_cursor"]) == (wanted, cursors[2])


def test_a_poll_is_not_ended_by_what_its_filter_excludes(shared, ingest):
    begin = shared.publish("polled.a", {"state": "MD"})
    excluded = shared.publish("polled.a", {"state": "VA"})
    page = poll(ingest, cursor=begin, topics="polled.a", filter=query(MD), wait=1).json
    assert page["events"] == [] and page["cursor"] >= excluded


@pytest.mark.parametrize("filter, field, reason", [
    ({"data": {"a": [1, {"numerik": ["<", 1]}]}}, "filter.data.a[1]", "unknown operator 'numerik': known are exactly, prefix"),
    ({"tipic": ["a"]}, "filter.tipic", "may be topic, key, id, source_cursor, data"),
    ("{", "filter", "not valid JSON"),
    ("", "filter", "not valid JSON"),
    ([], "filter", "must be an object"),
])
def test_a_bad_filter_of_a_read_is_400_with_its_place(ingest, filter, field, reason):
    for call in ("replay", "poll", "stream"):
        answer = ingest.get(f"/ess/{call}?filter={query(filter)}")
        assert answer.status == 400 and answer.json["field"] == field and reason in answer.json["detail"], (call, answer)


# --- what is refused, and what is warned of


@pytest.mark.parametrize("filter, field, reason", [
    ({"data": {"state": ["MD", {"numerik": ["<", 1]}]}}, "filter.data.state[1]",
     "unknown operator 'numerik': known are exactly, prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr and exists"),
    ({"data": {"state": "MD"}}, "filter.data.state", "must be a list of conditions"),
    ({"data": {"n": [{"numeric": ["<", "x"]}]}}, "filter.data.n[0]", "must be a number"),
    ({"data": {"ip": [{"cidr": "10.0.0.0/33"}]}}, "filter.data.ip[0]", "32"),
    ({"data": {"a": list(range(201))}}, "filter.data.a[200]", "more than 200 conditions"),
    ({"data": {"a": ["x" * 17000]}}, "filter", "16 KiB"),
    ({}, "filter", "empty"),
    (["MD"], "filter", "must be an object"),
    (None, "filter", "must be an object"),
])
def test_a_bad_filter_is_refused_with_its_place_and_nothing_is_written(shared, ingest, filter, field, reason):
    answer = ingest.post(json.dumps({"id": "never", "url": "https://127.0.0.1:1/", "topics": ["a"], "filter": filter}), "/register")
    assert answer.status == 400 and answer.json["field"] == field and reason in answer.json["detail"], answer
    assert ingest.get("/ess/subscribers/never").status == 404
    assert not [record for record in shared.records("subscribers") if (record.key() or b"").startswith(b"never")]


def test_a_put_with_a_bad_filter_changes_nothing(make):
    subscriber = make(["put.a"], filter=MD)
    shown = {**subscriber.show(), "filter": {"data": {"state": [{"is": "MD"}]}}}
    answer = subscriber.ingest.request("PUT", f"/ess/subscribers/{subscriber.id}", json.dumps(shown))
    assert answer.status == 400 and answer.json["field"] == "filter.data.state[0]" and "unknown operator 'is'" in answer.json["detail"]
    assert subscriber.show()["filter"] == MD


def test_a_file_has_a_filter_and_a_bad_one_is_named_with_its_line(shared, ingest):
    receiver = shared.receiver()
    text = f'id: filed\nurl: {receiver.url()}\ntopics: [filed.*]\nsecret: s\nfilter:\n  data:\n    state: [MD, "NO"]\n    code: ["007", 1.50]\n'
    path = shared.write("filed.yml", text)
    shared.daemons[1].wait_line("subscriber_started", subscriber="filed")
    assert ingest.get("/ess/subscribers/filed").json["filter"] == {"data": {"state": ["MD", "NO"], "code": ["007", 1.5]}}
    for data in ({"state": "MD", "code": 7}, {"state": "VA", "code": "007"}):
        shared.publish("filed.a", data)
    wanted = [shared.publish("filed.a", data) for data in ({"state": "NO", "code": 15e-1}, {"state": "MD", "code": "007"})]
    assert [request.cursor for request in receiver.wait(2)] == wanted

    path.write_text(text.replace('state: [MD, "NO"]', "state:\n      - MD\n      - equals-ignore-kase: md"))
    said = ingest.wait_line("bad_subscriber_file", file=path)["reason"]
    assert f"{path}:9: filter.data.state[1]: unknown operator 'equals-ignore-kase': known are " in said and "last good version stays" in said
    wanted.append(shared.publish("filed.a", {"state": "NO", "code": 1.5}))
    assert [request.cursor for request in receiver.wait(3)] == wanted


def test_a_filter_that_no_event_can_match_is_warned_of(shared, ingest, make):
    subscriber = make(["hopeless.a", "hopeless.b"], filter={"topic": ["hopeless.c"]})
    [warning] = subscriber.registration["warnings"]
    assert "filter: no event matches it" in warning and "topics" in warning
    assert "no event matches it" in ingest.wait_line("filter_matches_nothing", subscriber=subscriber.id)["reason"]
    assert "warnings" not in subscriber.replace(filter={"topic": ["hopeless.a"]})
    [warning] = subscriber.replace(filter={"topic": [{"exists": False}]})["warnings"]
    assert "topic is always there" in warning
    assert "warnings" not in make(["hopeless.*"], filter={"topic": ["hopeless.c"]}).registration
    shared.subscribe("hopeless", "https://127.0.0.1:1/", ["hopeless.a"], filter={"key": [5]})
    ingest.wait_line("filter_matches_nothing", subscriber="hopeless")
