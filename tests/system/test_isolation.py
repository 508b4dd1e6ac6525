"""An endpoint that misbehaves costs its own lane only."""
import contextlib
import pathlib
import socket

import pytest

from badends import BadEnd
from ess import SANITIZED, Receiver, wait_for

# Way: what the log says of an attempt. An endless body has said 200 before it began: that counts, and the rest is not read.
WAYS = {
    "says_nothing_in_the_handshake": ("status", "0"),
    "says_nothing_to_a_request": ("status", "0"),
    "drips": ("status", "0"),
    "resets": ("status", "0"),
    "sends_endless_headers": ("status", "0"),
    "sends_an_endless_body": None,
    "redirects": ("status", "302"),
    "speaks_no_tls": ("status", "0"),
}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory, broker, ca):
    """A dispatcher with a subscriber for each bad end, two hundred events published, and a healthy subscriber beside them."""
    from conftest import running
    with running(tmp_path_factory.mktemp("crowd"), broker, ca) as ess:
        ess.ingest()
        dispatcher = ess.dispatcher({"delivery.timeout": "2s", "delivery.connect_timeout": "1s"})
        healthy = ess.receiver()
        ends = {way: BadEnd(ca.certificate(), way) for way in WAYS}
        for way, end in ends.items():
            ess.subscribe(way.replace("_", "-"), end.url, ["a"], ordering="none", max_in_flight=8, backoff_min="100ms", backoff_max="500ms",
                          max_attempts=1000)
        ess.subscribe("healthy", healthy, ["a"])
        before = dispatcher.metrics()["process_resident_memory_bytes"]
        for n in range(200):
            ess.publish("a", n)
        yield ess, dispatcher, healthy, ends, before
        for end in ends.values():
            end.stop()


def test_the_healthy_get_everything_meanwhile(crowd):
    ess, dispatcher, healthy, _, _ = crowd
    healthy.wait(200)
    assert healthy.cursors() == sorted(set(healthy.cursors()))
    assert not dispatcher.lines("delivery_failed", subscriber="healthy")


@pytest.mark.parametrize("way", [way for way, said in WAYS.items() if said])
def test_each_bad_end_is_a_failed_attempt_and_is_tried_again(crowd, way):
    _, dispatcher, _, ends, _ = crowd
    name, value = WAYS[way]
    lines = wait_for(lambda: dispatcher.lines("delivery_failed", subscriber=way.replace("_", "-")))
    assert lines[0][name] == value
    wait_for(lambda: ends[way].connections > 1)


def test_of_an_endless_body_the_status_counts_and_the_rest_is_not_read(crowd):
    _, dispatcher, _, ends, _ = crowd
    wait_for(lambda: dispatcher.metrics()['ess_subscriber_lag_events{subscriber="sends-an-endless-body"}'] == 0)
    assert not dispatcher.lines("delivery_failed", subscriber="sends-an-endless-body")


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed for a while")
def test_what_endpoints_send_takes_no_memory(crowd):
    _, dispatcher, _, _, before = crowd
    assert dispatcher.metrics()["process_resident_memory_bytes"] < before + 40e6


def test_when_all_connections_hang_those_who_wait_have_their_turns(ess):
    ess.ingest()
    ess.dispatcher({"dispatcher.max_connections": 8, "delivery.timeout": "1s"})
    hanging = [BadEnd(ess.ca.certificate(), "says_nothing_to_a_request") for _ in range(3)]
    for number, end in enumerate(hanging):
        ess.subscribe(f"hanging-{number}", end.url, ["a"], ordering="none", max_in_flight=100, backoff_min="10ms", backoff_max="20ms")
    healthy = ess.receiver()
    ess.subscribe("healthy", healthy, ["a"])
    for n in range(60):
        ess.publish("a", n)
    healthy.wait(60)
    for end in hanging:
        end.stop()


def test_a_certificate_that_does_not_fit_is_a_failed_attempt(ess):
    ess.ingest()
    dispatcher = ess.dispatcher()
    wrong_name = Receiver(ess.ca.certificate("elsewhere", "DNS:elsewhere.test"))
    ess.receivers.append(wrong_name)
    ess.subscribe("wrong-name", wrong_name, ["a"])
    ess.publish("a", 1)
    line = wait_for(lambda: dispatcher.lines("delivery_failed", subscriber="wrong-name"))[0]
    assert line["status"] == "0" and "SSL" in line["error"]
    assert not wrong_name.requests


def test_a_certificate_of_an_unknown_authority_is_a_failed_attempt(ess):
    ess.ingest()
    dispatcher = ess.dispatcher({"egress.ca_file": "none"})
    receiver = ess.receiver()
    ess.subscribe("stranger", receiver, ["a"])
    ess.publish("a", 1)
    line = wait_for(lambda: dispatcher.lines("delivery_failed", subscriber="stranger"))[0]
    assert line["status"] == "0" and "SSL" in line["error"]
    assert not receiver.requests


def connecting_to(port):
    """Whether this machine has a connection there that is not answered yet."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "02" for line in lines)


def test_what_is_called_off_while_it_connects_leaves_its_descriptor_to_the_next(ess):
    """curl closes it without a word, and the next connection gets its number."""
    ess.ingest()
    dispatcher, receiver = ess.dispatcher(), ess.receiver()
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = full.getsockname()[1]
        stack.enter_context(socket.create_connection(("127.0.0.1", port)))  # its queue is full: it answers nobody
        for n in range(3):
            stuck = ess.subscribe(f"stuck-{n}", f"https://127.0.0.1:{port}/hook", [f"stuck-{n}.a"])
            ess.publish(f"stuck-{n}.a", n)
            wait_for(lambda: connecting_to(port))
            stuck.unlink()
            dispatcher.wait_line("subscriber_stopped", subscriber=f"stuck-{n}")
            ess.subscribe(f"next-{n}", receiver.url(f"/{n}"), [f"next-{n}.a"])
            ess.publish(f"next-{n}.a", n)
            receiver.wait(n + 1)
    assert not dispatcher.lines("delivery_failed")
