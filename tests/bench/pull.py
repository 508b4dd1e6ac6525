#!/usr/bin/env python3
"""How fast the log is read, by itself and over HTTP, and what those cost who wait.

    make bench-pull [BENCH="feed replay poll streams"]

feed      the feed reader without HTTP, a million events of 1 KB behind: events a second, memory of chunks, and how long an append
          takes to the tail, before and meanwhile
replay    the same million as NDJSON through a pipe, beside kcat in turn
poll      a publish, and when the poll that waits for it is answered
streams   5,000 idle clients of server-sent events: memory, CPU, and one event to all of them
Loopback only, two minutes.
"""
import re
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import time

from bench import BENCH, cpu_s, resident_mib, running, say
from ess import wait_for

EVENTS, EVENT_BYTES, ROUNDS, CACHE_BYTES = 1_000_000, 1000, 3, 64 * 2**20
POLLS, STREAMS, IDLE_S = 500, 5000, 30


def connect(ingest):
    host, port = ingest.address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def quantiles(samples):
    samples = sorted(samples)
    return {"p50_us": int(samples[len(samples) // 2] * 1e6), "p99_us": int(samples[len(samples) * 99 // 100] * 1e6), "max_us": int(samples[-1] * 1e6)}


def fill(ess):
    began = time.monotonic()
    subprocess.run([BENCH / "feed", "fill", ess.broker.address, ess.prefix, str(EVENTS), str(EVENT_BYTES)], check=True)
    say("filled", events=EVENTS, seconds=time.monotonic() - began)


def bench_feed(ess, ingest):
    for _ in range(ROUNDS):
        subprocess.run([BENCH / "feed", "read", ess.broker.address, ess.prefix, str(CACHE_BYTES)], check=True)


def through_a_pipe(words):
    """Lines a second that come out of it."""
    began, lines = time.monotonic(), 0
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as source:
        while piece := source.stdout.read(2**20):
            lines += piece.count(b"\n")
    assert lines >= EVENTS, f"{words[0]} gave {lines} lines"
    return lines / (time.monotonic() - began)


def bench_replay(ess, ingest):
    curl = ["curl", "-sN", "-H", "Accept: application/x-ndjson", f"http://{ingest.address}/ess/replay"]
    kcat = ["kcat", "-b", ess.broker.address, "-C", "-t", ess.topic("events"), "-o", "beginning", "-e", "-q"]
    ratios = []
    for _ in range(ROUNDS):
        replay, bare = through_a_pipe(curl), through_a_pipe(kcat)
        ratios.append(replay / bare)
        say("replay", per_sec=int(replay), kcat_per_sec=int(bare), ratio=ratios[-1])
    say("replay", median_ratio=statistics.median(ratios))


def answer_of(connection):
    """One whole answer; its status and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), body


def bench_poll(ess, ingest):
    """From sending a publish; the append lies between that and its answer."""
    publisher, poller = connect(ingest), connect(ingest)
    body = b'{"topic":"poll.x","data":1}'
    publish = b"POST /ess/publish HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    from_sent, from_answer = [], []
    for _ in range(POLLS):
        poller.sendall(b"GET /ess/poll?topics=poll.* HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: ingest.metrics()["ess_readers"] == 1)
        sent, at = time.monotonic(), {}
        publisher.sendall(publish)
        with selectors.DefaultSelector() as selector:
            selector.register(publisher, selectors.EVENT_READ)
            selector.register(poller, selectors.EVENT_READ)
            while len(at) < 2:
                for key, _ in selector.select():
                    at[key.fileobj] = time.monotonic()
                    selector.unregister(key.fileobj)
        assert answer_of(publisher)[0] == 201 and b'"poll.x"' in answer_of(poller)[1]
        from_sent.append(at[poller] - sent)
        from_answer.append(at[poller] - at[publisher])
    say("poll_from_publish_sent", **quantiles(from_sent))
    say("poll_from_publish_answered", **quantiles(from_answer))


def bench_streams(ess, ingest):
    pid = ingest.process.pid
    before = resident_mib(pid)
    clients = []
    for _ in range(STREAMS):
        clients.append(connect(ingest))
        clients[-1].sendall(b"GET /ess/stream?topics=stream.* HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: ingest.metrics()["ess_readers"] == STREAMS, 60)
    for client in clients:
        client.recv(65536)
    cpu = cpu_s(pid)
    time.sleep(IDLE_S)
    resident, idle = resident_mib(pid), cpu_s(pid)
    say("streams_idle", clients=STREAMS, before_mib=before, resident_mib=resident, kib_each=(resident - before) * 1024 / STREAMS,
        cpu_percent=(idle - cpu) * 100 / IDLE_S)
    for client in clients:  # what the keep-alives left
        client.setblocking(False)
        try:
            client.recv(65536)
        except BlockingIOError:
            pass
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client, selectors.EVENT_READ)
    began, got = time.monotonic(), 0
    ess.publish("stream.x", 1, ingest=ingest)
    while got < STREAMS:
        for key, _ in selector.select():
            if b"stream.x" in key.fileobj.recv(65536):
                got += 1
                selector.unregister(key.fileobj)
    say("streams_event", to_all_ms=(time.monotonic() - began) * 1000, after_mib=resident_mib(pid))
    for client in clients:
        client.close()
    wait_for(lambda: ingest.metrics()["ess_readers"] == 0, 60)


def main(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    benches = {"feed": bench_feed, "replay": bench_replay, "poll": bench_poll, "streams": bench_streams}
    with running() as ess:
        ingest = ess.ingest({"subscribers.dir": "none", "ingest.max_connections_per_address": 0})
        for name in ("streams", "poll", "feed", "replay"):  # the waiting ones while memory is still small
            if name in ("feed", "replay") and int(ingest.metrics()["ess_feed_cursor"]) < EVENTS and name in wanted:
                fill(ess)
            if name in wanted:
                benches[name](ess, ingest)


main(sys.argv[1:] or ["feed", "replay", "poll", "streams"])
