"""Kafka as it may be found: away, with topics that are not right, with records of others, gone for a while, not the one it was."""
import json
import os
import time

import confluent_kafka
import pytest

from ess import Answer, wait_for


def test_a_broker_that_is_away_at_the_start_is_waited_for_and_that_is_said_once(ess_on_own_broker, own_broker):
    ess, receiver = ess_on_own_broker, ess_on_own_broker.receiver()
    ingest, dispatcher = ess.ingest(ready=False), ess.dispatcher(ready=False)
    ess.subscribe("patient", receiver, ["a"], wait=False)
    for daemon in (ingest, dispatcher):
        daemon.wait_line("waiting_for_kafka")
        ready = daemon.get("/readyz")
        assert ready.status == 503 and ready.headers["Retry-After"] and ready.json["detail"]
        assert daemon.get("/healthz").status == 200 and daemon.metrics()["ess_kafka_up"] == 0
    publish = ingest.post('{"topic":"a","data":1,"id":"early"}')
    assert publish.status == 503 and publish.json["id"] == "early" and publish.headers["Retry-After"]
    assert ingest.replay(0).status == 503
    own_broker.start()
    for daemon in (ingest, dispatcher):
        daemon.wait_ready()
        assert len(daemon.lines("waiting_for_kafka")) == 1
    dispatcher.wait_line("subscriber_started", subscriber="patient")
    cursor = ess.publish("a", 1, id="early")
    assert receiver.wait(1)[0].cursor == cursor == 1


@pytest.mark.parametrize("topic, partitions, config, said", [
    ("events", 1, {"cleanup_policy": "delete"}, ["cleanup.policy=delete", "needs compact", "kafka-configs"]),
    ("events", 2, {"cleanup_policy": "compact"}, ["2 partitions", "needs 1", "kafka.prefix"]),
    ("subscribers", 1025, {"cleanup_policy": "compact"}, ["1025 partitions", "1024 at most"]),
    ("dlq", 8, {"cleanup_policy": "compact"}, ["cleanup.policy=compact", "needs delete"]),
])
def test_a_topic_with_a_wrong_shape_is_refused_with_what_to_do(ess, topic, partitions, config, said):
    ess.allow("bad_topic")
    ess.broker.create_topic(ess.topic(topic), partitions, **config)
    ingest = ess.ingest(ready=False)
    reason = ingest.wait_line("bad_topic")["reason"]
    assert ess.topic(topic) in reason and all(words in reason for words in said), reason
    assert ingest.wait_exit() == 1
    if topic == "events":
        dispatcher = ess.dispatcher(ready=False)
        assert dispatcher.wait_line("bad_topic")["reason"] == reason and dispatcher.wait_exit() == 1


def test_a_topic_that_ess_did_not_begin_is_refused(ess):
    ess.allow("bad_topic")
    ess.broker.create_topic(ess.topic("events"), cleanup_policy="compact")
    ess.append("events", b"k", b"v")
    ingest = ess.ingest(ready=False)
    assert "not begun by ESS" in ingest.wait_line("bad_topic")["reason"] and ingest.wait_exit() == 1


def test_a_log_that_lost_its_beginning_is_refused(ess):
    ess.allow("bad_topic")
    ingest = ess.ingest()
    for n in range(3):
        ess.publish("a", n)
    ingest.term()
    admin = ess.broker.admin()
    ess.broker.alter_topic(ess.topic("events"), cleanup_policy="compact,delete")  # only then may records be deleted
    admin.delete_records([confluent_kafka.TopicPartition(ess.topic("events"), 0, 2)])[confluent_kafka.TopicPartition(ess.topic("events"), 0)].result()
    ess.broker.alter_topic(ess.topic("events"), cleanup_policy="compact")
    ingest.start(ready=False)
    assert "begins at offset 2" in ingest.wait_line("bad_topic")["reason"] and ingest.wait_exit() == 1


def test_other_settings_that_differ_are_warned_of(ess):
    ess.broker.create_topic(ess.topic("events"), cleanup_policy="compact", min_compaction_lag_ms="0")
    ingest = ess.ingest()
    assert any("min.compaction.lag.ms is 0" in line["reason"] for line in ingest.lines("topic_differs"))


def test_topics_are_made_as_the_design_says(ess):
    ess.ingest({"kafka.replay_window": "2d"})
    window = str(2 * 86400 * 1000)
    for name, partitions, expected in (
            ("events", 1, {"cleanup.policy": "compact", "min.compaction.lag.ms": window, "delete.retention.ms": window,
                           "message.timestamp.type": "LogAppendTime"}),
            ("subscribers", 64, {"cleanup.policy": "compact"}), ("tokens", 64, {"cleanup.policy": "compact", "min.compaction.lag.ms": "3600000"}),
            ("dlq", 8, {"cleanup.policy": "delete", "retention.ms": str(30 * 86400 * 1000)})):
        assert ess.broker.topic_partitions(ess.topic(name)) == partitions
        config = ess.broker.topic_config(ess.topic(name))
        assert {setting: config[setting] for setting in expected} == expected
    genesis = ess.records("events")
    assert len(genesis) == 1 and genesis[0].offset() == 0 and genesis[0].key().startswith(b"\0genesis/")


def test_two_ingests_that_start_at_once_agree_on_the_feed(ess):
    ingests = [ess.ingest(ready=False) for _ in range(2)]
    for ingest in ingests:
        ingest.wait_ready()
    assert len({ingest.wait_line("ready")["feed"] for ingest in ingests}) == 1
    cursors = [ess.publish("a", n, ingest=ingests[n % 2]) for n in range(10)]
    assert cursors == sorted(cursors)
    for ingest in ingests:  # its tail may be a moment behind what the other one was told
        wait_for(lambda: [e["cursor"] for e in ingest.replay(0).json["events"]] == cursors)


def test_records_of_others_are_skipped_counted_and_said_once(ess):
    ingest, dispatcher, receiver = ess.ingest(), ess.dispatcher(), ess.receiver()
    ess.subscribe("s", receiver, ["*"])
    ess.append("events", b"k", b"not of ESS")
    ess.append("events", b"k", b"{}", headers=[("ess-v", b"1"), ("ess-feed", ess.records("events")[0].key()[9:])])
    cursor = ess.publish("a", 1)
    assert cursor == 3 and receiver.wait(1)[0].cursor == cursor
    assert [e["cursor"] for e in ingest.replay(0).json["events"]] == [cursor]
    assert ingest.metrics()["ess_foreign_records_total"] == 2
    for daemon in (ingest, dispatcher):
        assert len(daemon.lines("foreign_record")) == 1


def test_a_flood_of_records_that_cannot_be_read_is_counted_and_a_few_are_said(ess):
    ess.allow("bad_record")
    both = [ess.ingest(), ess.dispatcher()]
    producer = confluent_kafka.Producer({"bootstrap.servers": ess.broker.address, "log_level": 0})
    for n in range(60):
        for partition in (0, 1):  # one of them is not the id's
            producer.produce(ess.topic("subscribers"), b"not of ESS", f"flood-{n}", partition)
    assert producer.flush(30) == 0
    for daemon in both:
        wait_for(lambda: daemon.metrics()["ess_bad_records_total"] >= 60)
        assert len(daemon.lines("bad_record")) == 20


def test_while_kafka_is_away_publishes_are_refused_and_afterwards_everything_goes_on(ess_on_own_broker, own_broker):
    own_broker.start()
    ess, receiver = ess_on_own_broker, ess_on_own_broker.receiver()
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    ess.subscribe("s", receiver, ["a"])
    first = ess.publish("a", 1)
    receiver.wait(1)
    own_broker.stop()
    begun = time.monotonic()
    refused = ingest.post('{"topic":"a","data":2,"id":"outage"}')
    assert refused.status == 503 and refused.json["id"] == "outage" and refused.headers["Retry-After"]
    assert time.monotonic() - begun < 10  # 2 s, and what a busy machine adds
    for daemon in (ingest, dispatcher):
        daemon.wait_line("kafka_down")
        assert daemon.get("/readyz").status == 503 and daemon.get("/healthz").status == 200
    own_broker.start()
    for daemon in (ingest, dispatcher):
        daemon.wait_ready()
    ess.publish("a", 3)
    requests = receiver.wait(2)
    wait_for(lambda: receiver.requests[-1].json["data"] == 3)
    assert {r.json["data"] for r in receiver.requests} <= {1, 2, 3}  # whether 2 was appended is not known, and that is what 503 says
    assert receiver.cursors() == sorted(receiver.cursors()) and requests[0].cursor == first


def test_a_log_that_was_made_anew_is_never_read_as_if_nothing_had_happened(ess):
    ess.allow("start_over")
    ingest, dispatcher, receiver = ess.ingest(), ess.dispatcher(), ess.receiver()
    ess.subscribe("s", receiver, ["a"])
    for n in range(5):
        ess.publish("a", n)
    receiver.wait(5)
    wait_for(lambda: any(m.key() == b"s" and json.loads(m.value())["position"] == 5 for m in ess.records("tokens")))
    feed = ingest.wait_line("ready")["feed"]
    ess.broker.delete_topics(ess.topic("events"))
    for daemon in (ingest, dispatcher):
        daemon.wait_line("start_over")
        wait_for(lambda: len(daemon.lines("ready")) >= 2)
        daemon.wait_ready()
        assert daemon.lines("ready")[-1]["feed"] != feed
    assert ess.publish("a", "new") == 1
    state = 'ess_subscriber_state{subscriber="s",state="disabled"}'
    wait_for(lambda: dispatcher.metrics().get(state) == 1)
    assert len(receiver.requests) == 5
    assert "log went back" in dispatcher.wait_line("subscriber_disabled", subscriber="s")["reason"]
    wait_for(lambda: "log went back" in json.loads([m for m in ess.records("tokens") if m.key() == b"s"][-1].value()).get("reason", ""))


def test_what_kafka_will_never_take_is_refused_for_good_and_the_rest_goes_on(ess):
    ingest = ess.ingest()
    ess.broker.alter_topic(ess.topic("events"), max_message_bytes="2000")
    big = json.dumps({"topic": "a", "data": os.urandom(2500).hex()})  # which cannot be compressed by much
    wait_for(lambda: (answer := ingest.post(big)).status == 413 and "refused by Kafka" in answer.json["detail"])
    ess.publish("a", 1)
    assert "too large" in ingest.wait_line("publish_not_written")["reason"]
    ess.broker.alter_topic(ess.topic("events"), max_message_bytes="10000")
    ingest.restart()
    assert "max.message.bytes=10000" in ingest.wait_line("max_event_lowered", in_force=10000 - 4096)["reason"]
    answer = ingest.post(f"[{json.dumps({'topic': 'a', 'data': 2})},{json.dumps({'topic': 'a', 'data': 'x' * 7000})}]")
    assert answer.status == 413 and answer.json["index"] == 1


def test_a_dead_letter_that_kafka_will_never_take_is_written_without_its_event(ess):
    receiver = ess.receiver()
    receiver.answers(Answer(400), Answer(200))
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    ess.broker.alter_topic(ess.topic("dlq"), max_message_bytes="1000")
    ess.subscribe("small", receiver, ["a"])
    first, second = ess.publish("a", os.urandom(2500).hex()), ess.publish("a", 2)
    receiver.wait(2)
    assert receiver.cursors() == [first, second]
    letters = wait_for(lambda: ingest.get("/ess/subscribers/small/dead-letters").json["dead_letters"])
    assert letters[0]["cursor"] == first and "event" not in letters[0] and "too large" in letters[0]["event_left_out"]
    assert len(letters) == 1 and "too large" in dispatcher.wait_line("dead_letter_not_written")["reason"]


def test_events_are_compressed_by_lz4(ess, broker):
    ess.ingest()
    ess.publish("lz4.a", "x" * 20000)
    batches = []
    for segment in broker.folder.rglob(f"{ess.topic('events')}-0/*.log"):
        left = segment.read_bytes()
        while len(left) > 61:  # magic is at 16, the attributes are at 21: their last three bits are the codec
            size = 12 + int.from_bytes(left[8:12], "big")
            batches.append((left[16], left[22] & 7, size))
            left = left[size:]
    assert batches[-1][:2] == (2, 3) and batches[-1][2] < 2000, batches
