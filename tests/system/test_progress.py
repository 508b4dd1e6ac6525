"""Replay tokens: how often they are written, and what happens while Kafka does not take them."""
import json
import time

from ess import Answer, wait_for

HELD = {"dispatcher.hold_after": "2s"}


def tokens(ess, id):
    return [json.loads(record.value()) for record in ess.records("tokens") if record.key() == id.encode() and record.value()]


def test_a_lane_is_held_while_its_progress_cannot_be_written_and_goes_on_by_itself(ess):
    ess.ingest()
    dispatcher = ess.dispatcher(HELD)
    receiver = ess.receiver()
    ess.subscribe("held", receiver, ["held.*"], throttle=30)
    cursors = [ess.publish("held.a", 0)]
    receiver.wait(1)
    ess.broker.alter_topic(ess.topic("tokens"), max_message_bytes="100")
    cursors += [ess.publish("held.a", number) for number in range(1, 300)]
    line = dispatcher.wait_line("token_not_written", subscriber="held")
    assert "size" in line["reason"] and "max.message.bytes" in line["advice"]
    wait_for(lambda: dispatcher.get("/readyz").status == 503)
    assert "checkpoints cannot be written" in dispatcher.get("/readyz").json["detail"]
    assert dispatcher.metrics()["ess_progress_unwritten_seconds"] >= 2
    assert dispatcher.metrics()["ess_subscribers_held"] == 1
    wait_for(lambda: dispatcher.metrics()["ess_in_flight"] == 0)
    count = len(receiver.requests)
    assert count < len(cursors)
    wait_for(lambda: len(dispatcher.lines("token_not_written")) > 1)  # ten seconds later
    assert len(receiver.requests) == count
    ess.broker.alter_topic(ess.topic("tokens"), max_message_bytes="1048588")
    receiver.wait(len(cursors))
    assert receiver.cursors() == cursors
    wait_for(lambda: dispatcher.get("/readyz").status == 200)
    dispatcher.wait_line("token_written_again", subscriber="held")
    wait_for(lambda: dispatcher.metrics()["ess_progress_unwritten_seconds"] < 2)


def test_a_subscriber_that_fails_now_and_then_writes_a_token_a_second(ess):
    ingest = ess.ingest()
    ess.dispatcher()
    receiver = ess.receiver()
    receiver.answer = lambda request: Answer(500 if request.headers["X-ESS-Attempt"] == "1" and request.json["data"] % 4 == 0 else 200)
    ess.subscribe("flaps", receiver, ["flaps.*"], ordering="none", backoff_min="10ms", backoff_max="20ms")
    before, began = len(tokens(ess, "flaps")), time.monotonic()
    cursors = [ess.publish("flaps.a", number) for number in range(400)]
    wait_for(lambda: {request.cursor for request in receiver.requests if request.headers["X-ESS-Attempt"] == "2"} >= set(cursors[::4]))
    status = lambda: ingest.status("flaps")
    wait_for(lambda: status()["delivered"] == len(cursors), told=status)
    written = len(tokens(ess, "flaps")) - before
    assert written <= time.monotonic() - began + 2
    assert status()["as_of"] >= time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() - 120))
    numbers = [token["n"] for token in tokens(ess, "flaps")]
    assert numbers == sorted(set(numbers))
