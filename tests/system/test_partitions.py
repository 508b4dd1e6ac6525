"""The number of partitions of subscribers and tokens: chosen when the topics are made, and the feed's own from then on."""
import confluent_kafka.admin

from ess import wait_for
from test_ownership import assert_whole_and_in_order, wait_shared_by

IDS = [f"s{n}" for n in range(12)]


def counts(ess):
    return [ess.broker.topic_partitions(ess.topic(name)) for name in ("subscribers", "tokens")]


def add_partitions(ess, name, total):
    admin, new = ess.broker.admin(), confluent_kafka.admin.NewPartitions(ess.topic(name), total)
    admin.create_partitions([new])[ess.topic(name)].result()
    wait_for(lambda: ess.broker.topic_partitions(ess.topic(name)) == total)


def test_with_three_partitions_two_dispatchers_share_all_and_deliver(ess):
    ess.ingest({"kafka.partitions": 3})
    receiver = ess.receiver()
    for id in IDS:
        ess.subscribe(id, receiver, ["a"])
    dispatchers = [ess.dispatcher() for _ in range(2)]  # they learn the number from Kafka
    wait_shared_by(dispatchers, IDS)
    cursors = [ess.publish("a", n) for n in range(5)]
    assert_whole_and_in_order(receiver, IDS, cursors)
    assert counts(ess) == [3, 3]
    assert sum(int(dispatcher.lines("ready")[-1]["partitions"]) for dispatcher in dispatchers) == 3


def test_an_existing_feed_keeps_its_number_whatever_the_option_says_and_whatever_is_added(ess):
    ingest, dispatcher = ess.ingest({"kafka.partitions": 3}), ess.dispatcher()
    receiver = ess.receiver()
    for id in IDS:
        ess.subscribe(id, receiver, ["a"])
    cursors = [ess.publish("a", 1)]
    assert_whole_and_in_order(receiver, IDS, cursors)
    dispatcher.term()
    ingest.term()
    for name in ("subscribers", "tokens"):
        add_partitions(ess, name, 7)
    ingest = ess.ingest({"kafka.partitions": 64})
    assert any("only these are used" in line["reason"] for line in ingest.lines("topic_differs"))
    dispatchers = [ess.dispatcher() for _ in range(2)]
    wait_shared_by(dispatchers, IDS)
    ess.subscribe("later", receiver, ["a"])
    cursors.append(ess.publish("a", 2, ingest=ingest))
    assert_whole_and_in_order(receiver, IDS, cursors)
    assert_whole_and_in_order(receiver, ["later"], cursors[1:])
    assert {record.partition() for record in ess.records("subscribers")} <= {0, 1, 2}


def test_topics_that_do_not_agree_are_refused_with_what_to_do(ess):
    ess.allow("bad_topic")
    ess.broker.create_topic(ess.topic("subscribers"), 8, cleanup_policy="compact")
    ess.broker.create_topic(ess.topic("tokens"), 5, cleanup_policy="compact")
    ingest = ess.ingest(ready=False)
    reason = ingest.wait_line("bad_topic")["reason"]
    assert all(words in reason for words in (ess.topic("tokens"), "5 partitions", "has 8", "must agree")), reason
    assert ingest.wait_exit() == 1
    dispatcher = ess.dispatcher(ready=False)
    assert dispatcher.wait_line("bad_topic")["reason"] == reason and dispatcher.wait_exit() == 1


def test_topics_that_were_made_again_with_fewer_partitions_are_refused(ess):
    ess.allow("bad_topic")
    ess.ingest({"kafka.partitions": 4}).term()
    for name in ("subscribers", "tokens"):
        ess.broker.delete_topics(ess.topic(name))
    ingest = ess.ingest({"kafka.partitions": 2}, ready=False)
    assert "have 2 partitions, but the feed was begun with 4" in ingest.wait_line("bad_topic")["reason"]
    assert ingest.wait_exit() == 1
