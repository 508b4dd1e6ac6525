"""`make run` as one who types it sees it."""
import re
import socket

import pytest

from demo import PORTS, Demo
from ess import wait_for

WRONG = re.compile(r"WRONG|GAP|ODD|unknown|ended with status|cannot_start|level=error")


@pytest.fixture
def demo(tmp_path, broker):  # with the broker of all tests its jars are there
    demo = Demo(tmp_path)
    yield demo
    demo.end()


def test_webhooks_arrive_verified_and_a_second_run_goes_on_where_the_first_stopped(demo):
    first = demo.start()
    first.wait_webhooks("demo-pharmacy", 100)
    again = demo.run()
    assert (again.returncode, "it is up already" in again.stdout) == (0, True), again
    first.wait_webhooks("demo-legacy", 11)  # its third burst of 5
    wait_for(lambda: re.search(r"publish: 300 events .*, cursors 1 to 300\n", first.shown), told=lambda: first.shown)
    first.ctrl_c()
    assert first.wait() == 0
    assert demo.processes() == []
    pharmacy, legacy = first.webhooks("demo-pharmacy"), first.webhooks("demo-legacy")
    assert pharmacy == sorted(set(pharmacy)) and legacy == list(range(1, len(legacy) + 1))

    second = demo.start()
    second.wait_webhooks("demo-pharmacy", 1)
    second.wait_webhooks("demo-legacy", 1)
    second.ctrl_c()
    assert second.wait() == 0
    assert demo.processes() == []
    assert second.webhooks("demo-pharmacy")[0] > 300
    # One whose answer did not come before the stop is sent again.
    assert legacy[-1] <= second.webhooks("demo-legacy")[0] <= legacy[-1] + 1
    assert not WRONG.search(first.shown + second.shown)


@pytest.mark.parametrize("name", PORTS)
def test_a_port_that_is_taken_is_named(demo, name):
    with socket.create_server(("127.0.0.1", demo.ports[name])):
        done = demo.run()
    assert done.returncode == 1
    assert f"port {demo.ports[name]}," in done.stderr and f"{name}=" in done.stderr
    assert demo.processes() == []


def test_a_port_that_is_none_is_refused(demo):
    done = demo.run(INGEST_PORT="80801")
    assert (done.returncode, done.stderr) == (1, "demo: INGEST_PORT: must be a number from 1 to 65535, not '80801'\n")
