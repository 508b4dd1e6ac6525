#!/usr/bin/env python3
"""How fast dispatchers load what is assigned to them, and what thousands of idle subscribers cost.

    make bench-ownership         builds what it needs and runs it
    SUBSCRIBERS=1000 make bench-ownership

From the group's assignment of all 64 partitions to running lanes, from no tokens and from tokens; the same when a second
dispatcher joins and when it leaves; then CPU and memory of one that has all and nothing to do. Loopback only, about a minute.
"""
import os
import time

from bench import cpu_s, resident_mib, running, say
from ess import wait_for

SUBSCRIBERS = int(os.environ.get("SUBSCRIBERS", "10000"))
ROUNDS, IDLE_S, PATIENCE_S = 3, 20, 300


def register(ess, ingest):
    for n in range(SUBSCRIBERS):
        ess.write(f"bench-{n}.yml", f"id: bench-{n}\nurl: https://127.0.0.1:1/hook\ntopics: [bench.t{n}]\nsecret: s3cr3t\nthrottle: 5\n")
    name = 'ess_subscribers{state="registered"}'
    wait_for(lambda: ingest.metrics().get(name) == SUBSCRIBERS, PATIENCE_S, lambda: ingest.metrics().get(name))


def wait_ready(dispatcher, before=0):
    """The next time that all of its partitions are held."""
    return wait_for(lambda: dispatcher.lines("ready")[before:], PATIENCE_S)[0]


def show(what, line):
    say(what, partitions=line["partitions"], subscribers=line["subscribers"], after_ms=line["after_ms"])


def measure(ess):
    ingest = ess.ingest()
    register(ess, ingest)
    ess.publish("other", 1)  # so that tokens move
    first = ess.dispatcher(start=False)
    for n in range(ROUNDS):
        first.start(ready=False)
        show("alone_first" if n == 0 else "alone_with_tokens", wait_ready(first, n))
        if n < ROUNDS - 1:
            first.term()
    ess.publish("other", 2)
    second = ess.dispatcher(ready=False)
    show("joins", wait_ready(second))
    show("the_other_meanwhile", wait_ready(first, ROUNDS))
    ess.publish("other", 3)
    second.term()
    show("the_other_has_left", wait_ready(first, ROUNDS + 1))
    time.sleep(5)  # the tokens of the one that left are written anew
    before = cpu_s(first.process.pid)
    time.sleep(IDLE_S)  # what is measured
    say("idle", subscribers=SUBSCRIBERS, cpu_percent=100 * (cpu_s(first.process.pid) - before) / IDLE_S, resident_mib=resident_mib(first.process.pid))


with running() as ess:
    measure(ess)
