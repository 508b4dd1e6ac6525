"""Subscribers with `adaptive`: the rate of an endpoint that takes so much and refuses the rest is found, and kept."""
import threading
import time

from ess import Answer, Subscriber, wait_for

LIMIT = 7


def takes(receiver, limit, status):
    """The endpoint takes `limit` events in any second; returns the times of those that it took."""
    taken, lock = [], threading.Lock()

    def answer(request):
        with lock:
            if len(taken) >= limit and request.at - taken[-limit] < 1:
                return Answer(status)
            taken.append(request.at)
            return Answer()
    receiver.answer = answer
    return taken


def rate_of(taken, seconds=15):
    return sum(at > time.monotonic() - seconds for at in taken) / seconds


def settled(taken, seconds=15):
    return taken and time.monotonic() - taken[0] > seconds and 6 <= rate_of(taken, seconds) <= LIMIT + 0.1


def publish(ess, topic, count):
    for begin in range(0, count, 500):
        answer = ess.daemons[0].post("[%s]" % ",".join('{"topic":"%s","data":%d}' % (topic, n) for n in range(begin, min(begin + 500, count))))
        assert answer.status == 201, answer


def test_an_endpoint_of_7_a_second_gets_6_to_7_and_loses_no_event_to_its_429s(ess):
    ess.ingest()
    dispatcher = ess.dispatcher()
    made = []
    for fields, status in (({}, 429), ({"throttle": 100}, 503), ({"ordering": "none"}, 429)):
        receiver = ess.receiver()
        made.append((Subscriber(ess.daemons[0], receiver, ["pace.a"], adaptive=True, max_attempts=2, **fields), takes(receiver, LIMIT, status)))
    publish(ess, "pace.a", 1500)
    for subscriber, taken in made:
        wait_for(lambda: settled(taken), 180, lambda: (rate_of(taken), subscriber.status()))
        status = subscriber.status()
        assert status["dead_lettered"] == 0 and 5 <= status["rate"] <= 9, status
    dispatcher.kill9()
    ess.dispatcher()
    for subscriber, taken in made:
        refused = len(subscriber.receiver.requests) - len(taken)
        began = len(taken)
        wait_for(lambda: len(taken) >= began + 20)
        assert len(subscriber.receiver.requests) - len(taken) - refused <= 10  # the rate was not looked for anew
        assert 5 <= subscriber.status()["rate"] <= 9 and subscriber.status()["dead_lettered"] == 0
