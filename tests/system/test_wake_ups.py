"""No lane stands still for good: whoever ends an attempt or gives a place back wakes those who wait for it."""

import pytest

from badends import BadEnd
from ess import Answer, Subscriber, wait_for


def register(ess, receiver, topics, **fields):
    subscriber = Subscriber(ess.daemons[0], receiver, topics, **fields)
    wait_for(lambda: ess.daemons[1].lines("subscriber_started", subscriber=subscriber.id))
    return subscriber


@pytest.fixture
def services(ess):
    ess.ingest()
    ess.dispatcher()
    return ess


def test_a_replay_and_live_events_that_share_a_slow_throttle_both_arrive(services):
    receiver = services.receiver()
    receiver.answer = lambda request: Answer(delay=0.3)
    subscriber = register(services, receiver, ["a"], throttle=1)
    old = [services.publish("a", n) for n in range(6)]
    receiver.wait(6)
    subscriber.give("replay", {"from": 0, "to": old[-1]})
    live = [services.publish("a", n) for n in range(10)]
    receiver.wait(22)
    replayed = [request.cursor for request in receiver.requests if "X-ESS-Replay" in request.headers]
    assert replayed == old
    assert [request.cursor for request in receiver.requests if "X-ESS-Replay" not in request.headers] == old + live


def test_a_slow_job_that_holds_all_slots_of_the_throttle_does_not_stop_the_live_lane(services):
    receiver = services.receiver()
    receiver.answer = lambda request: Answer(delay=2.5 if "X-ESS-Replay" in request.headers else 0)
    subscriber = register(services, receiver, ["a"], throttle=5, ordering="none", max_in_flight=10)
    old = [services.publish("a", n) for n in range(10)]
    receiver.wait(10)
    subscriber.give("replay", {"from": 0, "to": old[-1]})
    wait_for(lambda: any("X-ESS-Replay" in request.headers for request in receiver.requests))
    live = [services.publish("a", n) for n in range(15)]
    wait_for(lambda: set(live) <= set(receiver.cursors()))
    wait_for(lambda: sum("X-ESS-Replay" in request.headers for request in receiver.requests) == 10)


def test_a_slow_test_delivery_that_holds_the_throttle_does_not_stop_the_live_lane(services):
    receiver = services.receiver()
    receiver.answer = lambda request: Answer(delay=2 if "X-ESS-Cursor" not in request.headers else 0)
    subscriber = register(services, receiver, ["a"], throttle=1)
    subscriber.give("test")
    receiver.wait(1)
    cursor = services.publish("a", 1)
    wait_for(lambda: any(request.headers["X-ESS-Cursor"] == str(cursor) for request in receiver.requests))


def hang(ess, subscribers=1, max_in_flight=8):
    """Subscribers whose attempts all hang and hold every place that they can get."""
    end = BadEnd(ess.ca.certificate(), "says_nothing_to_a_request")
    for n in range(subscribers):
        answer = ess.daemons[0].post(f'{{"id":"hung-{n}","url":"{end.url}","topics":["hung"],"ordering":"none","max_in_flight":{max_in_flight},'
                                     '"timeout":"5m"}', "/register")
        assert answer.status == 201, answer
        wait_for(lambda: ess.daemons[1].lines("subscriber_started", subscriber=f"hung-{n}"))
    for n in range(max_in_flight):
        ess.publish("hung", n)
    return end


@pytest.mark.parametrize("way", ["delete", "rewind"])
def test_ending_what_holds_all_places_serves_those_who_wait(ess, way):
    """The hung ones have five minutes of patience: only their end gives places back."""
    ingest = ess.ingest()
    dispatcher = ess.dispatcher({"dispatcher.max_connections": 4})
    end = hang(ess, subscribers=8)
    wait_for(lambda: dispatcher.metrics()["ess_in_flight"] == 4)
    healthy = ess.receiver()
    ess.subscribe("healthy", healthy, ["a"])
    cursor = ess.publish("a", 1)
    at_end = ess.publish("b", 1)
    for n in range(8):
        answer = (ingest.request("DELETE", f"/ess/subscribers/hung-{n}") if way == "delete" else
                  ingest.post("", f"/ess/subscribers/hung-{n}/pause"))
        assert answer.status in (202, 204), answer
    for n in range(8 if way == "rewind" else 0):
        assert ingest.post(f'{{"cursor":{at_end}}}', f"/ess/subscribers/hung-{n}/rewind").status == 202
    assert healthy.wait(1)[0].cursor == cursor
    end.stop()


def test_one_hung_subscriber_leaves_a_quarter_of_the_places_to_the_others(ess):
    ess.ingest()
    dispatcher = ess.dispatcher({"dispatcher.max_connections": 8})
    end = hang(ess, max_in_flight=100)
    wait_for(lambda: dispatcher.metrics()["ess_in_flight"] == 6)
    healthy = ess.receiver()
    ess.subscribe("healthy", healthy, ["a"])
    for n in range(20):
        ess.publish("a", n)
    healthy.wait(20)
    assert dispatcher.metrics()["ess_in_flight"] >= 6
    end.stop()


def test_more_hung_subscribers_than_places_share_a_quarter_of_them(ess):
    """Once they have hung, most places are the others'."""
    ess.ingest()
    dispatcher = ess.dispatcher({"dispatcher.max_connections": 8, "delivery.timeout": "2s"})
    end = BadEnd(ess.ca.certificate(), "says_nothing_to_a_request")
    for n in range(30):
        ess.subscribe(f"hung-{n}", end.url, ["hung"], wait=False, backoff_min="10ms", backoff_max="10ms", max_attempts=1000)
    wait_for(lambda: len(dispatcher.lines("subscriber_started")) == 30)
    ess.publish("hung", 1)
    wait_for(lambda: len({line["subscriber"] for line in dispatcher.lines("delivery_failed")}) == 30)
    healthy = ess.receiver()
    ess.subscribe("healthy", healthy, ["a"])
    for n in range(50):
        ess.publish("a", n)
        assert dispatcher.metrics()["ess_in_flight"] <= 3
    healthy.wait(50)
    end.stop()


def test_a_test_delivery_takes_a_place_like_any_other(ess):
    ingest = ess.ingest()
    dispatcher = ess.dispatcher({"dispatcher.max_connections": 8})
    receiver = ess.receiver()
    receiver.answer = lambda request: Answer(hang=True)
    subscriber = register(ess, receiver, ["a"])
    subscriber.give("test")
    receiver.wait(1)
    assert dispatcher.metrics()["ess_in_flight"] == 1
    receiver.release()
    wait_for(lambda: dispatcher.metrics()["ess_in_flight"] == 0)
