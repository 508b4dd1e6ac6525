"""Strict, by key, or none: what is sent at once, what waits for what, and what is sent again by a successor."""
import collections
import threading
import time

from ess import Answer, wait_for


class Gauge:
    """An answer that takes a while, and how many were under way at once: in all, and of each key."""

    def __init__(self, receiver, delay=0.05):
        self.most, self.now, self.delay = collections.Counter(), collections.Counter(), delay
        self.lock = threading.Lock()
        take = receiver.take

        def measured(request):
            keys = ("all", request.json.get("key"))
            with self.lock:
                for key in keys:
                    self.now[key] += 1
                    self.most[key] = max(self.most[key], self.now[key])
            time.sleep(self.delay)
            answer = take(request)
            with self.lock:
                for key in keys:
                    self.now[key] -= 1
            return answer

        receiver.take = measured


def test_without_order_many_are_in_flight_and_one_that_fails_holds_up_nothing(shared):
    receiver = shared.receiver()
    gauge = Gauge(receiver)
    others = lambda: {request.cursor for request in receiver.requests if request.json["data"] != 0}
    receiver.answer = lambda request: Answer(503 if request.json["data"] == 0 and len(others()) < 39 else 200)
    shared.subscribe("unordered", receiver, ["unordered.a"], ordering="none", max_in_flight=8, backoff_min="100ms", backoff_max="200ms",
                     max_attempts=1000)
    cursors = [shared.publish("unordered.a", n) for n in range(40)]
    wait_for(lambda: len(others()) == 39)
    wait_for(lambda: receiver.requests[-1].cursor == cursors[0])
    assert 2 <= gauge.most["all"] <= 8
    for request in receiver.requests:
        if request.cursor != cursors[0]:
            assert request.json["prev_cursor"] == cursors[cursors.index(request.cursor) - 1]


def test_by_key_each_keys_events_come_in_order_while_others_go_on(shared):
    receiver = shared.receiver()
    gauge = Gauge(receiver, 0.02)
    receiver.answer = lambda request: Answer(503 if request.json["data"] % 7 == 0 and request.headers["X-ESS-Attempt"] == "1" else 200)
    shared.subscribe("keyed", receiver, ["keyed.a"], ordering="key", max_in_flight=16, backoff_min="100ms", backoff_max="200ms")
    keys = {shared.publish("keyed.a", n, key=f"key-{n % 5}"): f"key-{n % 5}" for n in range(1, 101)}
    wait_for(lambda: len({request.cursor for request in receiver.requests if request.headers["X-ESS-Attempt"] != "1"}) == 14)
    wait_for(lambda: len(receiver.requests) == 114)
    assert gauge.most["all"] > 1
    assert all(gauge.most[f"key-{k}"] == 1 for k in range(5))
    for key in set(keys.values()):
        settled = []
        for request in receiver.requests:
            if keys[request.cursor] == key and (request.json["data"] % 7 or request.headers["X-ESS-Attempt"] != "1"):
                settled.append(request.cursor)
        assert settled == sorted(settled)


def test_after_a_kill_only_what_was_in_flight_or_settled_in_the_last_second_is_sent_again(ess):
    ess.ingest()
    dispatcher = ess.dispatcher()
    receiver = ess.receiver()
    stuck = threading.Event()
    receiver.answer = lambda request: Answer(503 if request.json["data"] == 0 and not stuck.is_set() else 200)
    ess.subscribe("unordered", receiver, ["a"], ordering="none", max_in_flight=8, backoff_min="300ms", backoff_max="500ms", max_attempts=1000)
    cursors = [ess.publish("a", n) for n in range(200)]
    wait_for(lambda: len(set(receiver.cursors())) == 200)
    # Its token says which are settled above the one that is not: wait until it was written.
    wait_for(lambda: any(b'"settled":[[%d,%d]]' % (cursors[1], cursors[-1]) in (value or b"") for value in tokens(ess, "unordered")))
    dispatcher.kill9()
    before = len(receiver.requests)
    stuck.set()
    dispatcher.start()
    wait_for(lambda: any(request.cursor == cursors[0] for request in receiver.requests[before:]))
    last = ess.publish("a", "last")
    wait_for(lambda: last in receiver.cursors())
    assert set(receiver.cursors()[before:]) == {cursors[0], last}


def tokens(ess, id):
    return [record.value() for record in ess.records("tokens") if record.key() == id.encode()]


def test_a_change_of_ordering_takes_hold_of_a_running_lane(shared):
    receiver = shared.receiver()
    gauge = Gauge(receiver, 0.02)
    shared.subscribe("changing", receiver, ["changing.a"])
    for n in range(10):
        shared.publish("changing.a", n)
    receiver.wait(10)
    assert gauge.most["all"] == 1
    shared.subscribe("changing", receiver, ["changing.a"], ordering="none", max_in_flight=4)
    for n in range(40):
        shared.publish("changing.a", n)
    receiver.wait(50)
    assert 1 < gauge.most["all"] <= 4
    assert len(set(receiver.cursors())) == 50
