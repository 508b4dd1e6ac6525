#!/usr/bin/env python3
"""How fast lanes deliver that are far behind, beside a bare libcurl loop on the same core in the same run.

    make bench-catch-up
    EVENTS=1000000 make bench-catch-up

Events of 1 KB lie in the log. Then in turn: the bare loop; one lane from the beginning; 100 lanes from the beginning; 100 lanes at 100 places
of the log. All without order, 32 in flight; the dispatcher (and the bare loop) has core 0, all else the rest. Each until as many webhooks
have come as there are events. Loopback only, two minutes.
"""
import json
import os

from bench import BENCH, Receiver, cpu_s, pin, resident_mib, run, running, say
from ess import wait_for

EVENTS, EVENT_BYTES, IN_FLIGHT, LANES, PATIENCE_S = int(os.environ.get("EVENTS", "200000")), 1000, 32, 100, 600


def receiver_for(ess):
    return Receiver(["taskset", "-c", "1", BENCH / "webhooks", "receive", *ess.ca.certificate(), EVENTS, PATIENCE_S])


def bare(ess):
    receiver = receiver_for(ess)
    found = run(["taskset", "-c", "0", BENCH / "webhooks", "bare", receiver.url, ess.ca.pem, EVENTS, IN_FLIGHT, EVENT_BYTES + 100])
    receiver.end()
    say("bare", per_sec=int(found["per_sec"]), cpu_us_each=found["cpu_us_each"])
    return found["per_sec"]


def register(ingest, receiver, places):
    for n, place in enumerate(places):
        answer = ingest.post(json.dumps({"id": f"lane-{n}", "url": receiver.url, "topics": ["bench.*"], "from": place, "ordering": "none",
                                         "max_in_flight": IN_FLIGHT}), "/register")
        assert answer.status == 201, answer


def remove(ingest, dispatcher, places):
    for n in range(len(places)):
        assert ingest.request("DELETE", f"/ess/subscribers/lane-{n}").status == 202
    wait_for(lambda: not any(name.startswith("ess_subscriber_lag_events") for name in dispatcher.metrics()))


def lanes(ess, ingest, what, places, limit):
    dispatcher, receiver = ess.dispatcher(start=False), receiver_for(ess)
    register(ingest, receiver, places)
    dispatcher.start(ready=False)
    pid = dispatcher.process.pid
    pin(pid, 0)
    found = receiver.line()
    say(what, lanes=len(places), events_behind=EVENTS, per_sec=int(found["per_sec"]), ratio_to_bare=found["per_sec"] / limit,
        cpu_us_each=cpu_s(pid) * 1e6 / EVENTS, resident_mib=resident_mib(pid))
    remove(ingest, dispatcher, places)
    dispatcher.term()
    receiver.end()


with running() as ess:
    ingest = ess.ingest()
    run([BENCH / "feed", "fill", ess.broker.address, ess.prefix, EVENTS, EVENT_BYTES])
    limit = bare(ess)
    lanes(ess, ingest, "catch_up_one", [0], limit)
    lanes(ess, ingest, "catch_up_at_one_place", [0] * LANES, limit)
    lanes(ess, ingest, "catch_up_at_many_places", [n * (EVENTS // LANES // 2) for n in range(LANES)], limit)
