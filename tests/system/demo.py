"""`make run` in a folder of its own and on ports of its own, at a terminal where Ctrl-C can be typed."""
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import threading

from ess import BUILD, ENVIRONMENT, ROOT, free_port, wait_for

PORTS = {"KAFKA_PORT": 9092, "INGEST_PORT": 8080, "DISPATCHER_PORT": 8081, "RECEIVER_PORT": 8443}  # with the ports they are without it
WEBHOOK = re.compile(r"^[0-9:.]+ +(\S+) +(\S+) +cursor (\d+) +signature ok +(\d+) ms$", re.M)


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
        self.ports = {name: free_port() for name in PORTS}
        self.environment = {**ENVIRONMENT, **{name: str(port) for name, port in self.ports.items()}, "DEMO_OF": str(folder)}
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

    def wait_log(self, service, words):
        """Waits for a line of the log of `ingest` or `dispatcher`."""
        log = self.folder / f".run/{service}.log"
        wait_for(lambda: words in log.read_text(), told=lambda: log.read_text())

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
