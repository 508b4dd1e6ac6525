#!/usr/bin/env python3
"""How fast events are published, beside the broker's own producer.

    make bench-publish [BENCH="single batches ids"]

single    events of 1 KB over 64 kept-alive connections, beside Kafka's ProducerPerformance with acks=all in turn, and what part of it
          they are; the CPU of ingest an event
batches   the same with 100 events a request, over 16 connections
ids       a start with a million events in the dedupe window: how long, and the memory
Broker, ingest and load share the machine. Loopback only, three minutes.
"""
import re
import statistics
import subprocess
import sys

from bench import BENCH, ROOT, cpu_s, resident_mib, run, running, say

ROUNDS, SECONDS, RECORDS, IDS = 3, 6, 400_000, 1_000_000
WANTED = {"single": 0.25, "batches": 0.6}


def producer_perf(ess):
    """Records a second, as Kafka's own tool says: its last line is about all of them."""
    jars = next(ROOT.glob("build/kafka-*/"))
    words = ["java", "-Xmx256m", "-cp", f"{jars}/*", "org.apache.kafka.tools.ProducerPerformance", "--topic", "perf", "--num-records", RECORDS,
              "--record-size", 1024, "--throughput", -1, "--bootstrap-server", ess.broker.address, "--command-property", "acks=all"]
    out = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300, check=True).stdout
    return float(re.findall(r"records sent, ([\d.]+) records/sec", out)[-1])


def load(ingest, connections, events):
    """What the load says, and the microseconds of ingest's CPU for each event."""
    host, port = ingest.address.rsplit(":", 1)
    published, cpu = ingest.metrics()['ess_publish_total{outcome="created"}'], cpu_s(ingest.process.pid)
    found = run([BENCH / "load", host, port, connections, SECONDS, events])
    published = ingest.metrics()['ess_publish_total{outcome="created"}'] - published
    return found | {"ingest_cpu_us": (cpu_s(ingest.process.pid) - cpu) * 1e6 / published}


def bench_rate(ess, ingest, name, connections, events):
    parts = []
    for _ in range(ROUNDS):
        perf = producer_perf(ess)
        found = load(ingest, connections, events)
        parts.append(found["events_per_sec"] / perf)
        say(name, part=parts[-1], producer_perf=int(perf), **found)
    say(f"{name}: median part of producer perf", part=statistics.median(parts), wanted=WANTED[name])


def bench_single(ess, ingest):
    bench_rate(ess, ingest, "single", 64, 1)


def bench_batches(ess, ingest):
    bench_rate(ess, ingest, "batches", 16, 100)


def bench_ids(ess, ingest):
    run([BENCH / "feed", "fill", ess.broker.address, ess.prefix, IDS, 1000])
    ingest.restart()
    line = ingest.lines("ids_read")[-1]
    say("ids", ids=line["ids"], took_ms=line["took_ms"], resident_mib=resident_mib(ingest.process.pid), cpu_s=cpu_s(ingest.process.pid))


with running() as ess:
    ess.broker.create_topic("perf")
    ingest = ess.ingest({"subscribers.dir": "none"})
    for name in sys.argv[1:] or ["single", "batches", "ids"]:
        globals()[f"bench_{name}"](ess, ingest)
