#!/usr/bin/env python3
"""How long an event takes: into Kafka with one in flight, and to a webhook at 200 events a second, each beside its limit in the same run.

    make bench-latency

publish: POST /ess/publish until its 201, beside an acks=all append of librdkafka to the same broker, of whose topic kcat tails a copy
         as ingest tails the events: the broker answers who waits there before it answers who wrote
webhook: from just before its publish to the endpoint's handler, over kept-alive TLS, beside a bare POST there
Three rounds in turn, the medians of their p50 and p90. Loopback only, a minute.
"""
import contextlib
import signal
import subprocess

from bench import BENCH, Receiver, median, run, running, say
from ess import wait_for

ROUNDS, COUNT, RATE, SECONDS = 3, 3000, 200, 10


@contextlib.contextmanager
def tailed(ess, topic):
    with subprocess.Popen(["kcat", "-C", "-q", "-b", ess.broker.address, "-t", topic, "-o", "end"], stdout=subprocess.DEVNULL) as kcat:
        yield
        kcat.terminate()


def publish(ess, ingest):
    limits, rows = [], []
    for _ in range(ROUNDS):
        with tailed(ess, "bench"):
            limits.append(run([BENCH / "latency", "kafka", ess.broker.address, "bench", COUNT]))
        rows.append(run([BENCH / "latency", "publish", f"http://{ingest.address}/ess/publish", COUNT]))
    say("publish", p50_us=median(rows, "p50_us"), p90_us=median(rows, "p90_us"), kafka_p50_us=median(limits, "p50_us"),
        kafka_p90_us=median(limits, "p90_us"), ratio_p50=median(rows, "p50_us") / median(limits, "p50_us"))


def webhook(ess, ingest, dispatcher):
    receiver = Receiver([BENCH / "latency", "receive", *ess.ca.certificate(), 600])
    ess.subscribe("bench", receiver.url, ["drug.*"])
    limits, rows = [], []
    for _ in range(ROUNDS):
        receiver.ask(signal.SIGUSR1)
        limits.append(run([BENCH / "latency", "post", receiver.url, ess.ca.pem, COUNT]))
        run([BENCH / "latency", "send", f"http://{ingest.address}/ess/publish", RATE * SECONDS, RATE])
        wait_for(lambda: dispatcher.metrics()['ess_subscriber_lag_events{subscriber="bench"}'] == 0)
        rows.append(receiver.ask(signal.SIGUSR1))
    receiver.end()
    say("webhook", per_sec=RATE, p50_us=median(rows, "p50_us"), p90_us=median(rows, "p90_us"), p99_us=median(rows, "p99_us"),
        bare_post_p50_us=median(limits, "p50_us"))


with running() as ess:
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    ess.broker.create_topic("bench")
    publish(ess, ingest)
    webhook(ess, ingest, dispatcher)
