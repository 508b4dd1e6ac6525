"""The README's walk-through, command by command, while `make run` is up. Its section about Docker is run by tests/compose."""
import json
import re

import pytest

from demo import PORTS, WEBHOOK, Demo
from ess import wait_for
from snippets import snippets


@pytest.fixture
def demo(tmp_path, broker):  # with the broker of all tests its jars are there
    demo = Demo(tmp_path)
    yield demo
    demo.end()


def test_every_command_of_the_walk_through_does_what_it_says(demo):
    terminal = demo.start()
    terminal.wait_webhooks("demo-pharmacy", 1)
    own_ports = {f"127.0.0.1:{port}": f"127.0.0.1:{demo.ports[name]}" for name, port in PORTS.items()}
    subscribe, publish, replay, sign, fail, mend, kcat, register, cancel, ask, remove = (
        lambda snippet=snippet: snippet.run(own_ports, cwd=demo.folder) for snippet in snippets("README.md") if snippet.section == "Try it")

    subscribe()
    published = json.loads(publish())  # at once: what the snippet before waits for is enough
    wait_for(lambda: "demo: md-mm1 is in force\n" in terminal.shown, told=lambda: terminal.shown)
    again = json.loads(publish())
    assert "duplicate" not in published and "duplicate" not in again
    wait_for(lambda: again["cursor"] in terminal.webhooks("md-mm1"), told=lambda: terminal.shown)
    shown, = snippets("README.md", language="")
    assert WEBHOOK.search(shown.text), "the README shows another line than the receiver prints"
    wait_for(lambda: published["cursor"] in terminal.webhooks("md-mm1"), told=lambda: terminal.shown)
    replayed = json.loads(replay())
    assert len(replayed["events"]) == 3 and replayed["more"]
    assert all(event["topic"].startswith("drug.") for event in replayed["events"])
    header, = snippets("README.md", language="http")
    assert header.text.split() == ["X-ESS-Signature:", sign().split()[-1]]
    before = len(terminal.webhooks("md-mm1"))
    state = fail()
    assert '"state":"retrying"' in state and '"last_error"' in state
    wait_for(lambda: "answered 503" in terminal.shown, told=lambda: terminal.shown)
    assert len(terminal.webhooks("md-mm1")) == before
    mend()
    wait_for(lambda: re.search(r"md-mm1 .*signature ok .* attempt \d+$", terminal.shown, re.M), told=lambda: terminal.shown)
    offset, key, value = kcat().split(" ", 2)
    assert offset == "1" and json.loads(value)["key"] == key.split("/")[1]
    vendor = json.loads(register())
    demo.wait_log("dispatcher", f"event=subscriber_started subscriber={vendor['id']} ")
    cancelled = json.loads(cancel())
    wait_for(lambda: cancelled["cursor"] in terminal.webhooks(vendor["id"]), told=lambda: terminal.shown)
    states = {one["id"]: one["status"]["state"] for one in json.loads(ask())["subscribers"]}
    assert states.keys() == {"demo-legacy", "demo-pharmacy", "md-mm1", vendor["id"]}
    remove()
    wait_for(lambda: "demo: md-mm1 is not in force any more\n" in terminal.shown, told=lambda: terminal.shown)
    terminal.ctrl_c()
    assert terminal.wait() == 0
