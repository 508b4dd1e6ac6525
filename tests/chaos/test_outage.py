"""The broker is away for two minutes while publishers go on: first stopped, so that what was sent hangs, then dead.

    make outage
    OUTAGE_S=20 make outage

Each publish is answered, none waits for more than its 2 s (and what a busy machine adds: printed, not judged), memory stays within
`ingest.queue`, and when the broker is back all goes on: what is new at once, and an event whose fate is unknown (it may still lie in a
connection that was cut) after as long as the silence was, 120 s at most. Every 2xx is in the log at its cursor, each id once.
"""
import itertools
import os
import random
import statistics
import time

import load
import pytest
import verdict
from ess import wait_for

OUTAGE_S = float(os.environ.get("OUTAGE_S", 120))
PUBLISHERS, PER_SEC, PADDING, CALM_S, ANSWER_S_MAX = 64, 5, "x" * 10_000, 5, 20
QUEUE_BYTES, UNKNOWN_S_MAX = 64 * 2**20, 120


class Publisher(load.Publisher):
    """One that must always be answered, and keeps how long each answer took."""

    RETRY_S = 1  # the answer's Retry-After

    def __init__(self, ingest, name):
        self.answers = []
        super().__init__(name, [ingest], PER_SEC, random.Random(name))

    def _post(self, event):
        event["data"]["padding"] = PADDING
        began = time.monotonic()
        status, answer = load.post(self.ingests[0], "/ess/publish", event, timeout=ANSWER_S_MAX)
        self.answers.append((status, time.monotonic() - began))
        return status, answer


def watch(ingest, seconds):
    """The most memory that it had in that time."""
    most, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        most = max(most, ingest.metrics()["process_resident_memory_bytes"])
        time.sleep(0.5)
    return most


def say(publishers, before, most):
    answers = [answer for publisher in publishers for answer in publisher.answers]
    refused = sorted(taken for status, taken in answers if status == 503)
    print(f"\noutage_s={OUTAGE_S:.0f} answers={len(answers)} refused={len(refused)} refused_median_s={statistics.median(refused):.2f} "
          f"refused_most_s={refused[-1]:.2f} memory_before_mib={before / 2**20:.0f} memory_most_mib={most / 2**20:.0f}")


@pytest.mark.timeout(OUTAGE_S + 400)
def test_with_the_broker_away_under_load_all_are_answered_memory_is_flat_and_nothing_that_was_taken_is_lost(ess):
    ingest = ess.ingest()
    publishers = [Publisher(ingest, f"p{n}") for n in range(PUBLISHERS)]
    before = watch(ingest, CALM_S)
    ess.broker.freeze()
    most = watch(ingest, OUTAGE_S / 2)
    ess.broker.kill9()
    most = max(most, watch(ingest, OUTAGE_S / 2))
    ess.broker.start()
    ingest.wait_ready(60)
    ess.publish("outage.new", 1)
    taken = {publisher: len(publisher.acknowledged) for publisher in publishers}
    wait_for(lambda: all(publisher.failure or len(publisher.acknowledged) > taken[publisher] + 1 for publisher in publishers), UNKNOWN_S_MAX + 60)
    for publisher in publishers:
        publisher.stop()  # raises what it met
    say(publishers, before, most)
    assert most < before + QUEUE_BYTES
    log = verdict.Log(ess)
    acknowledged = {id: taken for publisher in publishers for id, taken in publisher.acknowledged.items()}
    assert list(itertools.islice(verdict.acknowledged_is_there(log, acknowledged), verdict.SHOWN)) == []
    ids = [event["id"] for event in log.events.values()]
    assert len(set(ids)) == len(ids), "an id is there twice"
