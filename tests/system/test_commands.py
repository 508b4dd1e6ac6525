"""What an operator or a vendor tells ESS to do with a subscriber, and what its endpoint sees of it."""
import json
import time

import pytest
import standardwebhooks

from ess import Answer, Subscriber, wait_for


def publish(shared, topic, count):
    return [shared.publish(topic, n) for n in range(count)]


def test_a_rewind_sends_everything_above_it_again_once(shared, make):
    subscriber = make(["rewind.a"])
    cursors = publish(shared, "rewind.a", 10)
    subscriber.receiver.wait(10)
    subscriber.call("rewind", {"cursor": cursors[3]})
    requests = subscriber.receiver.wait(16)
    assert [request.cursor for request in requests[10:]] == cursors[4:]
    assert requests[10].json["prev_cursor"] == cursors[3]
    assert requests[11].body == requests[5].body
    last = shared.publish("rewind.a", "last")
    subscriber.receiver.wait(17)
    assert subscriber.receiver.cursors()[16:] == [last]


def test_a_rewind_goes_forward_too(shared, make):
    subscriber = make(["forward.a"])
    subscriber.call("pause")
    cursors = publish(shared, "forward.a", 10)
    subscriber.call("rewind", {"cursor": cursors[7]})
    subscriber.call("resume")
    subscriber.receiver.wait(2)
    last = shared.publish("forward.a", "last")
    subscriber.receiver.wait(3)
    assert subscriber.receiver.cursors() == cursors[8:] + [last]


def test_a_time_before_all_others_is_the_beginning(shared, make):
    """Kafka gives times below 0 a meaning of their own."""
    subscriber = make(["time.early"])
    cursors = publish(shared, "time.early", 2)
    subscriber.receiver.wait(2)
    subscriber.call("rewind", {"time": "1969-12-31T23:59:59.999Z"})
    assert [request.cursor for request in subscriber.receiver.wait(4)][2:] == cursors


def test_a_rewind_to_a_time_sends_what_was_appended_from_then_on(shared, make):
    subscriber = make(["time.a"])
    publish(shared, "time.a", 3)
    time.sleep(0.01)  # a broker's time has milliseconds
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{int(time.time() % 1 * 1000):03d}Z"
    time.sleep(0.01)
    after = publish(shared, "time.a", 3)
    subscriber.receiver.wait(6)
    subscriber.call("rewind", {"time": at})
    subscriber.receiver.wait(9)
    assert subscriber.receiver.cursors()[6:] == after


def test_a_replay_job_sends_its_range_beside_the_live_lane(shared, make):
    subscriber = make(["job.a"])
    cursors = publish(shared, "job.a", 10)
    subscriber.receiver.wait(10)
    before = subscriber.status()["cursor"]
    job = subscriber.call("replay", {"from": cursors[2], "to": cursors[6]})
    requests = subscriber.receiver.wait(14)
    assert [request.cursor for request in requests[10:]] == cursors[3:7]
    assert all(request.headers["X-ESS-Replay"] == str(job) for request in requests[10:])
    assert not any("X-ESS-Replay" in request.headers for request in requests[:10])
    wait_for(lambda: subscriber.status()["jobs"] == [], told=subscriber.status)
    assert subscriber.status()["cursor"] >= before
    last = shared.publish("job.a", "last")
    subscriber.receiver.wait(15)
    assert subscriber.receiver.cursors()[14:] == [last]


def test_a_job_shares_the_throttle_and_can_be_ended(shared, make):
    subscriber = make(["throttled.a"], throttle=5)
    cursors = publish(shared, "throttled.a", 10)
    subscriber.receiver.wait(10)
    job = subscriber.call("replay", {"from": 0, "to": cursors[-1]})
    live = publish(shared, "throttled.a", 10)
    wait_for(lambda: set(live) <= set(subscriber.receiver.cursors()))
    times = [request.at for request in subscriber.receiver.requests]
    assert all(later - earlier >= 1 for earlier, later in zip(times, times[5:]))
    assert any("X-ESS-Replay" in request.headers for request in subscriber.receiver.requests)
    if subscriber.status()["jobs"]:
        subscriber.call(f"jobs/{job}", method="DELETE")
    wait_for(lambda: subscriber.status()["jobs"] == [])


def test_a_redrive_sends_dead_letters_again_without_prev_cursor(shared, make):
    subscriber = make(["redrive.a"])
    subscriber.receiver.answer = lambda request: Answer(400 if request.json["data"] in (1, 3) and "X-ESS-Replay" not in request.headers else 200)
    cursors = publish(shared, "redrive.a", 5)
    subscriber.receiver.wait(5)
    wait_for(lambda: subscriber.status()["dead_lettered"] == 2)
    job = subscriber.call("redrive", {})
    requests = subscriber.receiver.wait(7)
    assert [request.cursor for request in requests[5:]] == [cursors[1], cursors[3]]
    for request in requests[5:]:
        assert request.headers["X-ESS-Replay"] == str(job)
        assert request.json["cursor"] == request.cursor and "prev_cursor" not in request.json
    wait_for(lambda: subscriber.status()["jobs"] == [])
    subscriber.call("redrive", {})  # all since the last one: none
    second = subscriber.call("redrive", {"cursors": [cursors[3]]})
    requests = subscriber.receiver.wait(8)
    assert requests[7].cursor == cursors[3] and requests[7].headers["X-ESS-Replay"] == str(second)


def test_a_paused_subscriber_gets_nothing_until_it_is_resumed(shared, make):
    subscriber = make(["pause.a"])
    subscriber.call("pause")
    assert subscriber.status()["state"] == "paused"
    cursors = publish(shared, "pause.a", 5)
    other = make(["pause.a"], **{"from": "beginning"})
    other.receiver.wait(5)
    assert not subscriber.receiver.requests
    subscriber.call("resume")
    subscriber.receiver.wait(5)
    assert subscriber.receiver.cursors() == cursors
    assert subscriber.status()["state"] == "active"


def test_a_410_disables_and_resume_goes_on(shared, make):
    subscriber = make(["gone.a"])
    subscriber.receiver.answers(410)
    cursors = publish(shared, "gone.a", 3)
    wait_for(lambda: subscriber.status()["state"] == "disabled")
    assert "410" in subscriber.status()["reason"]
    subscriber.call("resume")
    subscriber.receiver.wait(4)
    assert subscriber.receiver.cursors() == [cursors[0], *cursors]


def test_an_event_that_wedges_its_lane_is_named_and_skipped(shared, make):
    subscriber = make(["wedged.a"], backoff_min="1h", backoff_max="1h")
    subscriber.receiver.answer = lambda request: Answer(500 if request.json["data"] in (1, 2) else 200)
    cursors = publish(shared, "wedged.a", 4)
    for stuck in cursors[1:3]:
        wait_for(lambda: f"event {stuck} failed at attempt " in subscriber.status().get("reason", ""), told=subscriber.status)
        subscriber.call("skip")
    wait_for(lambda: subscriber.status()["delivered"] == 2, told=subscriber.status)
    assert subscriber.receiver.cursors() == cursors
    letters = subscriber.ingest.get(f"/ess/subscribers/{subscriber.id}/dead-letters").json["dead_letters"]
    assert [(letter["cursor"], letter["reason"]) for letter in letters] == [(cursors[2], "skipped"), (cursors[1], "skipped")]
    assert letters[1]["event"]["data"] == 1 and letters[1]["attempts"] == 1
    subscriber.call("skip")  # nothing waits
    assert subscriber.status()["outcomes"][0]["outcome"] == "refused"
    assert subscriber.status()["dead_lettered"] == 2


def test_resume_tries_again_after_twenty_refusals(shared, make):
    subscriber = make(["refused.a"], backoff_min="1h", backoff_max="1h")
    subscriber.receiver.answer = lambda request: Answer(422)
    cursors = publish(shared, "refused.a", 22)
    wait_for(lambda: "20 earlier events were refused" in subscriber.status().get("reason", ""), told=subscriber.status)
    subscriber.call("resume")
    wait_for(lambda: subscriber.status()["dead_lettered"] == 22, told=subscriber.status)
    assert subscriber.receiver.cursors() == cursors[:21] + cursors[20:]


def test_an_owner_may_choose_that_every_event_is_given_up(shared, make):
    subscriber = make(["exhausted.a"], max_attempts=2, backoff_min="10ms", backoff_max="20ms", exhausted="dead_letter")
    subscriber.receiver.answer = lambda request: Answer(500)
    publish(shared, "exhausted.a", 5)
    wait_for(lambda: subscriber.status()["dead_lettered"] == 5, told=subscriber.status)
    assert subscriber.show()["exhausted"] == "dead_letter"
    subscriber.replace(throttle=50)
    wait_for(lambda: subscriber.show().get("throttle") == 50)
    assert subscriber.show()["exhausted"] == "dead_letter"


def test_a_running_redrive_follows_a_new_policy(shared, make):
    subscriber = make(["hasty.a"], backoff_min="1h", backoff_max="1h")
    subscriber.receiver.answer = lambda request: Answer(400)
    cursor = shared.publish("hasty.a", 1)
    wait_for(lambda: subscriber.status()["dead_lettered"] == 1)
    subscriber.receiver.answer = lambda request: Answer(500)
    subscriber.call("redrive", {})
    subscriber.receiver.wait(2)
    subscriber.replace(backoff_min="10ms", backoff_max="20ms")
    wait_for(lambda: subscriber.show().get("backoff_max") == "20ms")
    subscriber.call("resume")
    subscriber.receiver.wait(6)
    assert set(subscriber.receiver.cursors()) == {cursor}


def test_another_url_enables_a_disabled_subscriber(shared, make):
    subscriber = make(["moved.a"])
    subscriber.receiver.answer = lambda request: Answer(410 if request.path == "/hook" else 200)
    cursors = publish(shared, "moved.a", 2)
    wait_for(lambda: subscriber.status()["state"] == "disabled")
    subscriber.replace(url=subscriber.receiver.url("/new"))
    subscriber.receiver.wait(3)
    assert [request.cursor for request in subscriber.receiver.requests if request.path == "/new"] == cursors


@pytest.mark.parametrize("status", [410, 422, 500])
def test_a_failure_at_the_url_before_says_nothing_of_the_new_one(shared, make, status):
    subscriber = make([f"left.{status}"], max_attempts=1)
    at_old = Answer(status)
    subscriber.receiver.answer = lambda request: Answer(hang=True) if request.path == "/hook" else Answer()
    subscriber.receiver.take, take = lambda request: at_old if take(request).hang else Answer(), subscriber.receiver.take
    cursor = shared.publish(f"left.{status}", 1)
    subscriber.receiver.wait(1)
    subscriber.replace(url=subscriber.receiver.url("/new"))
    subscriber.receiver.release()
    requests = subscriber.receiver.wait(2)
    assert [(request.path, request.cursor) for request in requests] == [("/hook", cursor), ("/new", cursor)]
    wait_for(lambda: subscriber.status()["delivered"] == 1, told=subscriber.status)
    assert subscriber.status()["state"] == "active" and subscriber.status()["dead_lettered"] == 0


def test_a_test_that_failed_at_the_url_before_is_made_at_the_new_one(shared, make):
    subscriber = make(["probe.moved"])
    subscriber.receiver.answer = lambda request: Answer(hang=True) if request.path == "/hook" else Answer()
    subscriber.receiver.take, take = lambda request: Answer(500) if take(request).hang else Answer(), subscriber.receiver.take
    test = subscriber.give("test")
    subscriber.receiver.wait(1)
    subscriber.replace(url=subscriber.receiver.url("/new"))
    subscriber.receiver.release()
    wait_for(lambda: any(o["generation"] == test and o["outcome"] == "done" for o in subscriber.status()["outcomes"]), told=subscriber.status)
    assert [request.path for request in subscriber.receiver.requests] == ["/hook", "/new"]


def test_during_a_rotation_both_secrets_sign_and_afterwards_the_new_one_alone(shared, make):
    subscriber = make(["rotate.a"])
    old = standardwebhooks.Webhook(subscriber.registration["whsec"])
    answer = subscriber.ingest.request("POST", f"/ess/subscribers/{subscriber.id}/rotate", json.dumps({"overlap": "3s"}))
    assert answer.status == 202, answer
    new = standardwebhooks.Webhook(answer.json["whsec"])
    wait_for(lambda: subscriber.status()["generation"] >= answer.json["generation"])

    def deliver():
        before = len(subscriber.receiver.requests)
        shared.publish("rotate.a", 1)
        return subscriber.receiver.wait(before + 1)[-1]

    during = deliver()
    for webhook in (old, new):
        webhook.verify(during.body, dict(during.headers))
    assert during.headers["X-ESS-Signature-Old"] and during.headers["X-ESS-Signature"] != during.headers["X-ESS-Signature-Old"]
    after = wait_for(lambda: (request := deliver()) and "X-ESS-Signature-Old" not in request.headers and request)
    new.verify(after.body, dict(after.headers))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        old.verify(after.body, dict(after.headers))


def test_a_test_delivery_is_one_attempt_without_a_cursor(shared, make):
    subscriber = make(["probe.a"])
    subscriber.receiver.answers(503)
    generation = subscriber.call("test", {"topic": "probe.a", "data": {"hello": 1}})
    request, = subscriber.receiver.wait(1)
    assert request.headers["webhook-id"] == f"ess-test-{generation}" == request.json["id"]
    assert "X-ESS-Cursor" not in request.headers and "cursor" not in request.json and request.json["data"] == {"hello": 1}
    attempts = subscriber.ingest.get(f"/ess/subscribers/{subscriber.id}/attempts").json["attempts"]
    assert attempts[-1]["status"] == 503
    shared.publish("probe.a", "real")
    assert subscriber.receiver.wait(2)[1].json["data"] == "real"


def test_a_deleted_subscriber_leaves_nothing_to_one_of_the_same_id(shared, make):
    subscriber = make(["again.a"], id="again")
    cursors = publish(shared, "again.a", 5)
    subscriber.receiver.wait(5)
    subscriber.call("pause")
    answer = subscriber.ingest.request("DELETE", "/ess/subscribers/again")
    assert answer.status == 202
    wait_for(lambda: subscriber.ingest.get("/ess/subscribers/again").status == 404)
    second = make(["again.a"], id="again", **{"from": "beginning"})
    second.receiver.wait(5)
    assert second.receiver.cursors() == cursors
    wait_for(lambda: second.status()["delivered"] == 5, told=second.status)
    assert second.status()["state"] == "active"


def test_the_seventeenth_job_is_refused_and_holds_up_nothing(shared, make):
    """Given in one breath, when no token says yet how many jobs there are: only its owner can tell."""
    subscriber = make(["many.a"], backoff_min="100ms", backoff_max="100ms", max_attempts=1000)
    subscriber.receiver.answer = lambda request: Answer(503)
    cursor = shared.publish("many.a", 1)
    subscriber.receiver.wait(1)
    subscriber.call("pause")
    jobs = []
    for _ in range(20):
        answer = subscriber.ingest.request("POST", f"/ess/subscribers/{subscriber.id}/replay", json.dumps({"from": 0, "to": cursor}))
        assert answer.status in (202, 409), answer
        jobs += [answer.json["generation"]] if answer.status == 202 else []
    assert len(jobs) >= 16
    subscriber.call("resume")
    status = subscriber.status()
    assert [job["job"] for job in status["jobs"]] == jobs[:16]
    refused = [outcome["generation"] for outcome in status["outcomes"] if outcome["outcome"] == "refused"]
    assert sorted(refused) == jobs[16:]
    subscriber.call(f"jobs/{jobs[0]}", method="DELETE")
    assert [job["job"] for job in subscriber.status()["jobs"]] == jobs[1:16]
    assert subscriber.status()["outcomes"][0]["outcome"] == "ended"
    subscriber.call("rewind", {"cursor": cursor})
    for job in jobs[1:16]:
        subscriber.give_delete(job)
    wait_for(lambda: subscriber.status()["jobs"] == [])


def test_a_slow_test_delivery_does_not_hold_up_a_resume(shared, make):
    subscriber = make(["slowtest.a"])
    subscriber.receiver.answer = lambda request: Answer(hang=True) if "X-ESS-Cursor" not in request.headers else Answer()
    subscriber.call("pause")
    cursor = shared.publish("slowtest.a", 1)
    test = subscriber.give("test")
    subscriber.receiver.wait(1)
    subscriber.call("resume")
    assert subscriber.receiver.wait(2)[1].cursor == cursor
    assert test in subscriber.status()["pending"]
    subscriber.receiver.release()
    wait_for(lambda: subscriber.status()["pending"] == [], told=subscriber.status)
    assert subscriber.status()["outcomes"][0]["generation"] == test and subscriber.status()["outcomes"][0]["outcome"] == "done"


def test_a_pending_test_is_made_by_the_next_owner(ess):
    ingest = ess.ingest()
    dispatcher, receiver = ess.dispatcher(), ess.receiver()
    subscriber = Subscriber(ingest, receiver, ["a"])
    wait_for(lambda: dispatcher.lines("subscriber_started", subscriber=subscriber.id))
    receiver.answer = lambda request: Answer(hang=True)
    test = subscriber.give("test")
    receiver.wait(1)
    subscriber.call("resume")
    wait_for(lambda: subscriber.status()["pending"] == [test], told=subscriber.status)
    dispatcher.kill9()
    receiver.answer = lambda request: Answer()
    ess.dispatcher()
    receiver.wait(2)
    wait_for(lambda: subscriber.status()["pending"] == [], told=subscriber.status)
    assert subscriber.status()["generation"] > test


def test_commands_that_nobody_applies_are_bounded(ess):
    ingest, receiver = ess.ingest(), ess.receiver()
    subscriber = Subscriber(ingest, receiver, ["a"])
    for _ in range(100):
        subscriber.give("resume")
    answer = wait_for(lambda: (refused := ingest.request("POST", f"/ess/subscribers/{subscriber.id}/resume", "{}")).status == 503 and refused)
    assert answer.headers["Retry-After"] and "100 commands already wait" in answer.json["detail"]
    ess.dispatcher()
    wait_for(lambda: ingest.request("POST", f"/ess/subscribers/{subscriber.id}/resume", "{}").status == 202)


def test_a_command_of_a_later_version_waits_alone_and_what_no_version_can_read_is_refused(ess):
    ess.allow("bad_record")
    ingest, dispatcher, receiver = ess.ingest(), ess.dispatcher(), ess.receiver()
    one = Subscriber(ingest, receiver, ["later.a"])
    wait_for(lambda: dispatcher.lines("subscriber_started", subscriber=one.id))
    record = next(r for r in ess.records("subscribers") if r.key() == one.id.encode())
    born, offsets = json.loads(record.value())["born"], []
    for number, value in enumerate([{"v": 2}, {"v": 1, "born": born, "command": "fly"}, {"v": 1, "born": born, "command": "rewind"}]):
        key = f"{one.id}/cmd/00000000-0000-4000-8000-00000000000{number}"
        offsets.append(ess.append("subscribers", key, json.dumps(value), record.partition()))
    cursor = ess.publish("later.a", 1)
    assert receiver.wait(1)[0].cursor == cursor
    one.call("rewind", {"cursor": cursor - 1})
    assert receiver.wait(2)[1].cursor == cursor
    wait_for(lambda: one.status()["pending"] == offsets[:2], told=one.status)
    assert one.status()["state"] == "active"
    assert {o["generation"]: o["outcome"] for o in one.status()["outcomes"]} == dict(zip(offsets, ["waits", "waits", "refused"]))
    one.give_delete(offsets[0])
    wait_for(lambda: one.status()["pending"] == offsets[1:2], told=one.status)
    dispatcher.restart()
    ess.publish("later.a", 2)
    receiver.wait(3)
    assert one.status()["pending"] == offsets[1:2] and len(one.status()["outcomes"]) == 3
