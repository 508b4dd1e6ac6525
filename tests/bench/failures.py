#!/usr/bin/env python3
"""What endpoints cost that fail now and then: 32 subscribers without order, one dispatcher.

    make bench-failures

Events of 1 KB wait in the log. 32 subscribers get all of them, from endpoints that take everything, and from endpoints that answer 503
to 10 % of the requests, in turn. Deliveries a second of the first 150,000 that were taken, and the ratio in the median. The dispatcher has core 0 for itself. Loopback only, about two minutes.
"""
import subprocess
import sys

from bench import BENCH, Receiver, cpu_s, median, pin, running, say
from ess import wait_for

ROUNDS, EVENTS, SUBSCRIBERS, FAILS, WANTED, AIM = 3, 6000, 32, 10, 150_000, 0.5


def fill(ingest):
    """Events of 1 KB; how many, when all of them were read: those that were under way at the load's end too."""
    host, port = ingest.address.rsplit(":", 1)
    while ingest.metrics()["ess_feed_cursor"] < EVENTS:
        subprocess.run([BENCH / "load", host, port, "64", "1", "1"], check=True)

    def read():
        metrics = ingest.metrics()
        return metrics["ess_feed_cursor"] == metrics['ess_publish_total{outcome="created"}'] and int(metrics["ess_feed_cursor"])
    return wait_for(read)


def measure(ess, fails, number):
    receiver = Receiver(["taskset", "-c", "1", BENCH / "webhooks", "receive", *ess.ca.certificate(), WANTED, 600, fails])
    dispatcher = ess.dispatcher()
    pid = dispatcher.process.pid
    pin(pid, 0)
    before = cpu_s(pid)
    files = [ess.write(f"fails-{fails}-{number}-{n}.yml",
                       f"id: fails-{fails}-{number}-{n}\nurl: {receiver.url}\ntopics: ['*']\nsecret: s3cr3t\nfrom: beginning\nordering: none\n")
             for n in range(SUBSCRIBERS)]
    found = receiver.line()
    cpu_us = (cpu_s(pid) - before) * 1e6 / WANTED
    for file in files:
        file.unlink()
    wait_for(lambda: len(dispatcher.lines("subscriber_stopped")) == SUBSCRIBERS, timeout=60)
    dispatcher.term()
    receiver.end()
    return found["per_sec"], cpu_us


with running() as ess:
    ess.allow("delivery_failed", "dead_letter")
    count = fill(ess.ingest())
    rows = []
    for turn in range(ROUNDS):
        (healthy, healthy_us), (failing, failing_us) = (measure(ess, fails, turn) for fails in (0, FAILS))
        rows.append({"ratio": failing / healthy})
        say("failures", events=count, healthy_per_sec=healthy, failing_per_sec=failing, healthy_cpu_us=healthy_us,
            failing_cpu_us=failing_us, ratio=failing / healthy)
    ratio = median(rows, "ratio")
    say("failures median", ratio=ratio, aim=AIM)
    sys.exit(ratio < AIM)
