"""`make run` as one who types it sees it, in a folder of its own and on ports of its own."""
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from ess import BUILD, ENVIRONMENT, ROOT, free_port, wait_for

PORTS = ("KAFKA_PORT", "INGEST_PORT", "DISPATCHER_PORT", "RECEIVER_PORT")
WEBHOOK = re.compile(r"^[0-9:.]+ +(demo-\S+) +(\S+) +cursor (\d+) +signature ok +(\d+) ms$", re.M)
WRONG = re.compile(r"WRONG|GAP|ODD|unknown|ended with status|cannot_start|level=error")


class Terminal:
    """deploy/demo/run at a terminal of its own, where Ctrl-C can be typed."""

    def __init__(self, folder, environment):
        self.master, slave = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(["setsid", "--ctty", "--wait", folder / "deploy/demo/run"], stdin=slave, stdout=slave, stderr=slave,
                                        env=environment)
        os.close(slave)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while part := os.read(self.master, 65536):
                self.shown += part.decode(errors="replace").replace("\r\n", "\n")
        except OSError:
            pass  # the terminal's other end is closed: it has ended

    def webhooks(self, subscriber):
        """Cursors of the verified webhooks to a subscriber that it has shown."""
        return [int(cursor) for id, _, cursor, _ in WEBHOOK.findall(self.shown) if id == subscriber]

    def wait_webhooks(self, subscriber, count):
        wait_for(lambda: len(self.webhooks(subscriber)) >= count, 60, lambda: self.shown)

    def ctrl_c(self):
        os.write(self.master, b"\x03")

    def wait(self):
        status = self.process.wait(60)
        os.close(self.master)
        return status


class Demo:
    def __init__(self, folder):
        self.folder = folder
        self.environment = {**ENVIRONMENT, **{name: str(free_port()) for name in PORTS}, "DEMO_OF": str(folder)}
        shutil.copytree(ROOT / "deploy", folder / "deploy")
        (folder / "build").mkdir()
        for path in (BUILD / "ess-ingest", BUILD / "ess-dispatcher", *(ROOT / "build").glob("kafka-[0-9]*")):
            (folder / "build" / path.name).symlink_to(path)
        self.terminals = []

    def start(self):
        self.terminals.append(Terminal(self.folder, self.environment))
        return self.terminals[-1]

    def run(self, **environment):
        """Another one, that ends by itself."""
        return subprocess.run([self.folder / "deploy/demo/run"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              env={**self.environment, **environment})

    def processes(self):
        """Command lines of what it started and has not ended."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if f"DEMO_OF={self.folder}\0".encode() in (entry / "environ").read_bytes():
                    found.append((int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]))
            except OSError:
                continue
        return found

    def end(self):
        for terminal in self.terminals:
            terminal.process.kill()
        for pid, _ in self.processes():
            os.kill(pid, signal.SIGKILL)


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
    with socket.create_server(("127.0.0.1", int(demo.environment[name]))):
        done = demo.run()
    assert done.returncode == 1
    assert f"port {demo.environment[name]}," in done.stderr and f"{name}=" in done.stderr
    assert demo.processes() == []


def test_a_port_that_is_none_is_refused(demo):
    done = demo.run(INGEST_PORT="80801")
    assert (done.returncode, done.stderr) == (1, "demo: INGEST_PORT: must be a number from 1 to 65535, not '80801'\n")
