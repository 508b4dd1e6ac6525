"""A network that swallows packets: what an attempt that was given up has written must not arrive later, after newer events."""
import ctypes
import ipaddress
import itertools
import os
import socket
import struct
import subprocess
import threading

import pytest

from ess import Receiver, wait_for

CLONE_NEWNET = 0x40000000
FIRST = ipaddress.ip_address("198.18.0.0")  # for tests of networks (RFC 2544); each test takes four of 131,072 addresses


class Network:
    """A network namespace of its own, on the other end of a pair of virtual interfaces."""

    numbers = itertools.count()

    def __init__(self):
        number = next(self.numbers)
        base = FIRST + (os.getpid() * 8 + number) % 32768 * 4
        self.name = self.link = f"ess{os.getpid()}x{number}"
        self.here, self.there = str(base + 1), str(base + 2)
        self._run("ip", "netns", "add", self.name)
        try:
            self._build()
        except AssertionError:
            self.close()
            raise

    def _build(self):
        self._run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        self._run("ip", "addr", "add", f"{self.here}/30", "dev", self.link)
        self._run("ip", "link", "set", self.link, "up")
        self.inside("ip", "addr", "add", f"{self.there}/30", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")
        self.inside("nft", "add table ip t; add chain ip t c { type filter hook input priority 0; }")

    def _run(self, *words):
        done = subprocess.run(words, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"{words}: {done.stderr}"

    def inside(self, *words):
        self._run("ip", "netns", "exec", self.name, *words)

    def swallow(self):
        self.inside("nft", "add rule ip t c drop")

    def heal(self):
        self.inside("nft", "flush chain ip t c")

    def close(self):
        self._run("ip", "netns", "del", self.name)

    def call(self, make):
        """What `make` makes, on a thread that lives in there."""
        made = []

        def enter():
            with open(f"/run/netns/{self.name}") as namespace:
                assert ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) == 0
            made.append(make())
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return made[0]


def unsent(network):
    """(state, bytes that were not acknowledged) of this machine's TCP connections to there, dead ones included."""
    peer = "%08X" % struct.unpack("=I", socket.inet_aton(network.there))
    with open("/proc/net/tcp") as table:
        lines = [line.split() for line in table if f" {peer}:" in line]
    return [(int(line[3], 16), int(line[4].split(":")[0], 16)) for line in lines]


def held_back(network):
    """Connections that are closed, or were used before, and still have something to send; new ones are in state SYN_SENT."""
    return [(state, count) for state, count in unsent(network) if state != 2 and count]


@pytest.fixture
def far(ess, request):
    """ESS, a subscriber behind a network that can swallow packets, and one event delivered there."""
    if os.geteuid() != 0:
        pytest.skip("makes a network namespace, which needs root")
    try:
        network = Network()
    except (AssertionError, OSError) as error:
        pytest.skip(f"makes a network namespace, and this machine does not let it: {error}")
    request.addfinalizer(network.close)
    certificate = ess.ca.certificate(network.name, f"IP:{network.there}")
    receiver = network.call(lambda: Receiver(certificate, host=network.there))
    ess.receivers.append(receiver)
    options = {"egress.allow": f"{network.there}/32"}
    ess.ingest(options)
    ess.dispatcher(options)
    ess.subscribe("far", receiver.url(host=network.there), ["a"], timeout=getattr(request, "param", "1s"), backoff_min="100ms",
                  backoff_max="200ms", max_attempts=1000)
    ess.publish("a", "first")
    receiver.wait(1)
    return ess, network, receiver


def test_what_an_attempt_that_timed_out_has_written_never_arrives(far):
    ess, network, receiver = far
    network.swallow()
    old = ess.publish("a", "old")
    wait_for(lambda: ess.daemons[1].lines("delivery_failed"))
    assert not held_back(network)
    network.heal()
    new = ess.publish("a", "new")
    wait_for(lambda: new in receiver.cursors())
    wait_for(lambda: not held_back(network))
    assert receiver.cursors() == [receiver.cursors()[0], old, new]
    assert receiver.requests[1].headers["X-ESS-Attempt"] != "1"


def remove_the_subscriber(ess):
    (ess.folder / "subscribers" / "far.yml").unlink()


def kill_the_dispatcher(ess):
    ess.daemons[1].kill9()


@pytest.mark.parametrize("far", ["5m"], indirect=True)
@pytest.mark.parametrize("call_off", [remove_the_subscriber, kill_the_dispatcher])
def test_what_an_attempt_that_was_called_off_has_written_never_arrives(far, call_off):
    ess, network, receiver = far
    network.swallow()
    ess.publish("a", "old")
    wait_for(lambda: held_back(network))
    call_off(ess)
    wait_for(lambda: not held_back(network), timeout=20)
    network.heal()
    assert len(receiver.requests) == 1
