#!/usr/bin/env python3
"""How fast a strict subscriber far behind catches up with batches, beside the same one without.

    make bench-batch
    EVENTS=1000000 make bench-batch

Events of 1 KB lie in the log. The endpoint answers each request after 40 ms. First a subscriber without batches gets events for a while, which
is its rate; then one with `batch: {max_events: 100}` gets all of them, with an event in the middle that the endpoint refuses. Loopback only.
"""
import json
import os
import time

from bench import BENCH, cpu_s, resident_mib, run, running, say
from ess import Answer, wait_for

EVENTS, EVENT_BYTES, LATENCY_S, SINGLE_S, PATIENCE_S = int(os.environ.get("EVENTS", "100000")), 1000, 0.04, 10, 3600
POISON = EVENTS // 2


class Endpoint:
    """Counts events, keeps no body, and refuses the one in the middle."""

    def __init__(self, receiver):
        self.receiver, self.events, self.requests, self.newest, self.first_at, self.at = receiver, 0, 0, 0, None, None
        receiver.answer = self.answer

    def answer(self, request):
        self.receiver.requests.clear()
        self.first_at = self.first_at or request.at
        cursors = [event["cursor"] for event in request.json["events"]] if "X-ESS-Events" in request.headers else [request.cursor]
        self.requests += 1
        if POISON in cursors:
            return Answer(422, delay=LATENCY_S)
        assert cursors[0] > self.newest, "out of order, or twice"
        self.events, self.newest, self.at = self.events + len(cursors), cursors[-1], time.monotonic()
        return Answer(delay=LATENCY_S)

    def per_sec(self):
        return self.events / (self.at - self.first_at)


def register(ess, ingest, id, **fields):
    receiver = ess.receiver()
    answer = ingest.post(json.dumps({"id": id, "url": receiver.url(), "topics": ["bench.*"], "from": 0, **fields}), "/register")
    assert answer.status == 201, answer
    return Endpoint(receiver)


with running() as ess:
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    run([BENCH / "feed", "fill", ess.broker.address, ess.prefix, EVENTS, EVENT_BYTES])
    wait_for(lambda: ingest.metrics()["ess_feed_cursor"] >= EVENTS)
    single = register(ess, ingest, "single")
    wait_for(lambda: single.events and single.at - single.first_at > SINGLE_S)
    one = single.per_sec()
    assert ingest.request("DELETE", "/ess/subscribers/single").status == 202
    say("single", events_behind=EVENTS, per_sec=one)
    before = cpu_s(dispatcher.process.pid)
    batches = register(ess, ingest, "batches", batch={"max_events": 100})
    wait_for(lambda: batches.events == EVENTS - 1, PATIENCE_S, told=lambda: batches.events)
    wait_for(lambda: ingest.status("batches")["dead_lettered"] == 1)
    say("batches", events_behind=EVENTS, requests=batches.requests, per_sec=batches.per_sec(), ratio=batches.per_sec() / one,
        cpu_us_each=(cpu_s(dispatcher.process.pid) - before) * 1e6 / EVENTS, resident_mib=resident_mib(dispatcher.process.pid), dead_letters=1)
