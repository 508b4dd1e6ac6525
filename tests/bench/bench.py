"""What the benchmarks share: an ESS of their own, and what the kernel says of a process."""
import atexit
import contextlib
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
from ess import BUILD, running_alone  # noqa: E402

BENCH = BUILD / "bench"


@contextlib.contextmanager
def running():
    """An Ess with a broker of its own; what its daemons said wrong ends the program with 1."""
    with tempfile.TemporaryDirectory() as folder, running_alone(pathlib.Path(folder)) as ess:
        yield ess


def say(what, **figures):
    """One line; with the machine's load, which tells what else ran."""
    words = [f"{name}={value:.2f}" if isinstance(value, float) else f"{name}={value}" for name, value in figures.items()]
    print(what, *words, f"load={os.getloadavg()[0]:.1f}", flush=True)


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def pin(pid, core):
    """All threads of the process; those that end meanwhile don't matter."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), {core})


def figures(text):
    """{name: value} of a line such as count=7 p50_us=300."""
    return {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", text)}


def run(words):
    """The figures that a program prints last."""
    return figures(subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, text=True).stdout)


class Receiver:
    """A program of tests/bench that receives webhooks, and prints its port first."""

    def __init__(self, words):
        self.process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)
        atexit.register(self.end)
        self.url = f"https://127.0.0.1:{self.process.stdout.readline().split('=')[1].strip()}/hook"

    def line(self):
        """The next one that it prints, as figures."""
        return figures(self.process.stdout.readline())

    def ask(self, signal):
        self.process.send_signal(signal)
        return self.line()

    def end(self):
        self.process.terminate()
        self.process.wait()


def median(rows, name):
    return statistics.median(row[name] for row in rows)
