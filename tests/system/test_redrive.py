"""Redrives of many subscribers at once, and of what the retention has left."""
import os

import confluent_kafka

from ess import Answer, wait_for

MANY = 24
EVENTS = 60


def threads(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/task"))


def refuse_odd(request):
    """Each other event, so that no 20 are refused in a row; none that is redriven."""
    return Answer(400 if request.json["data"] % 2 and "X-ESS-Replay" not in request.headers else 200)


def letters(ess):
    return [record for record in ess.records("dlq") if record.value()]


def redriven(receiver, id):
    return [r.cursor for r in list(receiver.requests) if r.headers["X-ESS-Subscriber"] == id and "X-ESS-Replay" in r.headers]


def test_redrives_of_many_share_one_reader_and_each_gets_its_own_letters_in_order(ess):
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    receiver = ess.receiver()
    receiver.answer = refuse_odd
    ids = [f"many{n}" for n in range(MANY)]
    for id in ids:
        ess.subscribe(id, receiver, ["many.*"])
    cursors = [ess.publish("many.a", number) for number in range(EVENTS)]
    wait_for(lambda: len(letters(ess)) == MANY * EVENTS // 2)
    wait_for(lambda: all(ingest.status(id)["dead_lettered"] == EVENTS // 2 for id in ids))
    before = threads(dispatcher)
    receiver.answer = lambda request: Answer(hang=True)
    for id in ids:
        ingest.command(id, "redrive", {})
    wait_for(lambda: all(redriven(receiver, id) for id in ids))
    assert threads(dispatcher) < before + MANY  # a reader each were four threads each
    receiver.answer = lambda request: Answer()
    receiver.release()
    wait_for(lambda: all(set(redriven(receiver, id)) == set(cursors[1::2]) for id in ids))
    for id in ids:
        assert redriven(receiver, id) == cursors[1::2], id
    wait_for(lambda: all(ingest.status(id)["jobs"] == [] for id in ids))
    wait_for(lambda: threads(dispatcher) <= before)


def test_a_redrive_sends_what_the_retention_left(ess):
    ingest = ess.ingest()
    ess.dispatcher()
    receiver = ess.receiver()
    receiver.answer = refuse_odd
    ess.subscribe("left", receiver, ["left.*"])
    cursors = [ess.publish("left.a", number) for number in range(10)]
    wait_for(lambda: len(letters(ess)) == 5)
    third = letters(ess)[2]
    partition = confluent_kafka.TopicPartition(ess.topic("dlq"), third.partition(), third.offset())
    admin = ess.broker.admin()
    admin.delete_records([partition])[partition].result()
    ingest.command("left", "redrive", {})
    wait_for(lambda: len(redriven(receiver, "left")) == 3)
    status = lambda: ingest.status("left")
    wait_for(lambda: status()["jobs"] == [], told=status)
    assert redriven(receiver, "left") == cursors[5::2]


def test_a_redrive_whose_letters_are_all_refused_again_comes_to_its_end(ess):
    ingest = ess.ingest()
    ess.dispatcher()
    receiver = ess.receiver()
    receiver.answer = lambda request: Answer(400 if request.json["data"] % 2 else 200)
    ess.subscribe("refuses", receiver, ["refuses.*"], backoff_min="50ms", backoff_max="200ms")
    cursors = [ess.publish("refuses.a", number) for number in range(EVENTS)]
    wait_for(lambda: len(letters(ess)) == EVENTS // 2)
    ingest.command("refuses", "redrive", {})
    status = lambda: ingest.status("refuses")
    wait_for(lambda: len(letters(ess)) == EVENTS, told=status)  # each is a dead letter once more
    wait_for(lambda: status()["jobs"] == [], told=status)
    assert redriven(receiver, "refuses") == cursors[1::2]


def test_a_job_says_which_event_it_waits_for(ess):
    ingest = ess.ingest()
    ess.dispatcher()
    receiver = ess.receiver()
    ess.subscribe("waits", receiver, ["waits.*"], backoff_min="1h", backoff_max="1h")
    cursor = ess.publish("waits.a", 1)
    receiver.wait(1)
    receiver.answer = lambda request: Answer(500)
    ingest.command("waits", "replay", {"from": 0, "to": cursor})
    job = lambda: (ingest.status("waits")["jobs"] or [{}])[0]
    wait_for(lambda: f"event {cursor} failed at attempt " in job().get("reason", ""), told=job)
    receiver.answer = lambda request: Answer()
    ingest.command("waits", "resume")
    wait_for(lambda: job() == {}, told=job)


def test_of_two_redrives_of_all_in_quick_succession_the_second_begins_where_the_first_has_ended(ess):
    ingest = ess.ingest()
    ess.dispatcher()
    receiver = ess.receiver()
    receiver.answer = refuse_odd
    ess.subscribe("twice", receiver, ["twice.*"])
    cursors = [ess.publish("twice.a", number) for number in range(10)]
    status = lambda: ingest.status("twice")
    wait_for(lambda: status()["dead_lettered"] == 5)
    receiver.answer = lambda request: Answer(hang=True)
    for count in (1, 2):
        ingest.command("twice", "redrive", {})
        wait_for(lambda: len(status()["jobs"]) == count, told=status)
    receiver.answer = lambda request: Answer()
    receiver.release()
    wait_for(lambda: status()["jobs"] == [], told=status)
    assert redriven(receiver, "twice") == cursors[1::2]
