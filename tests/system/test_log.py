"""The log underneath: compacted, begun twice, cut, made again. Each under running daemons and under restarted ones where both can be."""
import concurrent.futures
import json
import shutil
import signal
import time

import confluent_kafka
import pytest

from ess import running_alone, wait_for

WAIT_S = 60


def genesis_of(ess):
    """The uuid in the record at offset 0."""
    first = ess.records("events")[0]
    assert first.offset() == 0 and first.key().startswith(b"\0genesis/"), first.key()
    return first.key().partition(b"/")[2].decode()


def append(ess, feed, topic, ids, **data):
    """Events as an ingest of this feed would append them."""
    producer = confluent_kafka.Producer({"bootstrap.servers": ess.broker.address, "enable.idempotence": True, "log_level": 0})
    for id in ids:
        stored = {"topic": topic, "id": id, "ts": "2026-01-01T00:00:00Z", "data": data}
        headers = {"ess-v": "1", "ess-topic": topic, "ess-id": id, "ess-ts": stored["ts"], "ess-feed": feed}
        producer.produce(ess.topic("events"), json.dumps(stored, separators=(",", ":")).encode(), topic.encode(), partition=0, headers=headers)
    assert producer.flush(30) == 0


def publish_again_and_again(ingest, topic, data):
    """As a publisher does that is told 503."""
    body = json.dumps({"topic": topic, "data": data, "id": "again"})
    return wait_for(lambda: ingest.post(body).json.get("cursor"), WAIT_S)


def token_of(ess, subscriber):
    """Its newest token."""
    found = [m for m in ess.records("tokens") if m.key() == subscriber.encode() and m.value()]
    return json.loads(found[-1].value()) if found else None


def went_back(ess, subscriber):
    token = token_of(ess, subscriber)
    return token if token and token["state"] == "disabled" and token["reason"].startswith("log went back") else None


def resume(ingest, subscriber):
    assert ingest.post("", path=f"/ess/subscribers/{subscriber}/resume").status == 202


# --- compaction


@pytest.fixture
def ess_that_compacts(tmp_path):
    """Compaction takes what is superseded as soon as its segment is rolled."""
    with running_alone(tmp_path, settings=["log.cleaner.backoff.ms=500"]) as ess:
        ess.broker.create_topic(ess.topic("events"), cleanup_policy="compact", segment_ms="100", min_compaction_lag_ms="0",
                                delete_retention_ms="86400000", min_cleanable_dirty_ratio="0.01", message_timestamp_type="LogAppendTime")
        yield ess


def compact(ess):
    """Returns the offsets that are left once all that was superseded is gone."""
    ess.publish("roll.one", 0)
    time.sleep(0.2)  # a segment rolls with the first record that comes 100 ms after its first one

    def compacted():
        ess.publish("roll.two", 0)
        records = ess.records("events")
        keys = [m.key() for m in records[:-2]]
        return [m.offset() for m in records] if len(set(keys)) == len(keys) and records[-1].offset() > len(records) else None
    return wait_for(compacted, WAIT_S)


def has_hole(offsets, above, below):
    return any(offset not in offsets for offset in range(above + 1, below))


def test_a_compacted_log_gives_the_newest_of_each_key_and_says_what_is_missing(ess_that_compacts):
    ess = ess_that_compacts
    ingest = ess.ingest()
    feed = genesis_of(ess)
    dispatcher, receiver = ess.dispatcher(), ess.receiver()
    ess.subscribe("behind", receiver, ["drug.*"])
    dispatcher.term()
    newest = {}
    for n in range(60):
        key = f"k{n % 7}"
        newest[key] = ess.publish("drug.copay", {"n": n}, key=key, id=f"id-{n}")
        ess.publish("other", n)
    newest["gone"] = ess.publish("drug.copay", {"n": 100}, key="gone")
    newest["gone"] = ess.publish("drug.copay", None, key="gone")
    offsets = set(compact(ess))
    assert 0 in offsets and genesis_of(ess) == feed
    ingest.restart()  # what it had read before compaction it would still have
    assert ingest.wait_line("ready")["feed"] == feed

    events = ingest.replay(0, topics="drug.*", limit=10000).json["events"]
    assert [(e["key"], e["cursor"]) for e in events] == sorted(newest.items(), key=lambda item: item[1]) and events[-1]["data"] is None
    assert events[0]["prev_cursor"] == 0 and events[0]["compacted"] is True
    for event in events:
        assert event.get("compacted", False) == has_hole(offsets, event["prev_cursor"], event["cursor"]), event
    assert any("compacted" not in e for e in ingest.replay(0, topics="*").json["events"])

    again = ingest.post(json.dumps({"topic": "drug.copay", "key": "k3", "data": {"n": 59}, "id": "id-59"}))
    assert again.status == 200 and again.json == {"cursor": newest["k3"], "id": "id-59", "duplicate": True}

    start = ess.dispatcher().wait_line("subscriber_started", subscriber="behind")["position"]
    delivered = [request.body for request in receiver.wait(len(events))]
    lines = ingest.request("GET", f"/ess/replay?since_cursor={start}&topics=drug.*", headers={"Accept": "application/x-ndjson"}).body.splitlines()
    assert delivered == lines
    cursor = ess.publish("drug.copay", "new", key="k0")
    assert json.loads(receiver.wait(len(events) + 1)[-1].body)["cursor"] == cursor


# --- genesis


def test_two_ingests_that_begin_a_log_at_once_agree_on_its_genesis(ess):
    ingests = [ess.ingest({"subscribers.dir": "none"}, start=False) for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda ingest: ingest.start(), ingests))
    feed = genesis_of(ess)
    assert [ingest.wait_line("ready")["feed"] for ingest in ingests] == [feed] * 3
    cursors = [ess.publish("g.a", n, ingest=ingests[n % 3]) for n in range(6)]
    for ingest in ingests:
        assert ingest.replay(cursors[-1]).status == 200  # it has read as far
        assert [e["cursor"] for e in ingest.replay(cursors[0] - 1).json["events"]] == cursors


def test_a_second_genesis_record_and_what_ess_did_not_write_are_skipped_by_everybody(ess):
    ingest = ess.ingest()
    ess.dispatcher()
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["g.*"])
    before = ess.publish("g.a", 1)
    ess.append("events", b"\0genesis/aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", b'{"v":1}')
    ess.append("events", b"key", b"hello")
    after = ess.publish("g.a", 2)
    assert after == before + 3
    assert [request.json["cursor"] for request in receiver.wait(2)] == [before, after]
    events = ingest.replay(before - 1).json["events"]
    assert [(e["cursor"], e["prev_cursor"]) for e in events] == [(before, before - 1), (after, before)] and "compacted" not in events[1]
    assert ingest.metrics()["ess_foreign_records_total"] == 1
    assert len(ingest.lines("foreign_record")) == 1


# --- made again


def delete_events_topic(ess):
    admin = ess.broker.admin()
    admin.delete_topics([ess.topic("events")])[ess.topic("events")].result()


def watched(ess):
    """Two subscribers of all that is published; the first has got two events."""
    receiver = ess.receiver()
    ess.subscribe("old", receiver, ["*"])
    for n in range(2):
        ess.publish("w.a", n)
    receiver.wait(2)
    return receiver


def test_an_events_topic_made_again_under_running_daemons_is_noticed_by_both(ess):
    ess.allow("start_over")
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    receiver, feed = watched(ess), genesis_of(ess)
    delete_events_topic(ess)
    ingest.wait_line("start_over", WAIT_S)
    dispatcher.wait_line("start_over", WAIT_S)
    ingest.wait_ready(WAIT_S)
    dispatcher.wait_ready(WAIT_S)
    assert genesis_of(ess) != feed and ingest.wait_line("ready")["feed"] == genesis_of(ess)
    token = wait_for(lambda: went_back(ess, "old"))
    assert token["position"] == 0 and token["feed"] == genesis_of(ess) and "another feed" in token["reason"]
    other = ess.receiver()
    ess.subscribe("new", other, ["*"])
    assert ess.publish("w.a", "new") == 1
    assert other.wait(1)[0].cursor == 1
    assert len(receiver.requests) == 2
    resume(ingest, "old")
    assert receiver.wait(3)[2].json["id"] == other.requests[0].json["id"]


def test_an_events_topic_made_again_under_restarted_daemons_is_noticed(ess):
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    receiver = watched(ess)
    dispatcher.term()
    ingest.term()
    delete_events_topic(ess)
    wait_for(lambda: ess.topic("events") not in ess.broker.admin().list_topics(timeout=10).topics)
    ingest.start()
    ess.publish("w.a", "new")
    dispatcher.start()
    assert wait_for(lambda: went_back(ess, "old"))["position"] == 0
    dispatcher.wait_line("subscriber_disabled", subscriber="old")
    dispatcher.restart()
    other = ess.receiver()
    ess.subscribe("new", other, ["*"], **{"from": "beginning"})
    assert other.wait(1)[0].cursor == 1
    assert len(receiver.requests) == 2 and went_back(ess, "old")


# --- cut


class Cut:
    """An ESS whose events topic is brought back to what it was after its 6th event, while its daemons are stopped or hang.

    `low` has failed since the 4th event, `quiet` wants none of the later events, `high` has got all ten."""

    def __init__(self, ess):
        self.ess = ess
        ess.broker.start()
        self.ingest, self.dispatcher = ess.ingest(), ess.dispatcher()
        self.low, self.quiet, self.high = (ess.receiver() for _ in range(3))
        ess.subscribe("low", self.low, ["c.*"], backoff_min="1s", backoff_max="2s", max_attempts=1000)
        ess.subscribe("quiet", self.quiet, ["c.quiet"])
        ess.subscribe("high", self.high, ["c.*"])
        ess.publish("c.quiet", 1)
        for n in (2, 3):
            ess.publish("c.a", n)
        self.low.wait(3)
        self.low.answers(*[503] * 1000)
        for n in (4, 5, 6):
            ess.publish("c.a", n)
        self.high.wait(6)
        self.feed = genesis_of(ess)
        wait_for(lambda: (token_of(ess, "low") or {}).get("position") == 3)

    def keep(self):
        """The topic's files as they are. A broker makes an index anew that it misses."""
        folder = self.ess.broker.folder / "broker-1/data" / f"{self.ess.topic('events')}-0"
        shutil.copytree(folder, self.ess.folder / "kept", ignore=shutil.ignore_patterns("*index", "*.snapshot"))

    def write_the_rest(self):
        append(self.ess, self.feed, "c.a", ["seven", "eight", "nine", "ten"])
        self.high.wait(10, WAIT_S)
        wait_for(lambda: (token_of(self.ess, "high") or {}).get("position") == 10)
        self.ingest.wait_ready(WAIT_S)

    def go_back(self):
        self.ess.broker.stop()
        folder = self.ess.broker.folder / "broker-1/data" / f"{self.ess.topic('events')}-0"
        shutil.rmtree(folder)
        shutil.copytree(self.ess.folder / "kept", folder)
        self.ess.broker.start()
        assert [m.offset() for m in self.ess.records("events")] == list(range(7))

    def grow(self, count=8):
        append(self.ess, self.feed, "c.a", [f"other-{n}" for n in range(count)], other=True)

    def check(self, passed):
        """`high` had got what is not there any more, those in `passed` had passed it; `low` goes on with what stands there now."""
        ess = self.ess
        token = wait_for(lambda: went_back(ess, "high"), WAIT_S)
        assert token["position"] <= 6 and token["last"] == token["position"], token
        for subscriber in passed:
            assert wait_for(lambda subscriber=subscriber: went_back(ess, subscriber))["position"] <= 6
        high, quiet = len(self.high.requests), len(self.quiet.requests)
        before = len(self.low.requests)
        self.low.answers()
        new = publish_again_and_again(self.ingest, "c.a", "new")
        wait_for(lambda: any(r.cursor == new for r in self.low.requests))
        taken = [r.json for r in self.low.requests[before:]]
        log = [e for e in self.ingest.replay(3).json["events"]]
        settled = {e["cursor"]: e for e in taken}
        assert [settled[e["cursor"]]["id"] for e in log] == [e["id"] for e in log]
        assert (len(self.high.requests), len(self.quiet.requests)) == (high, quiet)
        assert token_of(ess, "low")["state"] != "disabled"
        resume(self.ingest, "high")
        log = self.ingest.replay(token["position"], topics="c.*").json["events"]
        assert [r.json["id"] for r in self.high.wait(high + len(log))[high:]] == [e["id"] for e in log]


@pytest.fixture
def cut(ess_on_own_broker):
    ess_on_own_broker.allow("start_over")
    return Cut(ess_on_own_broker)


@pytest.mark.parametrize("grown", [0, 8])
def test_a_log_that_was_cut_is_noticed_by_restarted_daemons(cut, grown):
    cut.keep()
    cut.write_the_rest()
    cut.dispatcher.term()
    cut.ingest.term()
    cut.go_back()
    cut.grow(grown)
    cut.ingest.start()
    cut.dispatcher.start()
    cut.check(["quiet"])  # its position went with the partition


@pytest.mark.parametrize("grown", [0, 8])
def test_a_log_that_was_cut_under_running_daemons_is_noticed_before_anything_else(cut, grown):
    cut.keep()
    cut.write_the_rest()
    for daemon in (cut.ingest, cut.dispatcher):
        daemon.signal(signal.SIGSTOP)
    cut.go_back()
    cut.grow(grown)
    for daemon in (cut.ingest, cut.dispatcher):
        daemon.signal(signal.SIGCONT)
    cut.ingest.wait_line("start_over", WAIT_S)
    cut.dispatcher.wait_line("start_over", WAIT_S)
    cut.ingest.wait_ready(WAIT_S)
    cut.dispatcher.wait_ready(WAIT_S)
    cut.check([])


def test_a_broker_that_comes_back_with_the_same_log_disturbs_nobody(ess_on_own_broker):
    ess = ess_on_own_broker
    ess.broker.start()
    ingest, dispatcher, receiver = ess.ingest(), ess.dispatcher(), ess.receiver()
    ess.subscribe("s", receiver, ["b.*"])
    for n in range(3):
        ess.publish("b.a", n)
    receiver.wait(3)
    for _ in range(2):
        ess.broker.kill9()
        ingest.wait_line("kafka_down")
        ess.broker.start()
        ingest.wait_ready(WAIT_S)
        cursor = ess.publish("b.a", "after")
        wait_for(lambda: cursor in receiver.cursors(), WAIT_S)
    wait_for(lambda: (r := ingest.replay(0)).status == 200 and len(r.json["events"]) == 5)
    assert not ingest.lines("start_over") and not dispatcher.lines("start_over")
