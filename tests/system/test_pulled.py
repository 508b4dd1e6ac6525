"""Pulled subscribers: without url and sns. Their consumer asks for the next events and acknowledges them; ESS keeps the position."""
import json
import random
import threading
import time

import pytest

from ess import PATIENCE_S, Answer, wait_for
from test_auth import TOKENS, auth_file, bearer, write_auth
from test_log import delete_events_topic, genesis_of


class Consumer:
    """A pulled subscriber and its consumer. With `topics` it is registered by HTTP; otherwise it exists already."""

    def __init__(self, ingest, topics=None, id=None, headers=None, **fields):
        self.ingest, self.id, self.headers, self.registration = ingest, id, headers, None
        if topics:
            made = ingest.request("POST", "/register", json.dumps({"topics": topics, **({"id": id} if id else {}), **fields}), headers)
            assert made.status == 201, made
            self.registration, self.id = made.json, made.json["id"]

    def ask(self, ingest=None, **parameters):
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return (ingest or self.ingest).request("GET", f"/ess/subscribers/{self.id}/next?{query}", None, self.headers)

    def next(self, ingest=None, **parameters):
        answer = self.ask(ingest, **parameters)
        assert answer.status == 200, answer
        return answer.json

    def cursors(self, ingest=None, **parameters):
        return [event["cursor"] for event in self.next(ingest, **parameters)["events"]]

    def tell(self, body, ingest=None):
        return (ingest or self.ingest).request("POST", f"/ess/subscribers/{self.id}/ack", json.dumps(body), self.headers)

    def ack(self, cursor, ingest=None):
        """The position, by the answer."""
        answer = self.tell({"cursor": cursor}, ingest)
        assert answer.status == 200, answer
        return answer.json["cursor"]

    def command(self, name, body=None):
        return self.ingest.request("POST", f"/ess/subscribers/{self.id}/{name}", json.dumps(body or {}), self.headers)

    def given(self, name, body=None):
        """A command that is in force."""
        answer = self.command(name, body)
        assert answer.status == 202, answer
        wait_for(lambda: self.status()["generation"] >= answer.json["generation"], told=self.status)

    def show(self):
        answer = self.ingest.request("GET", f"/ess/subscribers/{self.id}", None, self.headers)
        assert answer.status == 200, answer
        return answer.json

    def status(self):
        return self.show()["status"]

    def put(self, **fields):
        answer = self.ingest.request("PUT", f"/ess/subscribers/{self.id}", json.dumps(fields), self.headers)
        if answer.status == 202:
            wait_for(lambda: self.status()["generation"] >= answer.json["generation"], told=self.status)
        return answer


@pytest.fixture
def consumer(shared):
    def consumer(topics, **fields):
        return Consumer(shared.daemons[0], topics, **fields)
    return consumer


def checkpoint(ess, id):
    """What ess.tokens has of it, without void checkpoints."""
    found = [json.loads(r.value()) for r in ess.records("tokens") if r.key() == id.encode() and r.value()]
    return found[-1] if found else None


def test_events_come_again_until_they_are_acknowledged(shared, consumer):
    pulled = consumer(["come.a", "come.b"])
    assert pulled.registration["next"] == f"/ess/subscribers/{pulled.id}/next" and "secret" not in pulled.registration
    assert pulled.next() == {"events": [], "cursor": pulled.registration["cursor"], "more": False}
    cursors = [shared.publish(f"come.{'acb'[n % 3]}", n) for n in range(6)]
    wanted = [cursor for n, cursor in enumerate(cursors) if n % 3 != 1]
    for _ in range(2):
        assert wait_for(lambda: pulled.cursors()) == wanted
    page = pulled.next(limit=3)
    assert [event["cursor"] for event in page["events"]] == wanted[:3] and page["more"] and page["cursor"] == wanted[2]
    assert [event["prev_cursor"] for event in page["events"]] == [pulled.registration["cursor"], *wanted[:2]]
    assert pulled.ack(wanted[1]) == wanted[1]
    page = pulled.next()
    assert [(e["cursor"], e["prev_cursor"]) for e in page["events"]] == [(wanted[2], wanted[1]), (wanted[3], wanted[2])]
    assert pulled.ack(page["cursor"]) == page["cursor"]
    assert pulled.cursors() == []
    status = wait_for(lambda: pulled.status()["lag"] == 0 and pulled.status())
    assert status["state"] == "active" and status["cursor"] >= wanted[-1] and status["last_ack"]


def test_the_subscribers_filter_holds(shared, consumer):
    pulled = consumer(["sieve.a"], filter={"data": {"state": ["MD"]}})
    cursors = [shared.publish("sieve.a", {"state": state}) for state in ("VA", "MD", "VA", "MD")]
    assert wait_for(lambda: pulled.cursors()) == cursors[1::2]


def test_an_acknowledgement_never_moves_back_nor_beyond_the_end(shared, consumer):
    pulled = consumer(["bounds.a"])
    cursors = [shared.publish("bounds.a", n) for n in range(3)]
    assert pulled.ack(cursors[1]) == cursors[1]
    assert pulled.ack(cursors[0]) == cursors[1] and pulled.ack(0) == cursors[1]
    records = len(shared.records("subscribers"))
    for body, field in (({"cursor": cursors[2] + 10**6}, "cursor"), ({}, "cursor"), ({"cursor": -1}, "cursor"), ({"cursor": "7"}, "cursor"),
                        ({"cursor": 1.5}, "cursor"), ({"cursor": 1, "id": 2}, "id")):
        answer = pulled.tell(body)
        assert (answer.status, answer.json.get("field")) == (400, field), (body, answer)
    for query in ("limit=0", "limit=10001", "wait=61", "wait=-1", "cursor=1", "topics=a", "limit=1&limit=2"):
        answer = shared.daemons[0].get(f"/ess/subscribers/{pulled.id}/next?{query}")
        assert (answer.status, answer.json["field"]) == (400, query.split("=")[0]), answer
    assert len(shared.records("subscribers")) == records
    assert pulled.cursors() == cursors[2:]


def test_a_call_waits_for_the_first_event(shared, consumer):
    pulled, got = consumer(["waits.a"]), []
    waiting = threading.Thread(target=lambda: got.append(pulled.next(wait=50)))
    began = time.monotonic()
    waiting.start()
    cursor = shared.publish("waits.a", 1)
    waiting.join(PATIENCE_S)
    assert [event["cursor"] for event in got[0]["events"]] == [cursor] and time.monotonic() - began < 45


@pytest.mark.parametrize("what", ["paused", "deleted", "changed"])
def test_no_event_goes_out_of_a_call_that_began_before_a_change(shared, consumer, what):
    pulled, got = consumer([f"change.{what}"]), []
    waiting = threading.Thread(target=lambda: got.append(pulled.ask(wait=55)))
    waiting.start()
    if what == "paused":
        pulled.given("pause")
    elif what == "deleted":
        assert shared.daemons[0].request("DELETE", f"/ess/subscribers/{pulled.id}").status == 202
        wait_for(lambda: shared.daemons[0].get(f"/ess/subscribers/{pulled.id}").status == 404)
    else:
        assert pulled.put(topics=["change.other"]).status == 202
    while waiting.is_alive():  # it may not wait yet at the first of them
        shared.publish(f"change.{what}", 1)
        waiting.join(0.1)
    answer = got[0]
    assert answer.status == {"paused": 409, "deleted": 404, "changed": 200}[what], answer
    assert what != "changed" or answer.json["events"] == []


def test_a_call_that_began_before_new_topics_does_not_pass_their_events(shared, consumer):
    """Its time is over before it finds anything, and the consumer acknowledges its cursor."""
    pulled, got = consumer(["over.a"]), []
    waiting = threading.Thread(target=lambda: got.append(pulled.next(wait=12)))
    waiting.start()
    wait_for(lambda: shared.daemons[0].metrics().get("ess_readers", 0) or not waiting.is_alive())
    assert pulled.put(topics=["over.a", "over.b"]).status == 202
    cursor = shared.publish("over.b", 1)
    waiting.join(PATIENCE_S)
    assert got[0]["events"] == [] and pulled.ack(got[0]["cursor"]) < cursor
    assert pulled.cursors() == [cursor]


@pytest.mark.parametrize("finds", [True, False])
def test_a_call_that_began_before_a_rewind_does_not_undo_it(shared, consumer, finds):
    pulled, got = consumer([f"undo.{finds}"]), []
    cursors = [shared.publish(f"undo.{finds}", n) for n in range(3)]
    pulled.ack(cursors[2])
    waiting = threading.Thread(target=lambda: got.append(pulled.next(wait=50 if finds else 12)))
    waiting.start()
    wait_for(lambda: shared.daemons[0].metrics().get("ess_readers", 0) or not waiting.is_alive())
    pulled.given("rewind", {"cursor": cursors[0]})
    while waiting.is_alive():
        if finds:
            cursors.append(shared.publish(f"undo.{finds}", 1))
        waiting.join(0.2)
    pulled.ack(got[0]["cursor"])
    assert wait_for(lambda: pulled.cursors()[:2]) == cursors[1:3]


def test_what_it_no_longer_wants_is_no_lag(shared, consumer):
    pulled = consumer(["left.a"])
    shared.publish("left.a", 1)
    wait_for(lambda: pulled.status().get("waiting_since"))
    assert pulled.put(topics=["left.b"]).status == 202
    wait_for(lambda: pulled.status()["lag"] == 0, told=pulled.status)
    cursor = shared.publish("left.b", 1)
    assert wait_for(lambda: pulled.cursors()) == [cursor]
    wait_for(lambda: pulled.status().get("waiting_since"))


def test_a_paused_one_gives_nothing_and_takes_acknowledgements(shared, consumer):
    pulled = consumer(["paused.a"])
    cursors = [shared.publish("paused.a", n) for n in range(3)]
    pulled.given("pause")
    answer = pulled.ask()
    assert answer.status == 409 and "paused" in answer.json["detail"]
    assert pulled.ack(cursors[1]) == cursors[1]
    assert pulled.status()["state"] == "paused"
    pulled.given("resume")
    assert pulled.cursors() == cursors[2:]


def test_a_rewind_gives_events_again_and_later_acknowledgements_count(shared, consumer):
    pulled = consumer(["back.a"])
    cursors = [shared.publish("back.a", n) for n in range(5)]
    pulled.ack(cursors[3])
    pulled.given("rewind", {"cursor": cursors[0]})
    assert pulled.status()["cursor"] == cursors[0]
    assert pulled.cursors() == cursors[1:]
    assert pulled.ack(cursors[1]) == cursors[1]
    assert pulled.cursors() == cursors[2:]
    pulled.given("rewind", {"cursor": cursors[3]})
    assert pulled.cursors() == cursors[4:]
    pulled.given("rewind", {"cursor": cursors[0]})
    wait_for(lambda: checkpoint(shared, pulled.id)["rewinds"] == 3)
    assert pulled.cursors() == cursors[1:]


def test_what_needs_an_endpoint_is_refused(shared, consumer, make):
    pulled = consumer(["refused.a"])
    for name, body in (("test", {}), ("replay", {"from": 0}), ("redrive", {}), ("skip", {}), ("rotate", {})):
        answer = pulled.command(name, body)
        assert answer.status == 409 and "pulled" in answer.json["detail"], (name, answer)
    pushed = make(["refused.a"])
    ask = f"/ess/subscribers/{pushed.id}"
    assert shared.daemons[0].get(f"{ask}/next").status == 409
    assert shared.daemons[0].request("POST", f"{ask}/ack", '{"cursor":0}').status == 409
    assert shared.daemons[0].get("/ess/subscribers/nobody/next").status == 404
    assert shared.daemons[0].request("POST", "/ess/subscribers/nobody/ack", '{"cursor":0}').status == 404


def test_the_checkpoint_and_the_lag_follow(shared, consumer):
    pulled = consumer(["follow.a"])
    cursors = [shared.publish("follow.a", n) for n in range(4)]
    name = f'{{subscriber="{pulled.id}"}}'
    wait_for(lambda: shared.daemons[1].metrics().get(f"ess_subscriber_lag_events{name}", 0) >= 4)
    wait_for(lambda: shared.daemons[1].metrics()[f"ess_subscriber_lag_seconds{name}"] > 0)
    assert pulled.status()["lag"] >= 4 and wait_for(lambda: pulled.status().get("waiting_since"))
    pulled.ack(cursors[2])
    found = wait_for(lambda: (checkpoint(shared, pulled.id) or {}).get("last") == cursors[2] and checkpoint(shared, pulled.id))
    assert found["position"] == cursors[2] and int(found["last_id_hash"], 16) and not found["waiting"]
    pulled.ack(cursors[3])
    wait_for(lambda: shared.daemons[1].metrics()[f"ess_subscriber_lag_events{name}"] == 0)
    wait_for(lambda: (checkpoint(shared, pulled.id) or {}).get("waiting"))
    assert shared.daemons[1].metrics()["ess_stuck_lanes"] == 0


def test_a_pulled_one_becomes_a_pushed_one_and_back_at_its_position(shared, consumer):
    pulled, receiver = consumer(["turns.a"]), shared.receiver()
    cursors = [shared.publish("turns.a", n) for n in range(4)]
    pulled.ack(cursors[1])
    answer = pulled.put(topics=["turns.a"], url=receiver.url())
    assert (answer.status, answer.json["field"]) == (400, "secret")
    assert pulled.put(topics=["turns.a"], url=receiver.url(), secret="s3cr3t").status == 202
    receiver.wait(2)
    assert receiver.cursors() == cursors[2:]
    assert pulled.ask().status == 409 and pulled.tell({"cursor": cursors[3]}).status == 409
    wait_for(lambda: pulled.status()["cursor"] >= cursors[3])
    receiver.answer = lambda request: Answer(hang=True)
    cursors.append(shared.publish("turns.a", 4))
    receiver.wait(3)
    assert pulled.put(topics=["turns.a"]).status == 202
    assert wait_for(lambda: pulled.cursors()) == cursors[4:]
    receiver.release()
    assert pulled.ack(cursors[4]) == cursors[4]
    wait_for(lambda: pulled.status()["lag"] == 0, told=pulled.status)
    cursors.append(shared.publish("turns.a", 5))
    assert wait_for(lambda: pulled.cursors()) == cursors[5:]
    assert receiver.cursors() == cursors[2:5]


def test_a_file_may_define_one_and_give_it_an_endpoint(ess):
    ingest, receiver = ess.ingest(), ess.receiver()
    ess.dispatcher()
    ess.write("filed.yml", "id: filed\ntopics: [filed.a]\nfrom: beginning\n")
    wait_for(lambda: ingest.get("/ess/subscribers/filed").status == 200)
    pulled = Consumer(ingest, id="filed")
    cursors = [ess.publish("filed.a", n) for n in range(3)]
    assert wait_for(lambda: pulled.cursors()) == cursors and pulled.ack(cursors[0]) == cursors[0]
    ingest.restart()
    records = len(ess.records("subscribers"))
    assert pulled.cursors() == cursors[1:]
    ess.subscribe("filed", receiver, ["filed.a"])
    receiver.wait(2)
    assert receiver.cursors() == cursors[1:]
    assert len(ess.records("subscribers")) == records + 2  # keys and spec: nothing was written again at the restart
    ess.allow("bad_subscriber_file")
    ess.write("filed.yml", "id: filed\ntopics: [filed.a]\nthrottle: 5\n")
    assert "filed.yml:3: throttle: needs an endpoint" in ingest.wait_line("bad_subscriber_file")["reason"]


def test_without_a_dispatcher_everything_but_a_rewind_works(ess):
    ingest = ess.ingest()
    other = ess.ingest()
    pulled = Consumer(ingest, ["alone.a"])
    cursors = [ess.publish("alone.a", n) for n in range(4)]
    assert pulled.ack(cursors[1]) == cursors[1]
    assert pulled.cursors() == cursors[2:]
    wait_for(lambda: pulled.cursors(other) == cursors[2:])
    assert pulled.ack(cursors[0], other) == cursors[1]
    for daemon in (ingest, other):
        daemon.kill9()
    ingest.start()
    assert pulled.cursors() == cursors[2:]
    assert pulled.status()["cursor"] == cursors[1]
    dispatcher = ess.dispatcher()
    dispatcher.wait_line("subscriber_started", subscriber=pulled.id)
    wait_for(lambda: (checkpoint(ess, pulled.id) or {}).get("position") == cursors[1])
    assert pulled.cursors() == cursors[2:]


def test_its_lane_takes_no_delivery_slot_and_needs_none(ess):
    ingest, receiver = ess.ingest(), ess.receiver()
    dispatcher = ess.dispatcher({"dispatcher.max_connections": 1})
    receiver.answer = lambda request: Answer(hang=True)
    hung = ingest.request("POST", "/register", json.dumps({"id": "hung", "url": receiver.url(), "topics": ["slots.b"], "timeout": "5m"}))
    assert hung.status == 201
    many = [Consumer(ingest, ["slots.a"]) for _ in range(3)]
    dispatcher.wait_line("subscriber_started", subscriber="hung")
    ess.publish("slots.b", 1)
    receiver.wait(1)
    cursor = ess.publish("slots.a", 1)
    for pulled in many:
        assert pulled.ack(cursor) == cursor
        wait_for(lambda: (checkpoint(ess, pulled.id) or {}).get("last") == cursor)
    assert dispatcher.metrics()["ess_in_flight"] == 1
    receiver.release()


def test_two_consumers_get_the_same_and_the_higher_acknowledgement_counts(shared, consumer):
    pulled = consumer(["two.a"])
    cursors = [shared.publish("two.a", n) for n in range(40)]
    assert pulled.cursors() == pulled.cursors() == cursors
    answers = []

    def acknowledge(some):
        for cursor in some:
            answers.append((cursor, pulled.ack(cursor)))
    consumers = [threading.Thread(target=acknowledge, args=(cursors[n::4],)) for n in range(4)]
    for thread in consumers:
        thread.start()
    for thread in consumers:
        thread.join(PATIENCE_S)
    assert len(answers) == 40 and all(position >= cursor for cursor, position in answers)
    assert pulled.cursors() == []


def test_whoever_may_command_it_may_consume_it(ess):
    ingest = ess.ingest({"auth.file": write_auth(ess, auth_file(TOKENS))})
    pulled = Consumer(ingest, ["drug.copay"], headers=bearer("vendor"))
    other = Consumer(ingest, ["drug.copay"], headers=bearer("admin"))
    cursor = ingest.request("POST", "/ess/publish", '{"topic":"drug.copay","data":1}', bearer("admin")).json["cursor"]
    own, others = ({"Authorization": f"Bearer {one.registration['token']}"} for one in (pulled, other))
    for headers in (own, bearer("vendor"), bearer("admin")):
        pulled.headers = headers
        assert wait_for(lambda: pulled.cursors()) == [cursor]
    for headers, status in ((others, 404), (bearer("clinic"), 404), (bearer("reader"), 403), ({}, 401)):
        pulled.headers = headers
        assert pulled.ask().status == status and pulled.tell({"cursor": cursor}).status == status, headers
    pulled.headers = own
    assert pulled.ack(cursor) == cursor and pulled.cursors() == []


def test_no_acknowledgement_is_lost_whatever_is_killed(ess):
    """The consumer goes on as a careful one does: at an error it asks again. What it has acknowledged never comes again for long, and
    nothing is left out."""
    ingests = [ess.ingest(), ess.ingest()]
    dispatchers = [ess.dispatcher(), ess.dispatcher()]
    pulled = Consumer(ingests[0], ["kill.a"], id="kill")
    published, got, acknowledged, done = [], [], [0], threading.Event()

    def alive(call):
        while True:
            try:
                answer = call(random.choice(ingests))
                if answer.status != 503:
                    return answer
            except OSError:
                pass
            time.sleep(0.02)

    def consume():
        while not done.is_set() or len(set(got)) < len(published):
            answer = alive(lambda ingest: pulled.ask(ingest, limit=random.randint(1, 20), wait=1))
            if answer.status == 404:  # it has not read the registration yet
                continue
            assert answer.status == 200, answer
            for event in answer.json["events"]:
                assert event["prev_cursor"] <= max(got, default=event["prev_cursor"]), "a gap"
                got.append(event["cursor"])
            if answer.json["events"]:
                last = answer.json["events"][-1]["cursor"]
                answer = alive(lambda ingest: pulled.tell({"cursor": last}, ingest))
                if answer.status == 200:
                    acknowledged[0] = max(acknowledged[0], last)

    consumer = threading.Thread(target=consume)
    consumer.start()
    random.seed(7)
    for n in range(5):
        for _ in range(20):
            published.append(ess.publish("kill.a", n, ingest=ingests[1]))
        victims = [ingests[0], random.choice(dispatchers)] if n % 3 else [ingests[0], *dispatchers]
        for victim in victims:
            victim.kill9()
        for victim in victims:
            victim.start(ready=False)
        for victim in victims:
            victim.wait_ready()
    done.set()
    consumer.join(PATIENCE_S)
    assert not consumer.is_alive()
    assert sorted(set(got)) == published and acknowledged[0] == published[-1]
    for daemon in (*ingests, *dispatchers):
        daemon.kill9()
    ingests[0].start()
    assert pulled.cursors() == [] and pulled.status()["cursor"] >= published[-1]
    dispatchers[0].start()
    wait_for(lambda: (checkpoint(ess, "kill") or {}).get("position", 0) >= published[-1])
    ess.publish("kill.a", "after", ingest=ingests[0])
    assert len(pulled.cursors()) == 1


def test_a_log_made_again_disables_it_and_makes_old_acknowledgements_void(ess):
    ess.allow("start_over")
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    pulled = Consumer(ingest, ["again.a"])
    cursors = [ess.publish("again.a", n) for n in range(5)]
    pulled.ack(cursors[3])
    wait_for(lambda: (checkpoint(ess, pulled.id) or {}).get("position") == cursors[3])
    feed = genesis_of(ess)
    delete_events_topic(ess)
    ingest.wait_line("start_over")
    dispatcher.wait_line("start_over")
    wait_for(lambda: ingest.get("/readyz").status == 200)
    answer = wait_for(lambda: pulled.ask().status == 409 and pulled.tell({"cursor": 0}))
    assert answer.status == 409
    wait_for(lambda: pulled.status().get("reason", "").startswith("log went back"), told=pulled.status)
    assert genesis_of(ess) != feed and pulled.ask().status == 409
    cursors = [ess.publish("again.a", n) for n in range(6)]
    pulled.given("resume")
    assert pulled.cursors() == cursors
    assert pulled.ack(cursors[1]) == cursors[1] and pulled.cursors() == cursors[2:]
    wait_for(lambda: checkpoint(ess, pulled.id)["position"] == cursors[1])
