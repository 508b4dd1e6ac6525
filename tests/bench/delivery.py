#!/usr/bin/env python3
"""How fast one ess-dispatcher delivers, beside a bare libcurl loop on the same core in the same run.

    make bench-delivery          builds what it needs and runs it

Events of 1 KB wait in the log; the dispatcher has core 0 for itself, the receiver (and the broker) the rest. Then the bare loop has
core 0, against the same receiver. Three rounds; of each its figures, and the ratios in the median. Loopback only, about a minute.
"""
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
from ess import BUILD, CA, Broker, Ess, wait_for  # noqa: E402

ROUNDS, FILL_S, IN_FLIGHT = 3, 4, 32
BENCH = BUILD / "bench"


def pinned(core, words, **options):
    return subprocess.Popen(["taskset", "-c", core, *map(str, words)], text=True, stdout=subprocess.PIPE, **options)


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(ingest):
    """Events of 1 KB; how many."""
    host, port = ingest.address.rsplit(":", 1)
    subprocess.run([BENCH / "load", host, port, "64", str(FILL_S), "1"], check=True)
    return int(ingest.metrics()["ess_feed_cursor"])


def measure_ess(ess, receiver, others, events, number):
    dispatcher = ess.dispatcher()
    pid = dispatcher.process.pid
    subprocess.run(["taskset", "-a", "-c", "-p", "0", str(pid)], check=True, capture_output=True)
    before = cpu_s(pid)
    ess.write(f"bench-{number}.yml", f"id: bench-{number}\nurl: {receiver}\ntopics: ['*']\nsecret: s3cr3t\nfrom: beginning\n"
              f"ordering: none\nmax_in_flight: {IN_FLIGHT}\n")
    line = others.stdout.readline()
    cpu = cpu_s(pid) - before
    (ess.subscribers / f"bench-{number}.yml").unlink()
    wait_for(lambda: dispatcher.lines("subscriber_stopped", subscriber=f"bench-{number}"))
    dispatcher.term()
    return float(re.search(r"per_sec=(\d+)", line)[1]), cpu * 1e6 / events


def measure_bare(url, ca, events):
    done = pinned("0", [BENCH / "webhooks", "bare", url, ca, events, IN_FLIGHT, 1100])
    line = done.stdout.read()
    assert done.wait() == 0, line
    return float(re.search(r"per_sec=(\d+)", line)[1]), float(re.search(r"cpu_us_each=([\d.]+)", line)[1])


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        broker, ca = Broker(folder / "kafka"), CA(folder)
        broker.start()
        ess = Ess(folder, broker, ca)
        receiver = None
        try:
            events = fill(ess.ingest())
            receiver = pinned("1", [BENCH / "webhooks", "receive", *ca.certificate(), events, 600])
            url = f"https://127.0.0.1:{receiver.stdout.readline().split('=')[1].strip()}/hook"
            rows = []
            for number in range(ROUNDS):
                ess_rate, ess_cpu = measure_ess(ess, url, receiver, events, number)
                bare_rate, bare_cpu = measure_bare(url, ca.pem, events)
                receiver.stdout.readline()
                rows.append((ess_rate, bare_rate, ess_cpu, bare_cpu))
                print(f"events={events} ess_per_sec={ess_rate:.0f} bare_per_sec={bare_rate:.0f} ratio={ess_rate / bare_rate:.2f} "
                      f"ess_cpu_us_each={ess_cpu:.1f} bare_cpu_us_each={bare_cpu:.1f} cpu_ratio={bare_cpu / ess_cpu:.2f}", flush=True)
            print(f"median ratio={statistics.median(e / b for e, b, _, _ in rows):.2f} "
                  f"cpu_ratio={statistics.median(b / e for _, _, e, b in rows):.2f}")
        finally:
            if receiver:
                receiver.terminate()
            ess.close()
            broker.stop()


if __name__ == "__main__":
    main()
