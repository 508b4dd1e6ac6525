"""Status and metrics tell the truth within a second, whatever the endpoint does meanwhile."""
import datetime

from ess import Answer, wait_for


def of_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_lag_is_told_while_the_first_attempt_hangs(shared, make):
    """Its patience is longer than this test's."""
    subscriber = make(["hang.a"], timeout="5m")
    shared.publish("hang.a", 0)
    wait_for(lambda: subscriber.status()["delivered"] == 1)
    wait_for(lambda: subscriber.status()["lag"] == 0)
    subscriber.receiver.answer = lambda request: Answer(hang=True)
    cursor = shared.publish("hang.a", 1)
    wait_for(lambda: subscriber.status()["lag"] >= 1, told=subscriber.status)
    status = subscriber.status()
    assert status["state"] == "active" and status["cursor"] < cursor
    event = shared.daemons[0].replay(cursor - 1).json["events"][0]
    assert abs(of_time(status["waiting_since"]) - of_time(event["ts"])) < 5
    assert of_time(status["as_of"]) >= of_time(status["waiting_since"])
    name = f'ess_subscriber_lag_seconds{{subscriber="{subscriber.id}"}}'
    before = wait_for(lambda: shared.daemons[1].metrics()[name])
    wait_for(lambda: shared.daemons[1].metrics()[name] >= before + 1)
    subscriber.receiver.release()
    subscriber.receiver.answer = lambda request: Answer()
    wait_for(lambda: subscriber.status()["lag"] == 0 and "waiting_since" not in subscriber.status(), told=subscriber.status)
    wait_for(lambda: shared.daemons[1].metrics()[name] == 0)


def test_an_error_has_its_time_and_goes_with_the_next_success(shared, make):
    subscriber = make(["error.a"], backoff_min="30s", backoff_max="30s")
    subscriber.receiver.answer = lambda request: Answer(503)
    shared.publish("error.a", 1)
    status = wait_for(lambda: subscriber.status().get("last_error") and subscriber.status(), told=subscriber.status)
    assert status["last_error"] == "status 503" and status["state"] == "retrying"
    assert of_time(status["failing_since"]) - 1 <= of_time(status["last_error_at"]) < of_time(status["next_attempt"])
    subscriber.receiver.answer = lambda request: Answer(hang=True)
    subscriber.call("resume")
    subscriber.receiver.wait(2)
    wait_for(lambda: "next_attempt" not in subscriber.status(), told=subscriber.status)  # it is under way
    subscriber.receiver.release()
    wait_for(lambda: "last_error" not in subscriber.status(), told=subscriber.status)
    status = subscriber.status()
    assert "last_error_at" not in status and status["last_success"] and status["state"] == "active"
    assert subscriber.ingest.get(f"/ess/subscribers/{subscriber.id}/attempts").json["attempts"]


def test_a_redrive_shows_in_what_was_delivered_and_in_the_dead_letters(shared, make):
    subscriber = make(["redriven.a"])
    subscriber.receiver.answer = lambda request: Answer(400 if "X-ESS-Replay" not in request.headers else 200)
    cursors = [shared.publish("redriven.a", n) for n in range(3)]

    def letters():
        found = subscriber.ingest.get(f"/ess/subscribers/{subscriber.id}/dead-letters").json["dead_letters"]
        return {letter["cursor"]: letter.get("redriven", False) for letter in found}
    wait_for(lambda: subscriber.status()["dead_lettered"] == 3)
    assert letters() == {cursor: False for cursor in cursors}
    first = subscriber.give("redrive", {"cursors": [cursors[1]]})
    wait_for(lambda: subscriber.status()["redriven"] == 1, told=subscriber.status)
    wait_for(lambda: letters() == {cursor: cursor == cursors[1] for cursor in cursors}, told=letters)
    second = subscriber.give("redrive")
    wait_for(lambda: all(letters().values()), told=letters)
    wait_for(lambda: len(subscriber.status()["outcomes"]) == 2, told=subscriber.status)
    status = subscriber.status()
    assert status["delivered"] == status["redriven"] == 4 and status["dead_lettered"] == 3
    assert [(o["generation"], o["command"], o["outcome"], o["delivered"]) for o in status["outcomes"]] == [
        (second, "redrive", "done", 3), (first, "redrive", "done", 1)]
