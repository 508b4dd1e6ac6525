"""What a subscriber stands or falls by beside its events: the handshake of its endpoint, heartbeats, and the end of its time."""
import json
import time

import pytest
import standardwebhooks

from ess import Answer, Subscriber, wait_for


def is_handshake(request):
    return "X-ESS-Handshake" in request.headers


def is_heartbeat(request):
    return "heartbeat" in request.json


def handshakes(receiver):
    return [request for request in receiver.requests if is_handshake(request)]


def heartbeats(receiver):
    return [request for request in receiver.requests if is_heartbeat(request)]


def events(receiver):
    return [request for request in receiver.requests if not is_handshake(request) and not is_heartbeat(request)]


def cursors(receiver):
    return [request.cursor for request in events(receiver)]


def verify(subscriber, request):
    assert standardwebhooks.Webhook(subscriber.registration["whsec"]).verify(request.body, dict(request.headers)) == request.json


def refuses(receiver, status=503):
    """Answers handshakes with `status`, and events with 200: a test sees those that come too early."""
    receiver.answer = lambda request: Answer(status if is_handshake(request) else 200)


QUICK = {"backoff_min": "50ms", "backoff_max": "200ms"}


@pytest.fixture
def receiver(shared):
    return shared.receiver()


def register(shared, receiver, topics, **fields):
    return Subscriber(shared.daemons[0], receiver, topics, **{**QUICK, **fields})


def wait_state(subscriber, state):
    return wait_for(lambda: subscriber.status()["state"] == state and subscriber.status(), told=subscriber.status)


# --- handshake


def test_an_endpoint_gets_its_handshake_and_nothing_else_until_it_answers(shared, receiver):
    refuses(receiver)
    first = shared.publish("shake.a", 0)
    subscriber = register(shared, receiver, ["shake.a"], handshake=True)
    published = [shared.publish("shake.a", n) for n in range(1, 4)]
    status = wait_state(subscriber, "pending")
    subscriber.give("test")
    subscriber.call("replay", {"from": first - 1, "to": first})
    subscriber.call("redrive", {})
    subscriber.call("resume")
    subscriber.call("rewind", {"cursor": first})
    wait_for(lambda: len(handshakes(receiver)) > 5)
    status = wait_for(lambda: subscriber.status().get("last_error") and subscriber.status())
    assert (status["state"], status["last_error"]) == ("pending", "status 503") and status["lag"] > 0
    assert "handshake" in status["reason"] and [job["state"] for job in status["jobs"]] == ["pending"]
    assert not events(receiver)
    asked = handshakes(receiver)
    assert len({request.headers["X-ESS-Handshake"] for request in asked}) == 1
    for request in asked:
        verify(subscriber, request)
        assert request.json == {"handshake": request.headers["X-ESS-Handshake"], "subscriber": subscriber.id}
        assert "X-ESS-Topic" not in request.headers and "X-ESS-Cursor" not in request.headers
    assert asked[0].headers["X-ESS-Attempt"] == "1" and "2" in [request.headers["X-ESS-Attempt"] for request in asked]
    receiver.answer = lambda request: Answer()
    wait_for(lambda: len(events(receiver)) >= 5)
    wait_state(subscriber, "active")
    live = [request for request in events(receiver) if "X-ESS-Cursor" in request.headers and "X-ESS-Replay" not in request.headers]
    assert [request.cursor for request in live] == published and live[0].json["prev_cursor"] == first
    assert [request.cursor for request in events(receiver) if "X-ESS-Replay" in request.headers] == [first]
    assert [request.headers["webhook-id"].startswith("ess-test-") for request in events(receiver)].count(True) == 1
    count = len(handshakes(receiver))
    shared.publish("shake.a", "more")
    wait_for(lambda: len(events(receiver)) >= 6)
    assert len(handshakes(receiver)) == count and "last_error" not in subscriber.status()


def test_silence_a_cut_connection_and_a_redirect_are_no_answer(shared, receiver):
    receiver.answers(Answer(hang=True), Answer(cut=True), Answer(302, {"Location": receiver.url("/elsewhere")}), 404, 422, 200)
    subscriber = register(shared, receiver, ["shake.silent"], handshake=True, timeout="3s")
    cursor = shared.publish("shake.silent", 1)
    requests = receiver.wait(7)
    assert [is_handshake(request) for request in requests] == [True] * 6 + [False] and requests[6].cursor == cursor
    assert {request.path for request in requests} == {"/hook"}
    assert wait_state(subscriber, "active")["dead_lettered"] == 0


def test_an_endpoint_that_is_gone_disables_and_a_resume_asks_again(shared, receiver):
    refuses(receiver, 410)
    subscriber = register(shared, receiver, ["shake.gone"], handshake=True)
    assert wait_state(subscriber, "disabled")["reason"] == "gone (410)"
    assert len(receiver.requests) == 1
    receiver.answer = lambda request: Answer()
    subscriber.call("resume")
    wait_state(subscriber, "active")
    assert len(handshakes(receiver)) == 2


def test_a_pause_holds_the_handshake_too(shared, receiver):
    refuses(receiver)
    subscriber = register(shared, receiver, ["shake.pause"], handshake=True)
    wait_for(lambda: handshakes(receiver))
    subscriber.call("pause")
    wait_state(subscriber, "paused")
    receiver.answer = lambda request: Answer()
    count = len(receiver.requests)
    subscriber.call("resume")
    wait_state(subscriber, "active")
    assert len(receiver.requests) == count + 1


def test_a_new_url_needs_a_handshake_and_a_known_one_does_not(shared, receiver):
    other = shared.receiver()
    subscriber = register(shared, receiver, ["shake.url"], handshake=True)
    shared.publish("shake.url", 1)
    wait_for(lambda: events(receiver))
    refuses(other)
    subscriber.replace(url=other.url(), secret="an0ther-secret")
    wait_state(subscriber, "pending")
    cursor = shared.publish("shake.url", 2)
    wait_for(lambda: len(handshakes(other)) > 2)
    assert not events(other)
    assert handshakes(other)[0].headers["X-ESS-Handshake"] != handshakes(receiver)[0].headers["X-ESS-Handshake"]
    other.answer = lambda request: Answer()
    wait_for(lambda: cursors(other) == [cursor])
    count = len(handshakes(other))
    subscriber.replace(throttle=50)
    cursor = shared.publish("shake.url", 3)
    wait_for(lambda: cursor in cursors(other))
    assert len(handshakes(other)) == count and len(handshakes(receiver)) == 1


def test_a_handshake_can_be_asked_for_later_and_given_up(shared, receiver):
    subscriber = register(shared, receiver, ["shake.later"])
    shared.publish("shake.later", 1)
    receiver.wait(1)
    refuses(receiver)
    subscriber.replace(handshake=True)
    wait_state(subscriber, "pending")
    cursor = shared.publish("shake.later", 2)
    wait_for(lambda: len(handshakes(receiver)) > 1)
    assert len(events(receiver)) == 1 and subscriber.show()["handshake"] is True
    subscriber.replace(handshake=None)
    wait_for(lambda: cursors(receiver)[1:] == [cursor])
    assert wait_state(subscriber, "active")


def test_kill_9_while_pending_asks_again_and_kill_9_after_the_answer_does_not(ess):
    ingest, receiver = ess.ingest(), ess.receiver()
    refuses(receiver)
    first = ess.dispatcher()
    subscriber = register(ess, receiver, ["shake.kill"], handshake=True)
    cursor = ess.publish("shake.kill", 1)
    wait_for(lambda: len(handshakes(receiver)) > 2)
    wait_state(subscriber, "pending")
    first.kill9()
    subscriber.give("test")
    second = ess.dispatcher()
    count = len(receiver.requests)
    wait_for(lambda: len(handshakes(receiver)) > count + 1)
    assert not events(receiver)
    assert len({request.headers["X-ESS-Handshake"] for request in receiver.requests}) == 1
    receiver.answer = lambda request: Answer()
    wait_for(lambda: len(events(receiver)) == 2)
    wait_for(lambda: ingest.status(subscriber.id)["cursor"] >= cursor)
    second.kill9()
    count = len(handshakes(receiver))
    ess.dispatcher()
    cursor = ess.publish("shake.kill", 2)
    wait_for(lambda: receiver.requests[-1].headers["X-ESS-Cursor"] == str(cursor))
    assert len(handshakes(receiver)) == count


def test_a_delete_and_a_stop_while_a_handshake_hangs(ess):
    ingest, receiver = ess.ingest(), ess.receiver()
    receiver.answer = lambda request: Answer(hang=True)
    dispatcher = ess.dispatcher()
    gone, stays = (register(ess, receiver, ["shake.hang"], handshake=True, timeout="1m") for _ in range(2))
    receiver.wait(2)
    assert ingest.request("DELETE", f"/ess/subscribers/{gone.id}").status == 202
    wait_for(lambda: ingest.get(f"/ess/subscribers/{gone.id}").status == 404)
    dispatcher.term()
    receiver.release()
    receiver.answer = lambda request: Answer()
    ess.dispatcher()
    wait_state(stays, "active")
    assert {request.json["subscriber"] for request in receiver.requests[2:]} == {stays.id}


# --- heartbeat


def test_an_idle_endpoint_is_told_that_it_has_everything_and_nothing_waits_for_it(shared):
    told, refusing, hanging, paused, busy, shaking = receivers = [shared.receiver() for _ in range(6)]
    subscribers = [register(shared, receiver, ["beat.a"], heartbeat="10s", timeout="30s", max_attempts=1000) for receiver in receivers[:5]]
    register(shared, shaking, ["beat.a"], heartbeat="10s", handshake=True)
    shaking.answer = lambda request: Answer(503)
    for receiver in told, refusing, hanging, paused:
        wait_for(lambda: shared.daemons[1].lines("subscriber_started", subscriber=subscribers[receivers.index(receiver)].id))
    subscribers[3].call("pause")
    busy.answer = lambda request: Answer(500)
    refusing.answer = lambda request: Answer(500 if is_heartbeat(request) else 200)
    hanging.answer = lambda request: Answer(hang=is_heartbeat(request))
    began = time.monotonic()
    cursor = shared.publish("beat.a", 1)
    other = shared.publish("beat.of.others", 1)
    for receiver in told, refusing, hanging:
        wait_for(lambda: heartbeats(receiver))
    beat = heartbeats(told)[0]
    assert beat.at - began >= 10
    verify(subscribers[0], beat)
    assert set(beat.json) == {"heartbeat", "cursor", "prev_cursor", "ts"} and beat.json["heartbeat"] is True
    assert beat.json["cursor"] >= other and beat.json["prev_cursor"] == cursor
    assert "X-ESS-Topic" not in beat.headers and "X-ESS-Cursor" not in beat.headers
    status = wait_for(lambda: subscribers[1].status().get("last_error") and subscribers[1].status())
    assert (status["last_error"], status["state"], status["lag"]) == ("status 500", "active", 0)
    second = shared.publish("beat.a", 2)  # while one endpoint lets the heartbeat hang, and after another has refused it
    for receiver in told, refusing, hanging:
        wait_for(lambda: cursors(receiver) == [cursor, second])
        assert [request.headers["X-ESS-Attempt"] for request in events(receiver)] == ["1", "1"]
        assert len(heartbeats(receiver)) == 1
    assert not any(heartbeats(receiver) for receiver in (paused, busy, shaking))
    assert "last_error" not in wait_for(lambda: subscribers[1].status()["cursor"] >= second and subscribers[1].status())
    hanging.release()


def test_an_event_calls_off_a_heartbeat_that_the_throttle_would_wait_for(shared, receiver):
    receiver.answer = lambda request: Answer(hang=is_heartbeat(request))
    register(shared, receiver, ["beat.throttled"], heartbeat="10s", throttle=1, timeout="5m")
    wait_for(lambda: heartbeats(receiver))
    cursor = shared.publish("beat.throttled", 1)
    wait_for(lambda: cursors(receiver) == [cursor])
    receiver.release()


def test_an_endpoint_that_lost_its_last_event_gets_heartbeats_again(shared, receiver):
    subscriber = register(shared, receiver, ["beat.lost"], heartbeat="10s", max_attempts=2)
    receiver.stop()
    cursor = shared.publish("beat.lost", 1)
    wait_for(lambda: subscriber.status()["dead_lettered"] == 1)
    receiver.start()
    wait_for(lambda: heartbeats(receiver))
    assert heartbeats(receiver)[0].json["prev_cursor"] == cursor


def test_heartbeats_that_hang_leave_the_slots_to_events(ess):
    ingest, hanging, receiver = ess.ingest(), ess.receiver(), ess.receiver()
    ess.dispatcher({"dispatcher.max_connections": 8})
    hanging.answer = lambda request: Answer(hang=True)
    for _ in range(12):
        register(ess, hanging, ["beat.never"], heartbeat="10s", timeout="5m")
    Subscriber(ingest, receiver, ["beat.other"])
    hanging.wait(3)
    all_due = time.monotonic() + 12
    while time.monotonic() < all_due:
        cursor = ess.publish("beat.other", 1)
        wait_for(lambda: cursors(receiver)[-1:] == [cursor], 30)
    assert len(hanging.requests) == 3
    hanging.release()


# --- expiry


def at(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def test_an_expired_subscriber_is_disabled_until_it_is_renewed(ess):
    ingest, receiver = ess.ingest(), ess.receiver()
    dispatcher = ess.dispatcher()
    subscriber = register(ess, receiver, ["ends.a"], expires=at(3600))
    first = ess.publish("ends.a", 1)
    receiver.wait(1)
    subscriber.replace(expires=at(6))
    assert wait_state(subscriber, "disabled")["reason"] == "expired"
    cursor = ess.publish("ends.a", 2)
    answer = ingest.request("POST", f"/ess/subscribers/{subscriber.id}/resume", "{}")
    assert answer.status == 409 and answer.json["field"] == "expires" and "expired at" in answer.json["detail"]
    subscriber.call("rewind", {"cursor": first})  # resumes others
    assert wait_state(subscriber, "disabled")["reason"] == "expired"
    dispatcher.kill9()
    ess.dispatcher()
    wait_for(lambda: ess.daemons[-1].lines("subscriber_started", subscriber=subscriber.id))
    assert wait_state(subscriber, "disabled") and receiver.cursors() == [first]
    subscriber.replace(expires=at(3600))
    wait_for(lambda: receiver.cursors() == [first, cursor])
    subscriber.replace(expires=at(6))
    wait_state(subscriber, "disabled")
    subscriber.replace(expires=None)
    wait_state(subscriber, "active")


def test_a_changed_file_renews_and_one_that_has_expired_before_the_start_stays_so(ess):
    ingest, receiver = ess.ingest(), ess.receiver()
    ess.subscribe("filed", receiver, ["ends.file"], expires=at(-60), owner="claims team")
    ess.dispatcher()
    status = wait_for(lambda: ingest.status("filed")["state"] == "disabled" and ingest.status("filed"))
    assert status["reason"] == "expired" and ingest.get("/ess/subscribers/filed").json["owner"] == "claims team"
    cursor = ess.publish("ends.file", 1)
    ess.subscribe("filed", receiver, ["ends.file"], expires=at(3600), owner="claims team")
    assert receiver.wait(1)[0].cursor == cursor


# --- the fields


BAD = [("adaptive", 1, "true or false"), ("handshake", "yes", "true or false"), ("heartbeat", "9s", "from 10s"), ("heartbeat", 10, "from 10s"),
       ("heartbeat", "25h", "to 1d"), ("expires", "tomorrow", "a time such as"), ("expires", 5, "a time such as"), ("expires", "2024-05-07T14:03:11Z", "in the future"),
       ("owner", "", "empty"), ("owner", "x" * 1025, "1024")]


@pytest.mark.parametrize("field, value, said", BAD)
def test_a_bad_value_is_refused_by_name(shared, field, value, said):
    spec = {"id": "never", "url": "https://vendor.example/hook", "topics": ["bad.a"], field: value}
    answer = shared.daemons[0].post(json.dumps(spec), "/register")
    assert (answer.status, answer.json["field"]) == (400, field) and said in answer.json["detail"], answer
    assert shared.daemons[0].get("/ess/subscribers/never").status == 404


@pytest.mark.parametrize("field, value", [("handshake", True), ("heartbeat", "10s")])
def test_a_topic_of_sns_answers_nothing(shared, field, value):
    spec = {"id": "never", "sns": {"topic_arn": "arn:aws:sns:us-east-1:123456789012:a"}, "topics": ["bad.a"], field: value}
    answer = shared.daemons[0].post(json.dumps(spec), "/register")
    assert (answer.status, answer.json["field"]) == (400, field) and "url" in answer.json["detail"], answer


def test_a_bad_file_is_named_with_its_line(ess):
    ess.allow("bad_subscriber_file")
    ingest = ess.ingest()
    ess.write("bad.yml", 'id: bad\nurl: https://vendor.example/hook\ntopics: ["a"]\nsecret: "s"\nheartbeat: 1s\n')
    named = wait_for(lambda: ingest.get("/ess/subscribers").json["files"])
    assert named[0]["line"] == 5 and "heartbeat" in named[0]["error"]


def test_a_put_keeps_what_get_shows(shared, receiver):
    fields = {"adaptive": True, "handshake": True, "heartbeat": "1m", "expires": "2034-05-07T14:03:11.000Z", "owner": "claims", "throttle": 20}
    subscriber = register(shared, receiver, ["kept.a"], **fields)
    wait_state(subscriber, "active")
    subscriber.replace(description="new")
    shown = subscriber.show()
    assert {name: shown[name] for name in fields} == fields and shown["status"]["rate"] == 20
    assert len(handshakes(receiver)) == 1
