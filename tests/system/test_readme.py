"""The README's walk-through, command by command, while `make run` is up. Its section about Docker is run by tests/compose."""
import hashlib
import hmac
import json

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
    subscribe, publish, replay, sign, kcat, register, cancel, ask, remove = (
        lambda snippet=snippet: snippet.run(own_ports, cwd=demo.folder) for snippet in snippets("README.md") if snippet.section == "Try it")

    subscribe()
    demo.wait_log("dispatcher", "event=subscriber_started subscriber=md-mm1")
    published = json.loads(publish())
    shown, = snippets("README.md", language="")
    assert WEBHOOK.search(shown.text), "the README shows another line than the receiver prints"
    wait_for(lambda: published["cursor"] in terminal.webhooks("md-mm1"), told=lambda: terminal.shown)
    replayed = json.loads(replay())
    assert len(replayed["events"]) == 3 and replayed["more"]
    assert all(event["topic"].startswith("drug.") for event in replayed["events"])
    assert sign().split()[-1] == hmac.new(b"s3cr3t", b'{"topic":"drug.copay","cursor":1842}', hashlib.sha256).hexdigest()
    offset, key, value = kcat().split(" ", 2)
    assert offset == "1" and json.loads(value)["key"] == key.split("/")[1]
    vendor = json.loads(register())
    demo.wait_log("dispatcher", f"event=subscriber_started subscriber={vendor['id']} ")
    cancelled = json.loads(cancel())
    wait_for(lambda: cancelled["cursor"] in terminal.webhooks(vendor["id"]), told=lambda: terminal.shown)
    states = {one["id"]: one["status"]["state"] for one in json.loads(ask())["subscribers"]}
    assert states.keys() == {"demo-legacy", "demo-pharmacy", "md-mm1", vendor["id"]}
    remove()
    demo.wait_log("dispatcher", "event=subscriber_stopped subscriber=md-mm1")
    terminal.ctrl_c()
    assert terminal.wait() == 0
