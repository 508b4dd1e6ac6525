"""What the log's readers meet: connections that brokers close, another program's transaction, a right to read that is taken back,
records of a later version."""
import http.client
import json
import os
import pathlib
import threading
import time
import urllib.request

import confluent_kafka
import pytest

from ess import Answer, running_alone, wait_for


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """An ESS on a broker that closes connections on which nothing happens for three seconds."""
    with running_alone(tmp_path_factory.mktemp("impatient"), settings=["connections.max.idle.ms=3000"]) as ess:
        ess.ingest()
        ess.dispatcher()
        yield ess


def test_no_publish_is_refused_when_brokers_close_connections_that_nothing_is_read_over(impatient):
    """librdkafka keeps one to its group's coordinator, which a broker closes again and again."""
    ess, receiver, answers = impatient, impatient.receiver(), []
    ingest = ess.daemons[0]
    ess.subscribe("steady", receiver, ["steady"])
    until = time.monotonic() + 10
    while time.monotonic() < until:
        answers.append((ingest.post('{"topic":"steady","data":1}').status, ingest.get("/readyz").status, ingest.replay(0, limit=1).status))
        time.sleep(0.02)
    assert set(answers) == {(201, 200, 200)}
    receiver.wait(len(answers))


def feed_of(ess):
    """The feed's id, which each event has in a header."""
    return ess.records("events")[0].key()[9:]


def append_newer(ess, topic):
    """An event as a later version of ESS may write it; its cursor."""
    headers = [("ess-v", b"2"), ("ess-topic", topic.encode()), ("ess-id", b"x"), ("ess-feed", feed_of(ess))]
    return ess.append("events", topic, b"?", headers=headers)


def connections_to(daemon, port):
    """The process's own ports of its connections to a port of this machine."""
    sockets = {os.readlink(link)[8:-1] for link in pathlib.Path(f"/proc/{daemon.process.pid}/fd").iterdir()
               if os.path.islink(link) and os.readlink(link).startswith("socket:")}
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[9] in sockets and int(row[2].split(":")[1], 16) == port}


def test_an_idle_service_whose_connections_brokers_close_says_nothing_of_a_lost_kafka(impatient):
    ess, daemons = impatient, impatient.daemons
    before = [connections_to(daemon, ess.broker.port) for daemon in daemons]
    lines = [len(daemon.lines("kafka_down")) for daemon in daemons]
    wait_for(lambda: all(len(old - connections_to(daemon, ess.broker.port)) >= 2 for old, daemon in zip(before, daemons)))
    assert [len(daemon.lines("kafka_down")) for daemon in daemons] == lines


def test_another_programs_open_transaction_stops_no_reader(impatient):
    ess, receiver, ingest = impatient, impatient.receiver(), impatient.daemons[0]
    ess.subscribe("open", receiver, ["open"])
    writer = confluent_kafka.Producer({"bootstrap.servers": ess.broker.address, "log_level": 0, "transactional.id": "another",
                                       "transaction.timeout.ms": 600000})
    writer.init_transactions(10)
    feed = feed_of(ess)
    for end in (writer.abort_transaction, writer.commit_transaction):
        receiver.requests.clear()
        writer.begin_transaction()
        for headers in (None, [("ess-v", b"1"), ("ess-feed", feed)]):  # neither is an event, whatever it says
            writer.produce(ess.topic("events"), b"theirs", b"k", partition=0, headers=headers)
        assert writer.flush(10) == 0
        during = ess.publish("open", "during")
        assert receiver.wait(1)[0].cursor == during
        end(10)
        wait_for(lambda: ingest.metrics()["ess_feed_cursor"] == during + 1)  # its marker is a cursor without a record
        after = ess.publish("open", "after")
        assert receiver.wait(2)[1].cursor == after == during + 2
        assert [e["cursor"] for e in ingest.replay(during - 1, topics="open").json["events"]] == [during, after]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """An ESS on a broker that asks what its user may do."""
    settings = ["authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found=true"]
    with running_alone(tmp_path_factory.mktemp("guarded"), settings=settings) as ess:
        yield ess


def rule(topic, operation, permission):
    kafka = confluent_kafka.admin
    return kafka.AclBinding(kafka.ResourceType.TOPIC, topic, kafka.ResourcePatternType.LITERAL, "User:ANONYMOUS", "*",
                            kafka.AclOperation[operation], kafka.AclPermissionType[permission])


def test_a_right_to_read_that_is_taken_back_is_said_and_everything_goes_on_when_it_is_given_again(guarded):
    ess, receiver = guarded, guarded.receiver()
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    ess.subscribe("s", receiver, ["a"])
    first = ess.publish("a", 1)
    receiver.wait(1)
    wait_for(lambda: ingest.status("s")["cursor"] == first)
    admin, denied = ess.broker.admin(), rule(ess.topic("events"), "READ", "DENY")
    for result in admin.create_acls([rule(ess.topic("events"), "ALL", "ALLOW"), denied]).values():
        result.result()
    for daemon in (ingest, dispatcher):
        line = daemon.wait_line("log_not_read")
        assert ess.topic("events") in line["reason"] and "grant Read" in line["reason"]
        ready = wait_for(lambda daemon=daemon: (answer := daemon.get("/readyz")).status == 503 and answer)
        assert ready.json["detail"] == line["reason"] and daemon.get("/healthz").status == 200
        assert daemon.metrics()["ess_kafka_up"] == 0
    for _ in range(5):  # another ingest, that may still read
        ess.append("events", b"k", b"v")
    wait_for(lambda: dispatcher.metrics()['ess_subscriber_lag_events{subscriber="s"}'] == 5)
    time.sleep(2)
    assert len(dispatcher.lines("log_not_read")) == 1  # throttled
    for result in admin.delete_acls([confluent_kafka.admin.AclBindingFilter(
            denied.restype, denied.name, denied.resource_pattern_type, denied.principal, denied.host, denied.operation,
            denied.permission_type)]).values():
        result.result()
    for daemon in (ingest, dispatcher):
        daemon.wait_line("log_read_again")
        daemon.wait_ready()
        wait_for(lambda daemon=daemon: daemon.metrics()["ess_kafka_up"] == 1)
    second = ess.publish("a", 2)
    assert receiver.wait(2)[1].cursor == second == first + 6
    wait_for(lambda: ingest.status("s")["lag"] == 0)
    assert not ingest.lines("start_over") and not dispatcher.lines("start_over")


def test_an_event_of_a_later_version_is_passed_by_nobody_who_wants_its_topic_and_stops_nobody_else(ess):
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    wanting, other, late = ess.receiver(), ess.receiver(), ess.receiver()
    ess.subscribe("wanting", wanting, ["new.*", "old"])
    ess.subscribe("other", other, ["old"])
    first = ess.publish("old", 1)
    ended = []

    def follow():
        response = urllib.request.urlopen(f"http://{ingest.address}/ess/stream?topics=new.*&cursor=0", timeout=60)
        try:
            ended.append(response.read())
        except http.client.IncompleteRead as end:
            ended.append(end.partial)

    stream = threading.Thread(target=follow)
    stream.start()
    polled = []
    poll = threading.Thread(target=lambda: polled.append(ingest.get(f"/ess/poll?topics=new.*&cursor={first}&wait=50")))
    poll.start()
    wait_for(lambda: ingest.metrics()["ess_readers"] == 2)
    newer = append_newer(ess, "new.kind")
    assert newer == first + 1
    after = ess.publish("old", 2)
    assert other.wait(2)[1].cursor == after == newer + 1
    status = wait_for(lambda: (s := ingest.status("wanting")).get("reason") and s)
    assert "later version" in status["reason"] and str(newer) in status["reason"] and status["cursor"] < newer and status["lag"] == 2
    assert wanting.wait(1)[0].cursor == first and len(wanting.requests) == 1
    for path in (f"/ess/replay?since_cursor={first}", f"/ess/poll?cursor={first}&topics=new.*&wait=0", f"/ess/stream?cursor={first}"):
        refused = ingest.get(path)
        assert refused.status == 503 and str(newer) in refused.json["detail"] and "later version" in refused.json["detail"]
    page = ingest.replay(0).json
    assert [e["cursor"] for e in page["events"]] == [first] and page["cursor"] == first and page["more"]
    assert [e["cursor"] for e in ingest.replay(0, topics="old").json["events"]] == [first, after]
    for thread in (stream, poll):
        thread.join(60)
    assert b"id: " in ended[0] and polled[0].status == 503
    ess.subscribe("late", late, ["*"])
    ess.publish("old", 3)
    late.wait(1)
    for daemon in (ingest, dispatcher):  # the log is read again from the start, and the event met behind the tail
        daemon.restart()
    other.requests.clear()
    last = ess.publish("old", 4)
    other.wait(1)
    wait_for(lambda: ingest.status("other")["cursor"] >= last)
    assert len(wanting.requests) == 1 and dispatcher.wait_line("newer_event")["cursor"] == str(newer)
    ingest.command("wanting", "rewind", {"cursor": newer})
    assert wanting.wait(4)[1].cursor == after
    wait_for(lambda: "reason" not in ingest.status("wanting"))


def test_a_lane_that_waits_at_an_event_of_a_later_version_makes_its_retries_when_they_are_due(ess):
    ess.ingest()
    dispatcher, receiver = ess.dispatcher(), ess.receiver()
    receiver.answer = lambda request: Answer(500 if len(receiver.requests) < 3 else 200, delay=0.5)
    ess.subscribe("wanting", receiver, ["new.*"], ordering="none")
    first = ess.publish("new.a", 1)
    append_newer(ess, "new.kind")
    dispatcher.wait_line("newer_event")
    assert {r.cursor for r in receiver.wait(3, timeout=40)} == {first}  # it looks for an upgrade once a minute


def test_a_paused_lane_far_behind_costs_a_chunk_and_its_lag_in_seconds_is_known_at_once(ess):
    """It wants nothing of what stands there: to look for what it wants, again and again, would be to read the log for ever."""
    ingest, dispatcher = ess.ingest(), ess.dispatcher({"feed.cache": "1MiB"})
    ess.subscribe("far", ess.receiver(), ["nothing"])
    for _ in range(5):
        lines = "\n".join(json.dumps({"topic": "many", "data": "x" * 1000}) for _ in range(1000))
        assert ingest.request("POST", "/ess/publish", lines, {"Content-Type": "application/x-ndjson"}).status == 201
    ingest.command("far", "pause")
    wait_for(lambda: ingest.status("far")["state"] == "paused")
    ingest.command("far", "rewind", {"cursor": 0})
    seconds = 'ess_subscriber_lag_seconds{subscriber="far"}'
    wait_for(lambda: dispatcher.metrics().get(seconds, 0) > 0, timeout=20)
    before = dispatcher.metrics()
    wait_for(lambda: dispatcher.metrics()[seconds] > before[seconds] + 3)  # it looks every second
    assert dispatcher.metrics()["ess_feed_chunks_total"] == before["ess_feed_chunks_total"] <= 2
