"""The broker is away for two minutes while publishers go on: first stopped, so that what was sent hangs, then dead.

    make outage
    OUTAGE_S=20 make outage

Each publish is answered, none waits for more than its 2 s (and what a busy machine adds: printed, not judged), memory stays within
`ingest.queue`, and when the broker is back all goes on: what is new at once, and an event whose fate is unknown (it may still lie in a
connection that was cut) after as long as the silence was, 120 s at most. Every 2xx is in the log at its cursor, each id once.
"""
import json
import os
import statistics
import threading
import time

import load
import pytest
from ess import wait_for

OUTAGE_S = float(os.environ.get("OUTAGE_S", 120))
PUBLISHERS, EVENT_BYTES, CALM_S, ANSWER_S_MAX = 64, 10_000, 5, 20
QUEUE_BYTES, UNKNOWN_S_MAX = 64 * 2**20, 120


class Publisher(threading.Thread):
    """One publish after the other, each sent again until it is taken."""

    def __init__(self, ingest, name):
        super().__init__(daemon=True)
        self.ingest, self.prefix, self.taken, self.answers, self.failure = ingest, name, {}, [], None
        self.ending = threading.Event()
        self.start()

    def run(self):
        number = 0
        try:
            while not self.ending.is_set():
                self._publish({"topic": "outage.a", "id": f"{self.prefix}-{number}", "data": "x" * EVENT_BYTES})
                number += 1
        except Exception as failure:
            self.failure = failure

    def _publish(self, event):
        while True:
            began = time.monotonic()
            status, answer = load.post(self.ingest, "/ess/publish", event, timeout=ANSWER_S_MAX)
            self.answers.append((status, time.monotonic() - began))
            if status in (200, 201):
                self.taken[event["id"]] = answer["cursor"]
                return
            assert status == 503, answer
            time.sleep(1)  # its Retry-After


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
    ess.publish("outage.a", "new")
    taken = {publisher: len(publisher.taken) for publisher in publishers}
    wait_for(lambda: all(publisher.failure or len(publisher.taken) > taken[publisher] + 1 for publisher in publishers), UNKNOWN_S_MAX + 60)
    for publisher in publishers:
        publisher.ending.set()
    for publisher in publishers:
        publisher.join(60)
    say(publishers, before, most)
    assert not [publisher.failure for publisher in publishers if publisher.failure]
    assert most < before + QUEUE_BYTES
    log = {record.offset(): json.loads(record.value())["id"] for record in ess.records("events") if record.offset() > 0}
    acknowledged = {id: cursor for publisher in publishers for id, cursor in publisher.taken.items()}
    assert [(id, cursor) for id, cursor in acknowledged.items() if log.get(cursor) != id] == []
    assert len(set(log.values())) == len(log), "an id is there twice"
