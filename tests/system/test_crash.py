"""kill -9 of any part: nothing that was acknowledged is lost, and what is sent again is what was sent."""
import collections
import http.client
import json
import threading
import time

import pytest

from ess import Answer, wait_for

EVENTS, PUBLISHERS = 2000, 4


class Publisher(threading.Thread):
    """Publishes its events one after the other; each is sent, with its id, until it is acknowledged."""

    def __init__(self, ingest, numbers):
        super().__init__(daemon=True)
        self.ingest, self.numbers, self.acknowledged, self.stopped = ingest, numbers, {}, False
        self.start()

    def run(self):
        for n in self.numbers:
            body = json.dumps({"topic": "crash.a", "data": {"n": n}, "id": f"crash-{n}"})
            while f"crash-{n}" not in self.acknowledged and not self.stopped:
                try:
                    response = self.ingest.post(body)
                    if response.status in (200, 201):
                        self.acknowledged[f"crash-{n}"] = response.json["cursor"]
                        continue
                    assert response.status == 503, response
                except (OSError, http.client.HTTPException):
                    pass  # it was killed, or is not back yet
                time.sleep(0.05)

    def stop(self):
        self.stopped = True
        self.join(60)


def everything(ingest, topics):
    """The log's events, by cursor."""
    found, page = {}, {"cursor": 0, "more": True}
    while page["more"]:
        page = ingest.replay(page["cursor"], topics=topics, limit=1000).json
        found |= {event["cursor"]: event for event in page["events"]}
    return found


@pytest.mark.timeout(240)
def test_kill_9_of_ingest_dispatcher_and_broker_in_the_middle_of_2000_events(ess_on_own_broker, own_broker):
    own_broker.start()
    ess, receiver = ess_on_own_broker, ess_on_own_broker.receiver()
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    ess.subscribe("s", receiver, ["crash.*"], backoff_min="50ms", backoff_max="200ms")
    publishers = [Publisher(ingest, range(n, EVENTS, PUBLISHERS)) for n in range(PUBLISHERS)]

    def acknowledged():
        return {id: cursor for publisher in publishers for id, cursor in list(publisher.acknowledged.items())}

    for victim, after in ((ingest, 400), (dispatcher, 900), (own_broker, 1400)):
        wait_for(lambda: len(acknowledged()) >= after, timeout=120)
        assert len(acknowledged()) < EVENTS  # it was in the middle
        victim.kill9()
        victim.start() if victim is own_broker else victim.start(ready=False)
    for publisher in publishers:
        publisher.join(120)
    sent = acknowledged()
    assert len(sent) == EVENTS
    wait_for(lambda: set(sent.values()) <= set(receiver.cursors()), timeout=120, told=lambda: f"{len(set(receiver.cursors()))} of {EVENTS} came")

    ingest.wait_ready()
    log = everything(ingest, "crash.*")
    assert all(log[cursor]["id"] == id for id, cursor in sent.items())
    receipts = collections.defaultdict(list)
    for request in receiver.requests:
        receipts[request.cursor].append(request)
    assert list(receipts) == sorted(receipts)  # first receipts in order
    for cursor, requests in receipts.items():
        assert len({(r.headers["webhook-id"], r.body) for r in requests}) == 1
        assert requests[0].headers["webhook-id"] == log[cursor]["id"]
    cursors = sorted(log)
    assert list(receipts) == cursors[:len(receipts)]
    assert [receipts[c][0].json["prev_cursor"] for c in receipts][1:] == list(receipts)[:-1]


def token_position(ess, subscriber):
    """Its settled position, as a dispatcher would take it over now."""
    tokens = [m for m in ess.records("tokens") if m.key() == subscriber.encode() and m.value()]
    return json.loads(tokens[-1].value())["position"] if tokens else -1


def test_after_kill_9_nothing_is_sent_again_that_was_settled_a_second_before(ess):
    receiver = ess.receiver()
    ess.ingest()
    dispatcher = ess.dispatcher()
    ess.subscribe("s", receiver, ["a"])
    cursors = [ess.publish("a", n) for n in range(20)]
    receiver.wait(20)
    wait_for(lambda: token_position(ess, "s") == cursors[-1])
    dispatcher.kill9()
    cursors.append(ess.publish("a", "while it was away"))
    dispatcher.start(ready=False)
    receiver.wait(21)
    cursors.append(ess.publish("a", "after"))
    receiver.wait(22)
    assert receiver.cursors() == cursors
    assert receiver.requests[20].json["prev_cursor"] == cursors[19]


def test_what_was_in_flight_at_kill_9_is_sent_again_with_the_same_bytes(ess):
    receiver = ess.receiver()
    ess.ingest()
    dispatcher = ess.dispatcher()
    ess.subscribe("s", receiver, ["a"])
    receiver.answers(Answer(hang=True))
    cursor = ess.publish("a", 1)
    receiver.wait(1)
    dispatcher.kill9()
    receiver.release()
    dispatcher.start(ready=False)
    first, second = receiver.wait(2)
    assert first.cursor == second.cursor == cursor and first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_an_ingest_that_was_killed_answers_for_nothing_that_is_not_in_the_log(ess):
    """Kill -9 with many publishes under way: what was answered with 201 is there, whatever became of the rest."""
    ingest = ess.ingest()
    publishers = [Publisher(ingest, range(n, 10**6, 8)) for n in range(8)]
    wait_for(lambda: sum(len(p.acknowledged) for p in publishers) >= 200)
    ingest.kill9()
    for publisher in publishers:
        publisher.stop()
    sent = {id: cursor for publisher in publishers for id, cursor in publisher.acknowledged.items()}
    ingest.start()
    log = everything(ingest, "crash.*")
    assert all(log[cursor]["id"] == id for id, cursor in sent.items())
