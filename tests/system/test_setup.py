"""deploy/setup and the Makefile on a machine that lacks everything: a bare `make` installs nothing and names what does."""
import os
import shutil
import subprocess

import pytest

from ess import ROOT

STUBS = {
    "dpkg-query": "exit 1",  # knows of no package
    "apt-get": 'echo "$@" >>"$CALLS"',
    "sudo": 'exec "$@"',
}


class Machine:
    """Has the Makefile and deploy/setup alone, and an apt-get that only writes down what it is asked for."""

    def __init__(self, folder):
        self.folder, self.calls = folder, folder / "calls"
        for name in ("deploy", "bin", "tests", "build/venv"):
            (folder / name).mkdir(parents=True)
        for name in ("tests", "build/venv"):  # so that none is made
            (folder / name / "requirements.txt").touch()
        shutil.copy(ROOT / "Makefile", folder)
        shutil.copy(ROOT / "deploy/setup", folder / "deploy")
        for name, line in STUBS.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
            (folder / "bin" / name).chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        self.environment = {**kept, "PATH": f"{folder}/bin:{kept['PATH']}", "CALLS": str(self.calls)}

    def run(self, *words):
        return subprocess.run(words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def asked_for(self):
        """What apt-get was to install."""
        return self.calls.read_text().split() if self.calls.exists() else []


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize("goals", [[], ["all"], ["build/ess-ingest"], ["clean", "all"]])
def test_building_alone_installs_nothing_and_names_what_is_missing_and_the_command_that_installs_it(machine, goals):
    done = machine.run("make", *goals)
    assert done.returncode == 2 and machine.asked_for() == []
    said = done.stdout + done.stderr
    assert "missing: gcc " in said and " librdkafka-dev " in said and "setup: make deps installs them" in said, said


@pytest.mark.parametrize("goal", ["deps", "unit", "run", "test"])
def test_what_needs_more_installs_what_is_missing(machine, goal):
    machine.run("make", goal)
    assert {"update", "install", "gcc", "librdkafka-dev"} <= set(machine.asked_for())


def test_help_needs_nothing(machine):
    done = machine.run("make", "help")
    assert done.returncode == 0 and "make deps " in done.stdout and machine.asked_for() == []


def test_a_check_names_the_purposes_own_command(machine):
    done = machine.run("deploy/setup", "--check", "test")
    assert done.returncode == 1 and "libcmocka-dev" in done.stdout and "deploy/setup test installs them" in done.stderr
    assert machine.asked_for() == []
