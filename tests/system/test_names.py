"""Endpoints by name: who is asked, which addresses are called, and what a name server that is dead or lies can do."""
import socket
import subprocess
import threading

import pytest

from ess import ENVIRONMENT, Receiver, wait_for
from names import AAAA, NameServer


class Trap:
    """Listens where nobody may connect, and counts who does."""

    def __init__(self, port):
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                self._socket.accept()[0].close()
                self.connections += 1
        except OSError:
            pass

    def close(self):
        self._socket.close()


@pytest.fixture
def named(ess, request):
    """ESS whose dispatcher asks a name server of the test's and may call 127.0.0.2 only (or what the test says), and a receiver there."""
    server = NameServer()
    receiver = Receiver(ess.ca.certificate("hook", "DNS:hook.test,DNS:other.test"), host="127.0.0.2")
    ess.receivers.append(receiver)
    options = {"egress.allow": getattr(request, "param", "127.0.0.2/32"), "egress.dns": server.address}
    ess.ingest(options)
    ess.dispatcher(options)
    yield ess, server, receiver
    server.close()


def failures(ess, id):
    return [line["error"] for line in ess.daemons[1].lines("delivery_failed", subscriber=id)]


def test_a_name_is_asked_of_the_name_server_that_was_given(named):
    ess, server, receiver = named
    server.answers["hook.test"] = ["127.0.0.2"]
    ess.subscribe("named", receiver.url(host="hook.test"), ["a"])
    ess.publish("a", 1)
    assert receiver.wait(1)[0].headers["Host"].startswith("hook.test:")
    assert ("hook.test", 1) in server.asked


def test_a_name_that_comes_to_lead_to_a_private_address_is_not_called_any_more(named):
    ess, server, receiver = named
    trap = Trap(int(receiver.url().rsplit(":", 1)[1].split("/")[0]))
    server.answers["hook.test"] = ["127.0.0.2"]
    ess.subscribe("rebound", receiver.url(host="hook.test"), ["a"], backoff_min="100ms", backoff_max="200ms", max_attempts=1000)
    ess.publish("a", "first")
    receiver.wait(1)
    server.answers["hook.test"] = ["127.0.0.1"]
    wait_for(lambda: ess.publish("a", "until the name is asked for anew") and failures(ess, "rebound"))
    assert "not public" in failures(ess, "rebound")[0]
    receiver.stop()  # the next connection is a new one
    server.answers["hook.test"] = ["127.0.0.1", "127.0.0.2"]
    receiver.start()
    last = ess.publish("a", "last")
    wait_for(lambda: last in receiver.cursors())
    assert trap.connections == 0
    trap.close()


@pytest.mark.parametrize("named", ["127.0.0.2/31"], indirect=True)
def test_when_the_first_address_of_a_name_refuses_the_next_one_is_called_in_the_same_attempt(named):
    ess, server, receiver = named
    server.answers["hook.test"] = ["127.0.0.3", "127.0.0.2"]
    ess.subscribe("named", receiver.url(host="hook.test"), ["a"])
    ess.publish("a", 1)
    assert receiver.wait(1)[0].headers["X-ESS-Attempt"] == "1"
    assert not failures(ess, "named")


def test_a_name_server_that_says_nothing_costs_only_its_own_lane(named):
    ess, server, receiver = named
    server.answers.update({"dead.test": None, "other.test": ["127.0.0.2"]})
    ess.subscribe("dead", receiver.url(host="dead.test"), ["a"])
    ess.subscribe("alive", receiver.url(host="other.test"), ["a"])
    for n in range(50):
        ess.publish("a", n)
    receiver.wait(50)
    wait_for(lambda: failures(ess, "dead"))
    assert not failures(ess, "alive")
    assert all(request.headers["X-ESS-Subscriber"] == "alive" for request in receiver.requests)


def test_a_name_server_that_is_silent_on_aaaa_costs_nothing(named):
    ess, server, receiver = named
    server.says_nothing_of = (AAAA,)
    server.answers["hook.test"] = ["127.0.0.2"]
    ess.subscribe("named", receiver.url(host="hook.test"), ["a"], max_attempts=1)
    cursors = [ess.publish("a", n) for n in range(3)]
    receiver.wait(3)
    assert receiver.cursors() == cursors and ("hook.test", AAAA) in server.asked
    assert not failures(ess, "named")


def test_a_host_is_absolute_whatever_search_domains_this_machine_has(ess, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "LOCALDOMAIN", "search.test")
    monkeypatch.setitem(ENVIRONMENT, "RES_OPTIONS", "ndots:5")
    server = NameServer()
    server.answers["hook.test"] = ["127.0.0.1"]
    receiver = Receiver(ess.ca.certificate("hook", "DNS:hook.test,DNS:other.test"))
    ess.receivers.append(receiver)
    ess.ingest()
    ess.dispatcher({"egress.dns": server.address})
    ess.subscribe("named", receiver.url(host="hook.test"), ["a"])
    ess.publish("a", 1)
    receiver.wait(1)
    assert {name for name, kind in server.asked} == {"hook.test"}
    server.close()


@pytest.mark.parametrize("named", ["127.0.0.2/31"], indirect=True)
def test_a_name_that_moved_is_followed_although_its_old_address_still_answers(named):
    ess, server, old = named
    new = Receiver(old.certificate, host="127.0.0.3", port=int(old.url().rsplit(":", 1)[1].split("/")[0]))
    ess.receivers.append(new)
    server.answers["hook.test"] = ["127.0.0.2"]
    ess.subscribe("moved", old.url(host="hook.test"), ["a"])
    ess.publish("a", "old")
    old.wait(1)
    server.answers["hook.test"] = ["127.0.0.3"]
    wait_for(lambda: ess.publish("a", "until the name is asked for anew") and new.requests)
    before = len(old.requests)
    last = ess.publish("a", "new")
    wait_for(lambda: last in new.cursors())
    assert len(old.requests) == before


def test_a_name_that_does_not_exist_says_so(named):
    ess, _, receiver = named
    ess.subscribe("unknown", receiver.url(host="nowhere.test"), ["a"])
    ess.publish("a", 1)
    wait_for(lambda: any("not found" in error for error in failures(ess, "unknown")), told=lambda: failures(ess, "unknown"))


def test_a_name_server_is_an_address(ess):
    daemon = ess.dispatcher({"egress.dns": "dns.example:53"}, start=False)
    done = subprocess.run(daemon.command_line(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "egress.dns" in done.stderr
