"""Everything at once, for a while: what was acknowledged is delivered or dead-lettered to everyone who wants it, in order, with the same
bytes each time, and no faster than wanted, whatever was killed, stopped or cut off meanwhile.

    make chaos                       a minute of faults
    make chaos-long                  half an hour
    CHAOS_SEED=7 CHAOS_S=300 make chaos
"""
import collections
import http.client
import itertools
import os
import random
import time

import faults
import load
import pytest
import verdict
from ess import wait_for

SECONDS = float(os.environ.get("CHAOS_S", 60))
SEED = int(os.environ.get("CHAOS_SEED", 0)) or random.SystemRandom().randrange(1, 10**6)
CATCH_UP_S = 60 + SECONDS
PUBLISHERS, PER_SEC = 6, 6
SHOWN = 5  # lines of each check


class Jobs:
    """Replays that are given now and then, while everything breaks."""

    def __init__(self, ingests, subscribers, rng):
        self.ingests, self.subscribers, self.rng, self.given = ingests, subscribers, rng, []

    def give(self, end):
        subscriber = self.rng.choice(self.subscribers)
        low = self.rng.randrange(end)
        high = self.rng.randrange(low, min(end, low + 100)) + 1
        for ingest in self.ingests:
            try:
                status, answer = load.post(ingest, f"/ess/subscribers/{subscriber.id}/replay", {"from": low, "to": high})
            except (OSError, http.client.HTTPException):
                continue
            if status == 202:
                self.given.append((subscriber, str(answer["generation"]), low, high))
                return
            assert status == 503, answer


def change_filters(ingests, subscribers, rng):
    """An answer that is lost or refused changes nothing for the verdict: whichever filter is in force is one of the subscriber's."""
    for subscriber in subscribers:
        if subscriber.changing:
            subscriber.change_filter(rng)
            try:
                status, answer = load.call(rng.choice(ingests), "PUT", f"/ess/subscribers/{subscriber.id}", subscriber.spec())
            except (OSError, http.client.HTTPException):
                continue
            assert status in (200, 202, 503), answer


def acknowledged(publishers):
    return {id: taken for publisher in publishers for id, taken in list(publisher.acknowledged.items())}


def publish_last(ess, subscribers):
    """An event after all others for each subscriber; its cursor. A checkpoint that only passes the events of others is minutes late."""
    events = [{"topic": topic, "data": {"state": state}} for topic in sorted(set(load.TOPICS)) for state in sorted(set(load.STATES))]
    cursors = [ess.publish(**event) for event in events]
    return {s.id: max(cursor for cursor, event in zip(cursors, events) if s.wants(event)) for s in subscribers}


def settled(ingest, subscribers, last):
    def one(subscriber):
        answer = ingest.get(f"/ess/subscribers/{subscriber.id}")
        status = answer.json["status"] if answer.status == 200 else {}
        return status.get("cursor", -1) >= last[subscriber.id] and status.get("jobs") == []
    return all(map(one, subscribers))


def statuses(ingest, subscribers):
    return {s.id: ingest.get(f"/ess/subscribers/{s.id}").json.get("status") for s in subscribers}


@pytest.mark.timeout(int(2 * SECONDS + 240))
def test_nothing_is_lost_reordered_or_hurried_whatever_breaks(ess):
    print(f"CHAOS_SEED={SEED} CHAOS_S={SECONDS:.0f}")
    rng = random.Random(SEED)
    ingests = [ess.ingest(), ess.ingest({"subscribers.dir": "none"})]
    dispatchers = [ess.dispatcher(), ess.dispatcher()]
    subscribers = load.subscribers(ess)
    for number, subscriber in enumerate(subscribers):
        subscriber.register(ess, by_file=number % 2 == 0)
    wait_for(lambda: len(ingests[1].get("/ess/subscribers").json["subscribers"]) == len(subscribers))
    publishers = [load.Publisher(f"p{n}", ingests, PER_SEC, random.Random(rng.random())) for n in range(PUBLISHERS)]
    jobs = Jobs(ingests, subscribers, rng)
    breaking = faults.Faults([(3, faults.of_daemon(d)) for d in ingests + dispatchers] + [(3, faults.of_broker(ess.broker))] +
                             [(0.3, faults.of_endpoint(s)) for s in subscribers], rng, pause=(0.5, 4))
    rounds = 12
    for _ in range(rounds):
        breaking.run(SECONDS / rounds)
        change_filters(ingests, subscribers, rng)
        jobs.give(max((taken[0] for taken in acknowledged(publishers).values()), default=1))
    breaking.heal()
    for daemon in ingests + dispatchers:
        daemon.wait_ready(60)
    for publisher in publishers:
        publisher.stop()
    sent = acknowledged(publishers)
    last = publish_last(ess, subscribers)
    began = time.monotonic()
    wait_for(lambda: settled(ingests[0], subscribers, last), CATCH_UP_S, lambda: statuses(ingests[0], subscribers))

    log = verdict.Log(ess)
    copies = sum(n > 1 for n in collections.Counter(event["id"] for event in log.events.values()).values())
    print(f"faults={len(breaking.done)} events={len(log.events)} acknowledged={len(sent)} twice_in_log={copies} jobs={len(jobs.given)} "
          f"webhooks={sum(len(s.receipts) for s in subscribers)} dead_letters={sum(map(len, log.dead.values()))} "
          f"caught_up_s={time.monotonic() - began:.1f}")
    checks = [verdict.acknowledged_is_there(log, sent), *(verdict.job_is_done(log, *job) for job in jobs.given)]
    for subscriber in subscribers:
        checks += [check(log, subscriber) for check in verdict.OF_A_SUBSCRIBER]
    wrong = [line for check in checks for line in itertools.islice(check, SHOWN)]
    assert not wrong, f"seed {SEED}:\n" + "\n".join(wrong)
