#!/usr/bin/env python3
"""How fast one ess-dispatcher delivers, beside a bare libcurl loop on the same core in the same run.

    make bench-delivery          builds what it needs and runs it

Events of 1 KB wait in the log; the dispatcher has core 0 for itself, the receiver (and the broker) the rest. Then the bare loop has
core 0, against the same receiver. Three rounds; of each its figures, and the ratios in the median. Loopback only, about a minute.
"""
import subprocess

from bench import BENCH, Receiver, cpu_s, median, pin, run, running, say
from ess import wait_for

ROUNDS, FILL_S, IN_FLIGHT = 3, 8, 32


def fill(ingest):
    """Events of 1 KB; how many, when all of them were read."""
    host, port = ingest.address.rsplit(":", 1)
    subprocess.run([BENCH / "load", host, port, "64", str(FILL_S), "1"], check=True)
    events = int(ingest.metrics()['ess_publish_total{outcome="created"}'])
    wait_for(lambda: ingest.metrics()["ess_feed_cursor"] == events)
    return events


def measure_ess(ess, receiver, events, number):
    dispatcher = ess.dispatcher()
    pid = dispatcher.process.pid
    pin(pid, 0)
    before = cpu_s(pid)
    file = ess.write(f"bench-{number}.yml", f"id: bench-{number}\nurl: {receiver.url}\ntopics: ['*']\nsecret: s3cr3t\nfrom: beginning\n"
                     f"ordering: none\nmax_in_flight: {IN_FLIGHT}\n")
    found = receiver.line()
    cpu = cpu_s(pid) - before
    file.unlink()
    wait_for(lambda: dispatcher.lines("subscriber_stopped", subscriber=f"bench-{number}"))
    dispatcher.term()
    return {"ess_per_sec": found["per_sec"], "ess_cpu_us": cpu * 1e6 / events}


def measure_bare(ess, receiver, events):
    found = run(["taskset", "-c", "0", BENCH / "webhooks", "bare", receiver.url, ess.ca.pem, events, IN_FLIGHT, 1100])
    return {"bare_per_sec": receiver.line()["per_sec"], "bare_cpu_us": found["cpu_us_each"]}


with running() as ess:
    events = fill(ess.ingest())
    receiver = Receiver(["taskset", "-c", "1", BENCH / "webhooks", "receive", *ess.ca.certificate(), events, 600])
    rows = []
    for number in range(ROUNDS):
        row = measure_ess(ess, receiver, events, number) | measure_bare(ess, receiver, events)
        row |= {"ratio": row["ess_per_sec"] / row["bare_per_sec"], "cpu_ratio": row["bare_cpu_us"] / row["ess_cpu_us"]}
        say("delivery", events=events, **row)
        rows.append(row)
    receiver.end()
    say("delivery median", ratio=median(rows, "ratio"), cpu_ratio=median(rows, "cpu_ratio"))
