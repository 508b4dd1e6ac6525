"""docs/kafka.md: each of its snippets, run as a reader would."""
import json
import shutil
import subprocess
import sys
import threading

import pytest

from ess import ROOT
from snippets import snippets

DOCUMENT = "docs/kafka.md"
SHELL = [snippet for snippet in snippets(DOCUMENT) if snippet.section == "kcat"]


@pytest.fixture(scope="module")
def feed(tmp_path_factory, broker, ca):
    """A feed of 60 events, some of which have keys; what the snippets call its broker and topic."""
    from conftest import running
    with running(tmp_path_factory.mktemp("feed"), broker, ca) as ess:
        ess.ingest()
        for n in range(1, 58):
            ess.publish("drug.copay" if n % 2 else "appointment.created", {"n": n}, key=f"key-{n % 7}")
        ess.publish("drug.copay", None, key="key-1")
        ess.publish("drug.copay", {"n": 59})
        ess.publish("drug.copay", {"n": 60}, key="key-2")
        yield ess, {"127.0.0.1:9092": ess.broker.address, "ess.events": ess.topic("events")}


def replaced(snippet, own):
    text = snippet.text
    for shown, mine in own.items():
        text = text.replace(shown, mine)
    return text


def test_kcat_waits_for_the_next_event(feed):
    ess, own = feed
    stop = threading.Event()

    def publish():
        while not stop.wait(0.2):
            ess.publish("other.topic", "next")

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        offset, value = SHELL[0].run(own).split(" ", 1)
    finally:
        stop.set()
        publisher.join()
    assert int(offset) > 60 and json.loads(value)["data"] == "next"


def test_kcat_replays_from_a_cursor(feed):
    _, own = feed
    lines = SHELL[1].run(own).splitlines()
    assert [int(line.split(" ")[0]) for line in lines[:19]] == list(range(42, 61))


def test_kcat_filters_by_header(feed):
    _, own = feed
    lines = SHELL[2].run(own).splitlines()
    assert len(lines) == 32 and all("ess-topic=drug.copay," in line for line in lines)


def test_kcat_shows_the_present_state(feed):
    _, own = feed
    state = dict(line.split(" ", 1) for line in SHELL[3].run(own).splitlines())
    assert "drug.copay/key-1" not in state
    assert json.loads(state["drug.copay/key-2"])["data"] == {"n": 60}
    assert json.loads(state["drug.copay"])["data"] == {"n": 59}


def test_javas_console_consumer_replays_from_a_cursor(feed):
    _, own = feed
    snippet, = [snippet for snippet in snippets(DOCUMENT) if snippet.section == "Java's console consumer"]
    shown = snippet.run(own, cwd=ROOT)
    assert "ess-topic:appointment.created" in shown and '"data":{"n": 42}' in shown


def test_python_goes_on_from_a_cursor(feed):
    _, own = feed
    snippet, = snippets(DOCUMENT, "python")
    text = replaced(snippet, own).replace("poll(1.0)", "poll(10.0)")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "43 {'n': 43}" and "58 None" in lines and "60 {'n': 60}" in lines


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not on this machine")
def test_javascript_reads_from_a_cursor(feed, tmp_path):
    _, own = feed
    snippet, = snippets(DOCUMENT, "js")
    packages = ["kafkajs@2.2.4", "lz4js@0.2.0"]
    subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", tmp_path, *packages],
                   check=True, timeout=120)
    (tmp_path / "reader.mjs").write_text(replaced(snippet, own))
    done = subprocess.run(["node", tmp_path / "reader.mjs"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "42 appointment.created { n: 42 }"
