#!/usr/bin/env python3
"""How fast events are published, beside the broker's own producer.

    make bench-publish [BENCH="single batches one ids"]

single    events of 1 KB over 64 kept-alive connections, beside Kafka's ProducerPerformance with acks=all in turn, and what part of it
          they are; the CPU of ingest an event
batches   the same with 100 events a request, over 16 connections
one       one event in flight, beside one record in flight by librdkafka
ids       a start with a million events in the dedupe window: how long, and the memory
Broker, ingest and load share the machine. Loopback only, three minutes.
"""
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
sys.path.insert(0, str(ROOT / "tests/bench"))
from ess import BUILD, CA, Broker, Ess  # noqa: E402
from pull import process, say  # noqa: E402

ROUNDS, SECONDS, RECORDS, IDS = 3, 6, 400_000, 1_000_000
BENCH = BUILD / "bench"
WANTED = {"single": 0.25, "batches": 0.6}


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{words[0]}: {done.stdout[-500:]}{done.stderr[-500:]}"
    return done.stdout


def producer_perf(ess):
    """Records a second, as Kafka's own tool says: its last line is about all of them."""
    jars = next(ROOT.glob("build/kafka-*/"))
    out = run("java", "-Xmx256m", "-cp", f"{jars}/*", "org.apache.kafka.tools.ProducerPerformance", "--topic", "perf", "--num-records", RECORDS,
              "--record-size", 1024, "--throughput", -1, "--bootstrap-server", ess.broker.address, "--command-property", "acks=all")
    return float(re.findall(r"records sent, ([\d.]+) records/sec", out)[-1])


def load(ingest, connections, events):
    """Events a second; microseconds of ingest's CPU each."""
    host, port = ingest.address.rsplit(":", 1)
    published, cpu = ingest.metrics()['ess_publish_total{outcome="created"}'], process(ingest.process.pid)[1]
    out = run(BENCH / "load", host, port, connections, SECONDS, events)
    published = ingest.metrics()['ess_publish_total{outcome="created"}'] - published
    return float(re.search(r"events_per_sec=(\d+)", out)[1]), (process(ingest.process.pid)[1] - cpu) * 1e6 / published, out.strip()


def bench_rate(ess, ingest, name, connections, events):
    parts = []
    for _ in range(ROUNDS):
        perf = producer_perf(ess)
        rate, cpu_us, out = load(ingest, connections, events)
        parts.append(rate / perf)
        say(name, part=parts[-1], producer_perf=int(perf), ingest_cpu_us=cpu_us)
        print("  load:", out)
    say(f"{name}: median part of producer perf", part=statistics.median(parts), wanted=WANTED[name])


def bench_single(ess, ingest):
    bench_rate(ess, ingest, "single", 64, 1)


def bench_batches(ess, ingest):
    bench_rate(ess, ingest, "batches", 16, 100)


def bench_one(ess, ingest):
    for _ in range(ROUNDS):
        print("kafka  ", run(BENCH / "latency", "kafka", ess.broker.address, "perf", 3000).strip())
        print("publish", run(BENCH / "latency", "publish", f"http://{ingest.address}/ess/publish", 3000).strip())


def bench_ids(ess, ingest):
    run(BENCH / "feed", "fill", ess.broker.address, ess.prefix, IDS, 1000)
    ingest.restart()
    line = ingest.lines("ids_read")[-1]
    resident, cpu_s = process(ingest.process.pid)
    say("ids", ids=line["ids"], took_ms=line["took_ms"], resident_mb=resident / 1e6, cpu_s=cpu_s)


def main():
    wanted = sys.argv[1:] or ["single", "batches", "one", "ids"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        broker = Broker(folder / "kafka")
        try:
            broker.start()
            broker.create_topic("perf")
            ess = Ess(folder, broker, CA(folder))
            ingest = ess.ingest({"subscribers.dir": "none"})
            for name in wanted:
                globals()[f"bench_{name}"](ess, ingest)
            ingest.term()
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
