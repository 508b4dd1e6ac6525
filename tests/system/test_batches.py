"""Several events in one request: what arrives together, what a refusal or an outage costs, and that nothing is lost or skipped."""
import json
import random
import threading

import pytest

from ess import Answer, wait_for

REFUSED = (400, 409, 413, 415, 422)
LIMITS = {"max_events": 8, "max_wait": "0s"}


@pytest.fixture
def receiver(shared):
    return shared.receiver()


def events(request):
    return request.json["events"]


def numbers(request):
    """The publisher's own numbers."""
    return [event["data"] for event in events(request)]


def cursors(request):
    return [event["cursor"] for event in events(request)]


def publish(ess, topic, count, first=0, **members):
    """Many events by few calls; their cursors."""
    found = []
    for begin in range(first, first + count, 1000):
        lines = [json.dumps({"topic": topic, "data": n, **members}) for n in range(begin, min(begin + 1000, first + count))]
        answer = ess.daemons[0].post("\n".join(lines), **{"Content-Type": "application/x-ndjson"})
        assert answer.status == 201, answer
        found += [event["cursor"] for event in answer.json["results"]]
    return found


def paused(ess, id, receiver, topics, **fields):
    """A subscriber that is paused, so that events wait for it."""
    ess.subscribe(id, receiver, topics, backoff_min="20ms", backoff_max="50ms", **fields)
    wait_for(lambda: ess.daemons[0].get(f"/ess/subscribers/{id}").status == 200)
    generation = ess.daemons[0].command(id, "pause", None)["generation"]
    wait_for(lambda: status(ess, id)["generation"] >= generation)


def resume(ess, id):
    """Once the dispatcher has read all that was published: so the first batch is full."""
    end = ess.daemons[0].metrics()["ess_feed_cursor"]
    wait_for(lambda: ess.daemons[1].metrics()["ess_feed_cursor"] >= end)
    ess.daemons[0].command(id, "resume", None)


def status(ess, id):
    return ess.daemons[0].status(id)


def letters(ess, id):
    return [json.loads(m.value()) for m in ess.records("dlq") if m.key() == id.encode()]


def delivered(receiver):
    """The events of each request that got a 2xx; `receiver.taken` has them."""
    return [event for request in receiver.taken for event in events(request)]


def judge(receiver, status_of):
    """Answers by the events; keeps what was taken."""
    receiver.taken = []

    def answer(request):
        found = status_of(request)
        found = found if isinstance(found, Answer) else Answer(found)
        if found.status < 300 and not found.cut:
            receiver.taken.append(request)
        return found

    receiver.answer = answer


def assert_linked(found):
    """Each event names the one before it."""
    for one, two in zip(found, found[1:]):
        assert two["prev_cursor"] == one["cursor"], (one, two)


def test_a_batch_has_the_headers_and_the_events_of_the_contract(shared, receiver):
    paused(shared, "form", receiver, ["form.*"], batch=LIMITS, headers={"X-Api-Key": "k3y"})
    made = [shared.publish(f"form.{name}", name, key=name) for name in "abc"]
    resume(shared, "form")
    request = receiver.wait(1)[0]
    assert list(request.json) == ["events"] and cursors(request) == made
    expected = {"Content-Type": "application/json", "X-ESS-Subscriber": "form", "X-ESS-Attempt": "1", "X-ESS-Cursor": str(made[-1]), "X-ESS-Events": "3",
                "X-Api-Key": "k3y", "webhook-id": f"ess-{made[0]}-{made[-1]}"}
    assert {name: request.headers[name] for name in expected} == expected
    assert "X-ESS-Topic" not in request.headers and "traceparent" not in request.headers
    assert [event["topic"] for event in events(request)] == ["form.a", "form.b", "form.c"]
    assert_linked(events(request))
    wait_for(lambda: status(shared, "form")["delivered"] == 3)


def test_a_batch_that_fails_is_sent_again_in_the_same_bytes(shared, receiver):
    paused(shared, "again", receiver, ["again"], batch={"max_events": 100})
    receiver.answers(503, 302, Answer(429, {"Retry-After": "1"}), 500)
    publish(shared, "again", 5)
    resume(shared, "again")
    receiver.wait(1)
    publish(shared, "again", 5, first=5)  # they don't join
    requests = receiver.wait(6)
    assert len({(r.headers["webhook-id"], r.body) for r in requests[:5]}) == 1
    assert [r.headers["X-ESS-Attempt"] for r in requests[:5]] == ["1", "2", "3", "4", "5"]
    assert numbers(requests[0]) == list(range(5)) and numbers(requests[5]) == list(range(5, 10))
    assert_linked(events(requests[0]) + events(requests[5]))


@pytest.mark.parametrize("code", REFUSED)
def test_a_refused_batch_is_halved_until_the_guilty_event_stands_alone(shared, receiver, code):
    id = f"poison{code}"
    paused(shared, id, receiver, [id], batch=LIMITS)
    judge(receiver, lambda request: code if 5 in numbers(request) else 200)
    made = publish(shared, id, 12)
    resume(shared, id)
    wait_for(lambda: status(shared, id)["delivered"] == 11)
    assert [numbers(request) for request in receiver.requests] == [
        list(range(8)), [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4], [5], [6, 7], [8, 9, 10, 11]]
    letter, = letters(shared, id)
    assert (letter["cursor"], letter["reason"], letter["attempts"], letter["status"], letter["event"]["data"]) == (made[5], "refused", 1, code, 5)
    found = delivered(receiver)
    assert [event["data"] for event in found] == [n for n in range(12) if n != 5]
    assert next(event for event in found if event["data"] == 6)["prev_cursor"] == made[5]  # the gap can be seen
    assert_linked(found[:5])
    assert_linked(found[5:])


def test_an_event_that_breaks_the_endpoint_costs_one_dead_letter(shared, receiver):
    paused(shared, "breaks", receiver, ["breaks"], batch={"max_events": 50}, max_attempts=3)
    judge(receiver, lambda request: 500 if 31 in numbers(request) else 200)
    made = publish(shared, "breaks", 100)
    resume(shared, "breaks")
    wait_for(lambda: status(shared, "breaks")["delivered"] == 99)
    letter, = letters(shared, "breaks")
    assert letter["cursor"] == made[31] and letter["reason"] == "attempts"
    assert [event["data"] for event in delivered(receiver)] == [n for n in range(100) if n != 31]


def test_an_outage_costs_at_most_one_dead_letter(shared, receiver):
    paused(shared, "outage", receiver, ["outage"], batch={"max_events": 10}, max_attempts=2)
    judge(receiver, lambda request: 503)
    publish(shared, "outage", 30)
    resume(shared, "outage")
    wait_for(lambda: letters(shared, "outage"))
    receiver.wait(len(receiver.requests) + 10)
    judge(receiver, lambda request: 200)
    wait_for(lambda: status(shared, "outage")["delivered"] == 29)
    assert len(letters(shared, "outage")) == 1
    assert sorted(event["data"] for event in delivered(receiver)) == list(range(1, 30))


def test_max_wait_gathers_events_and_never_delays_a_full_batch(shared, receiver):
    shared.subscribe("waits", receiver, ["waits"], batch={"max_events": 3, "max_wait": "60s"})
    for n in range(6):
        shared.publish("waits", n)
    assert [numbers(request) for request in receiver.wait(2)] == [[0, 1, 2], [3, 4, 5]]
    shared.publish("waits", 6)
    shared.subscribe("waits", receiver, ["waits"], batch={"max_events": 3, "max_wait": "1s"})
    assert numbers(receiver.wait(3)[2]) == [6]
    before = len(receiver.requests)
    for n in range(7, 9):
        shared.publish("waits", n)
    found = receiver.wait(before + 1)[before:]
    assert [n for request in found for n in numbers(request)][:1] == [7]


def test_max_bytes_bounds_a_batch_and_a_larger_event_goes_alone(shared, receiver):
    paused(shared, "bytes", receiver, ["bytes"], batch={"max_events": 100, "max_bytes": "4KiB"})
    sizes = [1000] * 10 + [9000] + [1000] * 3
    for n, size in enumerate(sizes):
        shared.publish("bytes", {"n": n, "text": "x" * size})
    resume(shared, "bytes")
    wait_for(lambda: status(shared, "bytes")["delivered"] == len(sizes))
    assert all(len(request.body) <= 4096 for request in receiver.requests if len(events(request)) > 1)
    assert [[e["data"]["n"] for e in events(r)] for r in receiver.requests] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9], [10], [11, 12, 13]]


def test_max_bytes_bounds_events_that_waited_before_there_were_batches(shared, receiver):
    fields = {"ordering": "key", "max_attempts": 1000, "backoff_min": "20ms", "backoff_max": "50ms"}
    open_again = threading.Event()
    judge(receiver, lambda request: 200 if open_again.is_set() else 503)
    shared.subscribe("later", receiver, ["later"], **fields)
    made = [shared.publish("later", "x" * 1000, key="k") for _ in range(40)]
    receiver.wait(2)  # the rest waits behind the first
    wait_for(lambda: shared.daemons[1].metrics()["ess_feed_cursor"] >= made[-1])
    receiver.wait(len(receiver.requests) + 2)
    shared.subscribe("later", receiver, ["later"], batch={"max_events": 100, "max_bytes": "4KiB"}, **fields)
    open_again.set()
    wait_for(lambda: status(shared, "later")["delivered"] == 40)
    assert max(len(request.body) for request in receiver.requests) <= 4096
    assert [event["cursor"] for event in delivered(receiver)] == made


def test_the_throttle_counts_events(shared, receiver):
    paused(shared, "throttled", receiver, ["throttled"], batch={"max_events": 50}, throttle=10)
    publish(shared, "throttled", 35)
    resume(shared, "throttled")
    wait_for(lambda: status(shared, "throttled")["delivered"] == 35)
    arrivals = [request.at for request in receiver.requests for _ in events(request)]
    assert all(b - a >= 0.99 for a, b in zip(arrivals, arrivals[10:])), arrivals
    assert max(len(events(request)) for request in receiver.requests) == 10  # what the throttle allows at once


def test_a_batch_larger_than_an_edited_throttle_passes(shared, receiver):
    paused(shared, "edited", receiver, ["edited"], batch={"max_events": 6}, max_attempts=1000)
    judge(receiver, lambda request: 503)
    publish(shared, "edited", 6)
    resume(shared, "edited")
    receiver.wait(2)
    shared.subscribe("edited", receiver, ["edited"], batch={"max_events": 6}, max_attempts=1000, throttle=2)
    judge(receiver, lambda request: 200)
    wait_for(lambda: status(shared, "edited")["delivered"] == 6)
    assert [event["data"] for event in delivered(receiver)] == list(range(6))


@pytest.mark.parametrize("ordering", ["key", "none"])
def test_by_key_and_without_order_every_event_arrives_and_a_key_stays_in_order(shared, receiver, ordering):
    id, dice = f"mixed-{ordering}", random.Random(7)
    paused(shared, id, receiver, [id], batch={"max_events": 7}, ordering=ordering, max_in_flight=4, max_attempts=1000)
    judge(receiver, lambda request: Answer(503 if dice.random() < 0.3 else 200, delay=dice.random() / 50))
    for n in range(200):
        shared.publish(id, n, key=f"k{n % 5}")
    resume(shared, id)
    wait_for(lambda: status(shared, id)["delivered"] == 200, told=lambda: status(shared, id))
    found = delivered(receiver)
    assert sorted(event["data"] for event in found) == list(range(200))
    assert any(len({event["key"] for event in events(request)}) < len(events(request)) for request in receiver.taken)  # several of one key
    for request in receiver.requests:
        assert cursors(request) == sorted(cursors(request))
    if ordering == "none":
        return
    for key in range(5):
        of_key = [event["data"] for event in found if event["key"] == f"k{key}"]
        assert of_key == sorted(of_key)


def test_no_event_goes_ahead_of_a_failed_one_of_its_key(shared, receiver):
    paused(shared, "ahead", receiver, ["ahead"], batch={"max_events": 2}, ordering="key", max_in_flight=4, max_attempts=1000)
    open_again = threading.Event()
    judge(receiver, lambda request: 503 if any(e["key"] == "bad" for e in events(request)) and not open_again.is_set() else 200)
    for n in range(30):
        shared.publish("ahead", n, key="bad" if n % 5 == 0 else f"good-{n}")
    resume(shared, "ahead")
    wait_for(lambda: status(shared, "ahead")["delivered"] >= 20, told=lambda: status(shared, "ahead"))
    tried = [event["data"] for request in list(receiver.requests) for event in events(request) if event["key"] == "bad"]
    assert set(tried) == {0}  # the later ones of its key wait
    open_again.set()
    wait_for(lambda: status(shared, "ahead")["delivered"] == 30)
    bad = [event["data"] for event in delivered(receiver) if event["key"] == "bad"]
    assert bad == list(range(0, 30, 5))


def test_a_replay_job_and_a_redrive_send_batches_too(shared, receiver):
    paused(shared, "jobs", receiver, ["jobs"], batch=LIMITS)
    judge(receiver, lambda request: 422 if any(n % 3 == 0 for n in numbers(request)) and "X-ESS-Replay" not in request.headers else 200)
    made = publish(shared, "jobs", 30)
    resume(shared, "jobs")
    wait_for(lambda: status(shared, "jobs")["dead_lettered"] == 10)
    wait_for(lambda: status(shared, "jobs")["delivered"] == 20)
    before = len(receiver.requests)
    job = shared.daemons[0].command("jobs", "replay", {"from": made[4], "to": made[24]})["generation"]
    wait_for(lambda: status(shared, "jobs")["jobs"] == [] and status(shared, "jobs")["delivered"] == 40)
    replayed = receiver.requests[before:]
    assert [numbers(request) for request in replayed] == [list(range(5, 13)), list(range(13, 21)), list(range(21, 25))]
    assert all(request.headers["X-ESS-Replay"] == str(job) for request in replayed)
    before = len(receiver.requests)
    shared.daemons[0].command("jobs", "redrive", {})
    wait_for(lambda: status(shared, "jobs")["jobs"] == [] and status(shared, "jobs")["delivered"] == 50)
    redriven = receiver.requests[before:]
    assert [n for request in redriven for n in numbers(request)] == list(range(0, 30, 3))
    assert max(len(events(request)) for request in redriven) > 1
    assert all("prev_cursor" not in event for request in redriven for event in events(request))
    shown = shared.daemons[0].get("/ess/subscribers/jobs/dead-letters").json["dead_letters"]
    assert len(shown) == 10 and all(letter["redriven"] for letter in shown)


def test_a_redrive_of_many_large_letters_is_bounded_and_refuses_one_by_one(shared, receiver):
    paused(shared, "redrives", receiver, ["redrives"], batch={"max_events": 10, "max_bytes": "4MiB"}, exhausted="dead_letter")
    judge(receiver, lambda request: 400 if any(e["data"]["bad"] for e in events(request)) and "X-ESS-Replay" not in request.headers else 200)
    for n in range(60):  # a good one between, so that 20 are not refused in a row
        shared.publish("redrives", {"n": n, "bad": n % 2 == 1, "text": "x" * 40000})
    resume(shared, "redrives")
    wait_for(lambda: status(shared, "redrives")["dead_lettered"] == 30)
    judge(receiver, lambda request: 422 if any(e["data"]["n"] == 31 for e in events(request)) else 200)
    before = len(receiver.requests)
    shared.daemons[0].command("redrives", "redrive", {})
    wait_for(lambda: status(shared, "redrives")["jobs"] == [] and status(shared, "redrives")["delivered"] == 59)
    redriven = receiver.taken
    assert [e["data"]["n"] for request in redriven for e in events(request)] == [n for n in range(1, 60, 2) if n != 31]
    assert max(len(request.body) for request in receiver.requests[before:]) < 600000  # not more than is read ahead
    assert [letter["event"]["data"]["n"] for letter in letters(shared, "redrives")] == [*range(1, 60, 2), 31]


def test_a_test_delivery_has_the_form_of_a_batch(shared, receiver):
    shared.subscribe("tested", receiver, ["tested"], batch=LIMITS)
    shared.daemons[0].command("tested", "test", {"topic": "tested", "data": {"n": 1}})
    request = receiver.wait(1)[0]
    event, = events(request)
    assert event["data"] == {"n": 1} and "cursor" not in event
    assert request.headers["X-ESS-Events"] == "1" and request.headers["webhook-id"] == event["id"] and "X-ESS-Cursor" not in request.headers


def test_a_skip_takes_the_first_event_of_a_batch_that_fails(shared, receiver):
    paused(shared, "skips", receiver, ["skips"], batch=LIMITS, max_attempts=1000)
    judge(receiver, lambda request: 503 if 0 in numbers(request) else 200)
    publish(shared, "skips", 4)
    resume(shared, "skips")
    receiver.wait(2)
    shared.daemons[0].command("skips", "skip", None)
    wait_for(lambda: status(shared, "skips")["delivered"] == 3)
    assert [letter["event"]["data"] for letter in letters(shared, "skips")] == [0]
    assert numbers(receiver.taken[0]) == [1, 2, 3]


def test_batches_begin_and_end_with_the_field(shared, receiver):
    receiver.answer = lambda request: Answer(503 if "X-ESS-Events" in request.headers else 200)
    paused(shared, "changes", receiver, ["changes"], batch=LIMITS, max_attempts=1000)
    made = publish(shared, "changes", 4)
    resume(shared, "changes")
    receiver.wait(2)
    shared.subscribe("changes", receiver, ["changes"], max_attempts=1000)
    wait_for(lambda: status(shared, "changes")["delivered"] == 4)
    singles = [request for request in receiver.requests if "X-ESS-Events" not in request.headers]
    assert [request.json["cursor"] for request in singles] == made


def test_a_take_over_by_kill_9_loses_and_skips_nothing(ess):
    ingest = ess.ingest()
    first = ess.dispatcher()
    receiver = ess.receiver()
    dice = random.Random(3)
    judge(receiver, lambda request: Answer(503 if dice.random() < 0.1 else 200, delay=0.01))
    ess.subscribe("taken", receiver, ["taken"], batch={"max_events": 20}, backoff_min="20ms", backoff_max="50ms")
    made = []
    for n in range(0, 3000, 500):
        made += publish(ess, "taken", 500, first=n)
    wait_for(lambda: len(delivered(receiver)) > 500)
    first.kill9()
    second = ess.dispatcher()
    wait_for(lambda: len({event["cursor"] for event in delivered(receiver)}) == 3000, timeout=120)
    assert {event["cursor"] for event in delivered(receiver)} == set(made)
    seen = -1
    for event in delivered(receiver):  # in order, but for what a take-over repeats; no event is skipped
        at = made.index(event["cursor"])
        assert at <= seen + 1
        assert at == 0 or event["prev_cursor"] == made[at - 1]
        seen = max(seen, at)
    assert second.running()
    wait_for(lambda: ingest.status("taken")["cursor"] >= made[-1])


def test_a_silent_endpoint_and_a_slow_one_lose_nothing(shared, receiver):
    paused(shared, "silent", receiver, ["silent"], batch={"max_events": 5}, timeout="300ms", max_attempts=1000)
    left = [Answer(hang=True), Answer(delay=0.5), Answer(cut=True)]
    judge(receiver, lambda request: left.pop(0) if left else Answer(delay=0.02))
    publish(shared, "silent", 20)
    resume(shared, "silent")
    wait_for(lambda: status(shared, "silent")["delivered"] == 20)
    receiver.release()
    assert [numbers(request) for request in receiver.requests][:4] == [[0, 1, 2, 3, 4]] * 4
    assert {n for request in receiver.taken for n in numbers(request)} == set(range(20))


def test_limits_out_of_bounds_are_refused_by_name_and_nothing_is_written(shared, receiver):
    ingest = shared.daemons[0]
    for value, field, part in (({"max_events": 0}, "batch.max_events", "1 to 1000"), ({"max_events": 1001}, "batch.max_events", "1 to 1000"),
                               ({"max_bytes": "5MiB"}, "batch.max_bytes", "1KiB to 4MiB"), ({"max_wait": "61s"}, "batch.max_wait", "0s to 60s"),
                               ({"size": 3}, "batch.size", "no field of batch"), (7, "batch", "must be a map")):
        answer = ingest.post(json.dumps({"id": "bounds", "url": receiver.url(), "topics": ["a"], "batch": value}), "/register")
        assert answer.status == 400 and answer.json["field"] == field and part in answer.json["detail"], answer
    assert ingest.get("/ess/subscribers/bounds").status == 404
    path = shared.write("bounds.yml", f"id: bounds\nurl: {receiver.url()}\ntopics: [a]\nsecret: s\nbatch:\n  max_events: 10\n  max_wait: 2m\n")
    shared.allow("bad_subscriber_file")
    line = ingest.wait_line("bad_subscriber_file", file=str(path))
    assert "7: batch.max_wait" in line["reason"], line
    path.unlink()
    assert ingest.get("/ess/subscribers/bounds").status == 404


def test_the_limits_are_shown_and_kept_by_a_put(make):
    subscriber = make(["kept"], batch={"max_events": 20})
    shown = {"max_events": 20, "max_bytes": "1MiB", "max_wait": "0s"}
    assert subscriber.show()["batch"] == shown
    subscriber.replace(description="other")
    assert subscriber.show()["batch"] == shown
    subscriber.replace(batch=None)
    assert "batch" not in subscriber.show()
