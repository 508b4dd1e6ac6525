"""The two services as an operator meets them: health, metrics, signals, what they take when nothing happens."""
import concurrent.futures
import contextlib
import fcntl
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from ess import ENVIRONMENT, PATIENCE_S, SANITIZED, Answer, free_port, wait_for
from test_faults import take_descriptors

NAMES = {
    "ess-ingest": ["ess_publish_total", "ess_publish_seconds", "ess_kafka_up", "ess_feed_cursor", "ess_build_info", "process_cpu_seconds_total"],
    "ess-dispatcher": ["ess_deliveries_total", "ess_delivery_seconds", "ess_end_to_end_seconds", "ess_subscriber_lag_events", "ess_subscriber_state",
                       "ess_dead_letters_total", "ess_throttle_wait_seconds_total", "ess_kafka_up", "ess_feed_cursor", "ess_build_info"],
}


def test_health_and_metrics_are_there(shared):
    for daemon in shared.daemons:
        assert daemon.get("/healthz").status == 200 and daemon.get("/readyz").status == 200
        metrics = daemon.get("/metrics")
        assert metrics.status == 200 and metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        lines = metrics.body.decode().splitlines()
        for name in NAMES[daemon.program]:
            assert sum(line.startswith(f"# HELP {name} ") for line in lines) == sum(line.startswith(f"# TYPE {name} ") for line in lines) == 1, name
        assert daemon.metrics()["ess_kafka_up"] == 1
        assert daemon.get("/nowhere").status == 404


def test_head_is_get_without_its_body(shared):
    for daemon in shared.daemons:
        for path in ("/healthz", "/readyz", "/metrics"):
            get, head = daemon.get(path), daemon.request("HEAD", path)
            assert head.status == get.status == 200 and head.body == b"" and head.headers["Content-Type"] == get.headers["Content-Type"]
            assert path == "/metrics" or head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.body))
    ingest = shared.daemons[0]
    for path, status in (("/ess/replay", 200), ("/ess/poll?wait=0", 200), ("/ess/subscribers/nobody", 404), ("/ess/publish", 405), ("/ess/stream", 200)):
        answer = ingest.request("HEAD", path)
        assert answer.status == status and answer.body == b"", path
    assert ingest.get("/healthz").status == 200


def test_connections_stay_below_the_descriptors_that_there_are(ess):
    ingest = ess.ingest(start=False)
    ingest.command_line = lambda command=ingest.command_line: ["prlimit", "--nofile=600:600", *command()]
    ingest.start()
    assert ingest.wait_line("few_descriptors")["connections"] == str(600 - 256)
    host, port = ingest.address.rsplit(":", 1)
    with contextlib.ExitStack() as held:
        for _ in range(700):
            held.enter_context(socket.create_connection((host, int(port)), timeout=20))
        assert ess.publish("d.full", 1)  # once the headers' deadline has ended some


def test_connections_wait_for_a_descriptor_and_are_accepted_once_there_is_one(ess):
    """A stream that never ends gives none back: nothing but time does."""
    ingest = ess.ingest()
    host, port = ingest.address.rsplit(":", 1)
    with contextlib.ExitStack() as held:
        stream = held.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE_S))
        stream.sendall(b"GET /ess/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert stream.recv(65536).startswith(b"HTTP/1.1 200 ")
        give_back = take_descriptors(ingest.process.pid)
        waiting = [held.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE_S)) for _ in range(3)]
        waiting[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        waiting[-1].settimeout(1)
        with pytest.raises(TimeoutError):
            waiting[-1].recv(1)
        spent = cpu_seconds(ingest)
        with pytest.raises(TimeoutError):
            waiting[-1].recv(1)
        assert cpu_seconds(ingest) - spent < 0.5
        give_back()
        waiting[-1].settimeout(PATIENCE_S)
        assert waiting[-1].recv(65536).startswith(b"HTTP/1.1 200 ")


def test_refused_connections_that_linger_leave_descriptors_to_others(ess):
    ingest = ess.ingest(start=False)
    ingest.command_line = lambda command=ingest.command_line: ["prlimit", "--nofile=600:600", *command()]
    ingest.start()
    host, port = ingest.address.rsplit(":", 1)
    used = 0
    with contextlib.ExitStack() as held:
        for _ in range(1000):
            lingering = held.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE_S))
            lingering.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            lingering.recv(1)
            used = max(used, len(os.listdir(f"/proc/{ingest.process.pid}/fd")))
    assert used < 350, used


def test_a_histogram_is_cumulative_and_ends_with_its_count(shared):
    for n in range(5):
        shared.publish("histogram.a", n)
    metrics = shared.daemons[0].metrics()
    buckets = [value for name, value in metrics.items() if name.startswith("ess_publish_seconds_bucket{")]
    assert buckets == sorted(buckets) and buckets[-1] == metrics["ess_publish_seconds_count"] >= 5
    assert 'ess_publish_seconds_bucket{le="+Inf"}' in metrics and metrics["ess_publish_seconds_sum"] > 0


def cpu_seconds(daemon):
    fields = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has its own needs")
def test_idle_they_use_next_to_nothing(ess):
    daemons = [ess.ingest(), ess.dispatcher()]
    before = [cpu_seconds(d) for d in daemons]
    time.sleep(4)
    for daemon, used in zip(daemons, before):
        assert cpu_seconds(daemon) - used <= 0.08, daemon.name  # 2 %: a busy loop takes 100
        assert resident_mib(daemon) < 40, daemon.name


def test_sigterm_answers_every_publish_under_way(ess):
    ingest = ess.ingest()
    answers = []

    def publish(n):
        try:
            answers.append((n, ingest.post(json.dumps({"topic": "a", "data": n}))))
        except (OSError, http.client.HTTPException):
            answers.append((n, None))  # it came too late: nothing was answered, so nothing was promised

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        pending = [pool.submit(publish, n) for n in range(2000)]
        wait_for(lambda: len(answers) > 300)
        ingest.term()
        concurrent.futures.wait(pending)
    taken = {answer.json["cursor"]: n for n, answer in answers if answer and answer.status == 201}
    assert len(taken) >= 300 and all(answer is None or answer.status in (201, 503) for _, answer in answers)
    ingest.start()
    found, page = {}, {"cursor": 0, "more": True}
    while page["more"]:
        page = ingest.replay(page["cursor"], limit=1000).json
        found |= {event["cursor"]: event["data"] for event in page["events"]}
    assert taken.items() <= found.items()


def test_sigterm_lets_a_webhook_under_way_end_and_settles_it(ess):
    receiver = ess.receiver()
    ess.ingest()
    dispatcher = ess.dispatcher()
    ess.subscribe("s", receiver, ["a"])
    receiver.answers(Answer(delay=1))
    first = ess.publish("a", 1)
    receiver.wait(1)
    dispatcher.term()
    second = ess.publish("a", 2)
    dispatcher.start()
    receiver.wait(2)
    assert receiver.cursors() == [first, second]


def test_a_hung_webhook_holds_up_the_end_no_longer_than_stop_timeout(ess):
    receiver = ess.receiver()
    ess.ingest()
    dispatcher = ess.dispatcher({"dispatcher.stop_timeout": "500ms"})
    ess.subscribe("s", receiver, ["a"], timeout="5m")
    receiver.answers(Answer(hang=True))
    cursor = ess.publish("a", 1)
    receiver.wait(1)
    dispatcher.signal(signal.SIGINT)  # Ctrl-C is the same as SIGTERM
    assert dispatcher.wait_exit() == 0
    receiver.release()
    dispatcher.start()
    first, again = receiver.wait(2)
    assert again.cursor == cursor and again.body == first.body


def test_a_restart_goes_on_where_it_stopped_and_sends_nothing_again(ess):
    receiver = ess.receiver()
    ess.ingest()
    dispatcher = ess.dispatcher()
    ess.subscribe("s", receiver, ["a"])
    cursors = []
    for round in range(3):
        cursors += [ess.publish("a", n) for n in range(20)]
        receiver.wait(len(cursors))
        dispatcher.term()
        cursors.append(ess.publish("a", "meanwhile"))
        dispatcher.start()
    receiver.wait(len(cursors))
    assert receiver.cursors() == cursors
    assert [r.json["prev_cursor"] for r in receiver.requests[1:]] == cursors[:-1]


def dead_pipe(closed):
    """The end to write to of a pipe that nobody reads from: full, or without a reader."""
    reader, writer = os.pipe()
    if closed:
        os.close(reader)
        return None, writer
    filler = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(filler, b"x" * 4096)
    except BlockingIOError:
        os.close(filler)
    return reader, writer


def answers(daemon):
    try:
        return daemon.get("/readyz").status == 200
    except ConnectionError:
        return False


@pytest.mark.parametrize("closed", [False, True], ids=["full", "closed"])
def test_a_log_that_nobody_reads_stops_nothing(ess, closed):
    receiver, daemons = ess.receiver(), []
    ess.subscribe("log", receiver, ["log.*"], wait=False, **{"from": "beginning"})
    for make in (ess.ingest, ess.dispatcher):
        address = f"127.0.0.1:{free_port()}"
        daemon = make({f"{make.__name__}.listen": address, "log.level": "debug"}, start=False)
        reader, writer = dead_pipe(closed)
        daemon.process = subprocess.Popen(daemon.command_line(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writer,
                                          env=ENVIRONMENT, cwd=daemon.folder)
        daemon.address, daemon.ended = address, False
        daemons.append((daemon, reader, writer))
        wait_for(lambda: answers(daemon))
    ess.publish("log.a", 1)
    receiver.wait(1)
    for daemon, reader, writer in daemons:
        assert daemon.metrics()["ess_log_lines_dropped_total"] > 0 and daemon.get("/healthz").status == 200
        assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK
        os.close(writer)
        if not closed:
            os.read(reader, 1 << 20)
        daemon.term()
        if not closed:
            assert b" event=log_lines_dropped count=" in os.read(reader, 1 << 20)
            os.close(reader)
