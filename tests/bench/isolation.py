#!/usr/bin/env python3
"""What endpoints that hang cost the healthy ones.

    make bench-isolation

200 subscribers of one topic. One half's endpoints are healthy. Those of the other accept and say nothing, stall in TLS, drip a byte a
second, reset, send endless headers, answer slowly, or have a name whose server is dead; they are tried again all the time. From publish to
the healthy endpoints' handler, in five interleaved pairs with that half and with it paused; of each pair the p99 with and without, and their
ratio in the median. Loopback only, two and a half minutes.
"""
import concurrent.futures
import itertools
import json
import multiprocessing
import signal
import socket
import statistics
import time

from bench import BENCH, Receiver, run, running, say
from badends import BadEnd
from ess import wait_for

PAIRS, HEALTHY, HANGING, RATE, SECONDS = 5, 100, 100, 20, 12
WAYS = ["says_nothing_in_the_handshake", "says_nothing_to_a_request", "drips", "resets", "sends_endless_headers", "answers_slowly", "dead_name"]
PATIENT = {"timeout": "3s", "backoff_min": "500ms", "backoff_max": "2s", "max_attempts": 1000}


class SlowEnd(BadEnd):
    def answers_slowly(self, connection):
        tls = self._request(connection)
        time.sleep(2.5)
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def serve_bad_ends(certificate, pipe):
    """A process of its own, so that their threads take nothing from what is measured but their CPU time."""
    ends = [SlowEnd(certificate, way) for _, way in zip(range(HANGING), itertools.cycle(WAYS)) if way != "dead_name"]
    pipe.send([end.url for end in ends])
    pipe.recv()


def urls_of_bad_ends(urls):
    """The name of the rest is asked of a server that never says anything."""
    left = iter(urls)
    return [f"https://dead-{n}.test/hook" if way == "dead_name" else next(left) for n, way in zip(range(HANGING), itertools.cycle(WAYS))]


def register(ingest, url, id, **fields):
    answer = ingest.post(json.dumps({"id": id, "url": url, "topics": ["drug.*"], **fields}), "/register")
    assert answer.status == 201, answer


def command(ingest, name):
    def one(n):
        answer = ingest.post("", f"/ess/subscribers/hanging-{n}/{name}")
        assert answer.status == 202, answer
        generation = answer.json["generation"]
        wait_for(lambda: ingest.status(f"hanging-{n}")["generation"] >= generation)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(HANGING)))


def measure(ingest, dispatcher, receiver):
    receiver.ask(signal.SIGUSR1)
    run([BENCH / "latency", "send", f"http://{ingest.address}/ess/publish", RATE * SECONDS, RATE])
    wait_for(lambda: all(dispatcher.metrics()[f'ess_subscriber_lag_events{{subscriber="healthy-{n}"}}'] == 0 for n in range(HEALTHY)))
    return receiver.ask(signal.SIGUSR1)


def bench(ess, name_server, bad_urls):
    ingest, dispatcher = ess.ingest(), ess.dispatcher({"egress.dns": "127.0.0.1:%d" % name_server.getsockname()[1]})
    receiver = Receiver([BENCH / "latency", "receive", *ess.ca.certificate(), 600])
    for n in range(HEALTHY):
        register(ingest, receiver.url, f"healthy-{n}")
    for n, url in enumerate(bad_urls):
        register(ingest, url, f"hanging-{n}", **PATIENT)
    command(ingest, "pause")
    measure(ingest, dispatcher, receiver)  # connections are made
    ratios = []
    for _ in range(PAIRS):
        without = measure(ingest, dispatcher, receiver)
        command(ingest, "resume")
        beside = measure(ingest, dispatcher, receiver)
        command(ingest, "pause")
        assert beside["count"] == without["count"] == HEALTHY * RATE * SECONDS
        ratios.append(beside["p99_us"] / without["p99_us"])
        say("pair", p99_us=beside["p99_us"], without_p99_us=without["p99_us"], ratio=ratios[-1], p50_us=beside["p50_us"],
            without_p50_us=without["p50_us"])
    failed = dispatcher.metrics()['ess_deliveries_total{outcome="failed"}']
    say("isolation", p99_ratio_median=statistics.median(ratios), failed_attempts_meanwhile=int(failed))
    receiver.end()


def main():
    with running() as ess, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as name_server:
        name_server.bind(("127.0.0.1", 0))
        ours, theirs = multiprocessing.Pipe()
        bad = multiprocessing.Process(target=serve_bad_ends, args=(ess.ca.certificate(), theirs), daemon=True)
        bad.start()
        bench(ess, name_server, urls_of_bad_ends(ours.recv()))
        ours.send("end")


main()
