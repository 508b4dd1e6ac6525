#!/usr/bin/env python3
"""How long until another dispatcher has everything, and how long deliveries pause meanwhile.

    make bench-takeover

Two dispatchers share 100 subscribers; to ten of them an event comes every 50 ms. One is killed with -9 (which the group only notices
when its session of 10 s has ended), or ended by SIGTERM; then it comes back. Three rounds; loopback only, two minutes.
"""
import calendar
import collections
import itertools
import threading
import time

from bench import running, say
from ess import wait_for

ROUNDS, SUBSCRIBERS, BUSY, PARTITIONS, PATIENCE_S = 3, 100, 10, 64, 60


def seconds(ts):
    """A log line's time."""
    return calendar.timegm(time.strptime(ts[:19], "%Y-%m-%dT%H:%M:%S")) + float(ts[19:23])


def ready(dispatcher, since, partitions=None):
    lines = [line for line in dispatcher.lines("ready") if seconds(line["ts"]) >= since]
    return [line for line in lines if partitions is None or int(line["partitions"]) == partitions]


def until_ready(dispatcher, since, partitions=None):
    return seconds(wait_for(lambda: ready(dispatcher, since, partitions), PATIENCE_S)[-1]["ts"]) - since


def pauses(receiver, since):
    """The longest between two receipts of a subscriber, in all, since then."""
    times = collections.defaultdict(list)
    for request in list(receiver.requests):
        if request.at >= since:
            times[request.headers["X-ESS-Subscriber"]].append(request.at)
    return max(later - earlier for at in times.values() for earlier, later in itertools.pairwise(at))


def publish(ess, end):
    for n in itertools.count():
        if end.wait(0.05):
            return
        ess.publish("bench.busy", n)


with running() as ess:
    ess.ingest()
    receiver, pair = ess.receiver(), [ess.dispatcher(), ess.dispatcher()]
    for n in range(SUBSCRIBERS):
        ess.subscribe(f"bench-{n}", receiver, ["bench.busy" if n < BUSY else "bench.idle"], wait=False)
    wait_for(lambda: sum(name.startswith("ess_subscriber_lag_events") for d in pair for name in d.metrics()) == SUBSCRIBERS, PATIENCE_S)
    end = threading.Event()
    flow = threading.Thread(target=publish, args=(ess, end))
    flow.start()
    found = collections.defaultdict(list)
    for how, _ in itertools.product(("kill9", "term"), range(ROUNDS)):
        since, since_monotonic = time.time(), time.monotonic()
        getattr(pair[0], how)()
        found[how].append(until_ready(pair[1], since, PARTITIONS))
        time.sleep(2)  # whoever paused has gone on
        found[how, "pause"].append(pauses(receiver, since_monotonic - 1))
        since, since_monotonic = time.time(), time.monotonic()
        pair[0].start()
        found["join"].append(max(until_ready(dispatcher, since, PARTITIONS // 2) for dispatcher in pair))
        time.sleep(2)
        found["join", "pause"].append(pauses(receiver, since_monotonic - 1))
    end.set()
    flow.join()
    for how in ("kill9", "term", "join"):
        say(how, rounds=len(found[how]), median_s=sorted(found[how])[len(found[how]) // 2], max_s=max(found[how]),
            longest_pause_of_a_subscriber_s=max(found[how, "pause"]))
