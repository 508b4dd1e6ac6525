"""Several dispatchers share the subscribers. They come and go, are killed and stopped; what receivers see stays whole and in order."""
import contextlib
import itertools
import json
import re
import signal
import threading
import time

import confluent_kafka
import pytest

from ess import Answer, wait_for

SESSION_S = 10
TAKEN_OVER_S = 60  # only a failing test ever waits that long
CLAIM = b"\0claim"


class Flow:
    """Publishes an event every 50 ms in the background, and remembers the cursors."""

    def __init__(self, ess, topic="a"):
        self.ess, self.topic, self.cursors, self._end, self._failure = ess, topic, [], threading.Event(), None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._end.wait(0.05):
                self.cursors.append(self.ess.publish(self.topic, len(self.cursors)))
        except Exception as failure:
            self._failure = failure

    def stop(self):
        """Waits for the last one's answer. May be called again."""
        self._end.set()
        self._thread.join()
        if self._failure:
            raise self._failure

    def wait_more(self, count):
        """Until so many more were published."""
        target = len(self.cursors) + count
        wait_for(lambda: len(self.cursors) >= target or self._failure)


def owned(dispatcher):
    """The subscribers that run there."""
    names = (re.fullmatch(r'ess_subscriber_lag_events\{subscriber="(.+)"\}', name) for name in dispatcher.metrics())
    return {name[1] for name in names if name}


def shared_by(dispatchers, ids):
    shares = [owned(d) for d in dispatchers]
    return sum(map(len, shares)) == len(ids) and set().union(*shares) == set(ids)


def wait_shared_by(dispatchers, ids):
    """Until these have all, each one once; how long that took."""
    began = time.monotonic()
    wait_for(lambda: shared_by(dispatchers, ids), TAKEN_OVER_S, lambda: [sorted(owned(d)) for d in dispatchers])
    return time.monotonic() - began


def received(receiver, id):
    return [request for request in list(receiver.requests) if request.headers["X-ESS-Subscriber"] == id]


def first_receipts(receiver, id):
    return list({request.cursor: request for request in reversed(received(receiver, id))}.values())[::-1]


def assert_whole_and_in_order(receiver, ids, cursors):
    """Each got every event, first receipts in order, each naming the one before it."""
    for id in ids:
        wait_for(lambda: {r.cursor for r in received(receiver, id)} >= set(cursors), told=lambda: f"{id} misses some")
        firsts = sorted(first_receipts(receiver, id), key=lambda request: request.at)
        assert [request.cursor for request in firsts] == cursors, id
        assert [request.json["prev_cursor"] for request in firsts[1:]] == cursors[:-1], id


def repeats(receiver, ids):
    return {id: [c for c, n in count_of(r.cursor for r in received(receiver, id)).items() if n > 1] for id in ids}


def count_of(items):
    counts = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return counts


def longest_pause(receiver, ids):
    """Between two receipts of one subscriber."""
    pauses = [0]
    for id in ids:
        times = [request.at for request in received(receiver, id)]
        pauses += [later - earlier for earlier, later in itertools.pairwise(times)]
    return max(pauses)


IDS = [f"s{n}" for n in range(12)]
ALL = [*IDS, "quiet", "slow"]


@pytest.fixture
def receiver(ess):
    receiver = ess.receiver()
    receiver.idle_timeout = 120  # the connections of one that was stopped are still good when it wakes
    return receiver


@pytest.fixture
def pair(ess, receiver):
    """Two dispatchers that share twelve subscribers of topic a, one of topic quiet, and one of topic slow that has a throttle and
    long has to go; the first of the two has that."""
    ess.ingest()
    first = ess.dispatcher()
    for id in IDS:
        ess.subscribe(id, receiver, ["a"], wait=False)
    ess.subscribe("quiet", receiver, ["quiet"], wait=False)
    ess.subscribe("slow", receiver, ["slow"], wait=False, throttle=5)
    wait_shared_by([first], ALL)
    second = ess.dispatcher()
    wait_shared_by([first, second], ALL)
    ess.slow = [ess.publish("slow", n) for n in range(250)]
    return [first, second] if "slow" in owned(first) else [second, first]


@pytest.fixture
def flow(ess, pair):
    flow = Flow(ess)
    flow.wait_more(20)
    yield flow
    flow.stop()


@contextlib.contextmanager
def stopped(daemon):
    daemon.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.signal(signal.SIGCONT)


def assert_slow_went_on(ess, receiver):
    """It still gets its events, in order, and its throttle was never broken."""
    so_far = len(received(receiver, "slow"))
    wait_for(lambda: len(received(receiver, "slow")) >= so_far + 7)
    firsts = [request.cursor for request in first_receipts(receiver, "slow")]
    assert firsts == ess.slow[:len(firsts)]
    times = [request.at for request in received(receiver, "slow")]
    assert all(later - earlier > 1 for earlier, later in zip(times, times[5:])), "more than 5 in a second"


# --- coming and going


def test_two_dispatchers_share_the_subscribers(ess, receiver, pair):
    shares = [owned(d) for d in pair]
    assert all(shares) and not shares[0] & shares[1] and shares[0] | shares[1] == set(ALL)
    cursors = [ess.publish("a", n) for n in range(10)]
    assert_whole_and_in_order(receiver, IDS, cursors)
    assert not any(repeats(receiver, ALL).values())
    assert all(d.get("/readyz").status == 200 for d in pair)


def test_one_that_joins_takes_a_share_and_nothing_is_sent_twice(ess, receiver, pair, flow):
    receiver.answer = lambda request: Answer(delay=0.05)
    began = time.monotonic()
    third = ess.dispatcher()
    wait_shared_by([*pair, third], ALL)
    print(f"a third has its share {time.monotonic() - began:.2f} s after its start")
    assert_slow_went_on(ess, receiver)
    flow.stop()
    assert_whole_and_in_order(receiver, IDS, flow.cursors)
    print(f"longest pause of a subscriber: {longest_pause(receiver, IDS):.2f} s")
    assert not any(repeats(receiver, ALL).values())
    assert owned(third)
    assert not any(d.lines("partitions_lost") or d.lines("lease_expired") for d in pair)


def test_an_attempt_that_takes_three_seconds_survives_that_another_joins(ess, receiver):
    ess.ingest()
    first = ess.dispatcher()
    receiver.answer = lambda request: Answer(delay=3)
    ids = [f"three{n}" for n in range(6)]
    for id in ids:
        ess.subscribe(id, receiver, ["a"])
    cursor = ess.publish("a", 1)
    receiver.wait(len(ids))
    second = ess.dispatcher(ready=False)
    first.wait_line("revoked")
    wait_shared_by([first, second], ids)
    receiver.answer = lambda request: Answer()
    last = ess.publish("a", 2)
    for id in ids:
        wait_for(lambda: last in [request.cursor for request in received(receiver, id)])
        assert [request.cursor for request in received(receiver, id)] == [cursor, last], id


def test_at_sigterm_the_other_has_all_and_nothing_is_sent_twice(ess, receiver, pair, flow):
    receiver.answer = lambda request: Answer(delay=0.05)
    pair[0].signal(signal.SIGTERM)
    print(f"after SIGTERM the other had all in {wait_shared_by(pair[1:], ALL):.2f} s")
    assert pair[0].wait_exit() == 0
    assert_slow_went_on(ess, receiver)
    flow.stop()
    assert_whole_and_in_order(receiver, IDS, flow.cursors)
    print(f"longest pause of a subscriber: {longest_pause(receiver, IDS):.2f} s")
    assert not any(repeats(receiver, ALL).values())
    assert not pair[1].lines("partitions_lost") and not pair[1].lines("lease_expired")


def test_when_one_is_killed_the_other_has_all(ess, receiver, pair, flow):
    pair[0].kill9()
    print(f"after kill -9 the other had all in {wait_shared_by(pair[1:], ALL):.2f} s (session {SESSION_S} s)")
    assert_slow_went_on(ess, receiver)
    flow.stop()
    assert_whole_and_in_order(receiver, IDS, flow.cursors)
    print(f"longest pause of a subscriber: {longest_pause(receiver, IDS):.2f} s")
    pair[0].start()
    wait_shared_by(pair, ALL)


def test_one_that_was_stopped_and_wakes_starts_nothing_and_writes_nothing_that_counts(ess, receiver, pair, flow):
    """Its lanes were under way, those of topic quiet were not; what was published meanwhile lies in its sockets when it wakes."""
    quiet = [ess.publish("quiet", n) for n in range(5)]
    assert_whole_and_in_order(receiver, ["quiet"], quiet)
    with stopped(pair[0]):
        until = time.monotonic() + 30
        print(f"after SIGSTOP the other had all in {wait_shared_by(pair[1:], ALL):.2f} s (session {SESSION_S} s)")
        quiet += [ess.publish("quiet", n) for n in range(5)]
        assert_whole_and_in_order(receiver, ["quiet"], quiet)
        assert_slow_went_on(ess, receiver)
        before = repeats(receiver, ALL)  # what was under way, and what was settled in the second before
        wait_for(lambda: time.monotonic() > until, 40)
    assert pair[0].wait_line("partitions_lost")
    wait_shared_by(pair, ALL)
    assert_slow_went_on(ess, receiver)
    flow.stop()
    quiet.append(ess.publish("quiet", "again"))
    assert_whole_and_in_order(receiver, IDS, flow.cursors)
    assert_whole_and_in_order(receiver, ["quiet"], quiet)
    assert repeats(receiver, ALL) == before
    for dispatcher in pair:
        dispatcher.term()
    for id in IDS:
        position, epoch, claims = newest_token(ess, id)
        assert position >= flow.cursors[-1] and epoch >= max(claims, default=-1), id
    pair[0].start()
    flow.cursors.append(ess.publish("a", "last"))
    assert_whole_and_in_order(receiver, IDS, flow.cursors)
    assert repeats(receiver, ALL) == before


# --- the log's rules, by records that a deposed dispatcher could have written


def partition_records(ess, id):
    records = ess.records("tokens")
    partition = next(record.partition() for record in records if record.key() == id.encode())
    return partition, [record for record in records if record.partition() == partition]


def newest_token(ess, id):
    """(position, epoch, offsets of the claims before it)"""
    _, records = partition_records(ess, id)
    token = [record for record in records if record.key() == id.encode()][-1]
    claims = [record.offset() for record in records if record.key() == CLAIM and record.offset() < token.offset()]
    value = json.loads(token.value())
    return value["position"], value["epoch"], claims


def plant(ess, partition, key, value):
    ess.append("tokens", key, json.dumps(value), partition)


@pytest.fixture
def single(ess, receiver):
    """A dispatcher, and a subscriber that has got three events."""
    ess.ingest()
    dispatcher = ess.dispatcher()
    ess.subscribe("md-mm1", receiver, ["a"])
    cursors = [ess.publish("a", n) for n in range(3)]
    wait_for(lambda: newest_position(ess) == cursors[-1])
    return dispatcher, cursors


def newest_position(ess):
    return newest_token(ess, "md-mm1")[0] if any(record.key() == b"md-mm1" for record in ess.records("tokens")) else None


def test_a_void_token_is_written_again_by_the_owner_and_does_not_count(ess, receiver, single):
    dispatcher, cursors = single
    partition, records = partition_records(ess, "md-mm1")
    token = json.loads(records[-1].value())
    plant(ess, partition, b"md-mm1", {**token, "epoch": token["epoch"] - 1, "position": 1, "last": 1})
    wait_for(lambda: newest_token(ess, "md-mm1")[:2] == (cursors[-1], token["epoch"]))
    dispatcher.term()
    plant(ess, partition, b"md-mm1", {**token, "epoch": token["epoch"] - 1, "position": 1, "last": 1})
    dispatcher.start()
    wait_for(lambda: newest_token(ess, "md-mm1")[0] == cursors[-1])
    cursors.append(ess.publish("a", "last"))
    assert_whole_and_in_order(receiver, ["md-mm1"], cursors)
    assert not repeats(receiver, ["md-mm1"])["md-mm1"]


def test_an_older_token_of_the_same_owner_that_is_appended_late_does_not_count(ess, receiver, single):
    dispatcher, cursors = single
    cursors.append(ess.publish("a", "next"))
    wait_for(lambda: newest_position(ess) == cursors[-1])  # by its second token, at least
    partition, records = partition_records(ess, "md-mm1")
    token = json.loads(records[-1].value())
    older = {**token, "n": token["n"] - 1, "position": 1, "last": 1}
    plant(ess, partition, b"md-mm1", older)
    wait_for(lambda: newest_token(ess, "md-mm1")[:2] == (cursors[-1], token["epoch"]))
    dispatcher.kill9()
    plant(ess, partition, b"md-mm1", older)
    dispatcher.start()
    wait_for(lambda: newest_token(ess, "md-mm1")[0] == cursors[-1])
    cursors.append(ess.publish("a", "last"))
    assert_whole_and_in_order(receiver, ["md-mm1"], cursors)
    assert not repeats(receiver, ["md-mm1"])["md-mm1"]


def is_written_again(ess, position):
    newest = [record.value() for record in ess.records("tokens") if record.key() == b"md-mm1"][-1]
    return newest and json.loads(newest)["position"] == position


def test_a_tombstone_that_comes_late_takes_nothing_from_a_registration(ess, receiver, single):
    """An earlier owner's, of an earlier registration under the same id."""
    dispatcher, cursors = single
    partition, _ = partition_records(ess, "md-mm1")
    ess.append("tokens", b"md-mm1", None, partition)
    wait_for(lambda: is_written_again(ess, cursors[-1]))
    dispatcher.kill9()
    ess.append("tokens", b"md-mm1", None, partition)
    dispatcher.start()
    wait_for(lambda: is_written_again(ess, cursors[-1]))
    cursors.append(ess.publish("a", "last"))
    assert_whole_and_in_order(receiver, ["md-mm1"], cursors)
    assert not repeats(receiver, ["md-mm1"])["md-mm1"]


def test_a_claim_of_another_makes_the_owner_claim_again_and_write_its_tokens_anew(ess, receiver, single):
    dispatcher, cursors = single
    partition, _ = partition_records(ess, "md-mm1")
    _, epoch, _ = newest_token(ess, "md-mm1")
    plant(ess, partition, CLAIM, {"v": 1, "owner": "00000000000000ff", "assignment": "0000000000000001"})
    dispatcher.wait_line("claimed_by_another", partition=partition)
    wait_for(lambda: newest_token(ess, "md-mm1")[1] > epoch + 1)
    position, epoch, claims = newest_token(ess, "md-mm1")
    assert position == cursors[-1] and epoch == max(claims)
    cursors.append(ess.publish("a", "last"))
    assert_whole_and_in_order(receiver, ["md-mm1"], cursors)
    assert not repeats(receiver, ["md-mm1"])["md-mm1"]


def test_what_another_owner_has_applied_stays_when_the_partition_is_claimed_again(ess, receiver, single):
    """The other's claim and its token of a rewind, in one batch: our own claim comes after both."""
    dispatcher, cursors = single
    partition, records = partition_records(ess, "md-mm1")
    token = json.loads(records[-1].value())
    epoch = records[-1].offset() + 1
    producer = confluent_kafka.Producer({"bootstrap.servers": ess.broker.address, "log_level": 0, "linger.ms": 200})
    claim = {"v": 1, "owner": "00000000000000ff", "assignment": "0000000000000001"}
    rewound = {**token, "epoch": epoch, "n": token["n"] + 1, "position": 0, "last": 0, "delivered": 77}
    for key, value in ((CLAIM, claim), (b"md-mm1", rewound)):
        producer.produce(ess.topic("tokens"), json.dumps(value), key, partition)
    assert producer.flush(30) == 0
    dispatcher.wait_line("claimed_by_another", partition=partition)
    wait_for(lambda: len(received(receiver, "md-mm1")) == 2 * len(cursors))
    assert [request.cursor for request in received(receiver, "md-mm1")] == 2 * cursors
    wait_for(lambda: newest_position(ess) == cursors[-1] and newest_token(ess, "md-mm1")[1] > epoch)
    assert json.loads(partition_records(ess, "md-mm1")[1][-1].value())["delivered"] == 77 + len(cursors)


def test_a_token_that_cannot_be_read_costs_only_its_own_subscriber(ess, receiver, single):
    ess.allow("bad_record")
    dispatcher, _ = single
    ess.subscribe("other", receiver, ["a"])
    partition, _ = partition_records(ess, "md-mm1")
    plant(ess, partition, b"md-mm1", {"v": 2})
    dispatcher.wait_line("bad_record", topic=ess.topic("tokens"), partition=partition, subscriber="md-mm1")
    before = len(received(receiver, "md-mm1"))
    cursor = ess.publish("a", "last")
    wait_for(lambda: cursor in [request.cursor for request in received(receiver, "other")])
    dispatcher.restart()
    cursor = ess.publish("a", "more")
    wait_for(lambda: cursor in [request.cursor for request in received(receiver, "other")])
    assert len(received(receiver, "md-mm1")) == before
    assert json.loads(partition_records(ess, "md-mm1")[1][-1].value()) == {"v": 2} or newest_is_claim(ess, "md-mm1")


def newest_is_claim(ess, id):
    """Of all records of its partition the only ones after its token are claims."""
    _, records = partition_records(ess, id)
    return json.loads([record for record in records if record.key() == id.encode()][-1].value()) == {"v": 2}


# --- without Kafka


def test_without_kafka_for_a_session_nothing_is_sent_until_the_group_is_heard_of_again(ess_on_own_broker):
    ess = ess_on_own_broker
    ess.broker.start()
    receiver = ess.receiver()
    ess.ingest()
    dispatcher = ess.dispatcher()
    ess.subscribe("md-mm1", receiver, ["a"], backoff_min="200ms", backoff_max="200ms", max_attempts=1000)
    receiver.answer = lambda request: Answer(503)
    cursor = ess.publish("a", 1)
    receiver.wait(2)
    ess.broker.kill9()
    dispatcher.wait_line("lease_expired")
    receiver.answer = lambda request: Answer()
    silent_from = len(receiver.requests)
    ess.broker.start()
    wait_for(lambda: len(receiver.requests) > silent_from, TAKEN_OVER_S)
    last = [ess.publish("a", n) for n in (2, 3)]
    assert_whole_and_in_order(receiver, ["md-mm1"], [cursor, *last])
