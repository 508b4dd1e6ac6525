#!/usr/bin/env python3
"""How fast dispatchers load what is assigned to them, and what thousands of idle subscribers cost.

    make bench-ownership         builds what it needs and runs it
    SUBSCRIBERS=1000 make bench-ownership

From the group's assignment of all 64 partitions to running lanes, from no tokens and from tokens; the same when a second
dispatcher joins and when it leaves; then CPU and memory of one that has all and nothing to do. Loopback only, about a minute.
"""
import os
import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
from ess import CA, Broker, Ess, wait_for  # noqa: E402

SUBSCRIBERS = int(os.environ.get("SUBSCRIBERS", "10000"))
ROUNDS, IDLE_S, PATIENCE_S = 3, 20, 300


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def register(ess, ingest):
    for n in range(SUBSCRIBERS):
        ess.write(f"bench-{n}.yml", f"id: bench-{n}\nurl: https://127.0.0.1:1/hook\ntopics: [bench.t{n}]\nsecret: s3cr3t\nthrottle: 5\n")
    name = 'ess_subscribers{state="registered"}'
    wait_for(lambda: ingest.metrics().get(name) == SUBSCRIBERS, PATIENCE_S, lambda: ingest.metrics().get(name))


def wait_ready(dispatcher, before=0):
    """The next time that all of its partitions are held."""
    return wait_for(lambda: dispatcher.lines("ready")[before:], PATIENCE_S)[0]


def show(what, line):
    print(f"{what:34} partitions={line['partitions']} subscribers={line['subscribers']} after_ms={line['after_ms']}")


def run(ess):
    ingest = ess.ingest()
    register(ess, ingest)
    ess.publish("other", 1)  # so that tokens move
    first = ess.dispatcher(start=False)
    for n in range(ROUNDS):
        first.start(ready=False)
        show("alone, first of all" if n == 0 else "alone, with tokens", wait_ready(first, n))
        if n < ROUNDS - 1:
            first.term()
    ess.publish("other", 2)
    second = ess.dispatcher(ready=False)
    show("joins", wait_ready(second))
    show("the other meanwhile", wait_ready(first, ROUNDS))
    ess.publish("other", 3)
    second.term()
    show("the other has left", wait_ready(first, ROUNDS + 1))
    before = cpu_s(first.process.pid)
    time.sleep(IDLE_S)  # what is measured
    print(f"idle: cpu_percent={100 * (cpu_s(first.process.pid) - before) / IDLE_S:.2f} resident_mib={resident_mib(first.process.pid):.1f}")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "ca").mkdir()
        broker = Broker(folder / "kafka")
        broker.start()
        ess = Ess(folder, broker, CA(folder / "ca"))
        try:
            run(ess)
        finally:
            wrong = ess.close()
            broker.stop()
        sys.exit("\n".join(wrong) or 0)


main()
