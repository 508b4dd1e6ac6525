"""make test: several files and quoted words reach pytest as they were given, and nothing is left behind."""
import os
import subprocess

from ess import ROOT

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTEST"))}


def make(*words):
    command = ["make", "--no-print-directory", "-C", str(ROOT), *words]
    done = subprocess.run(command, env={**ENVIRONMENT, "TEST_PROCESSES": "0"}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=150)
    return done.returncode, done.stdout


def test_several_files_and_quoted_words_reach_pytest_and_leave_nothing(tmp_path):
    first, second = tmp_path / "test_first.py", tmp_path / "test_second.py"
    first.write_text("def test_one():\n    pass\n\n\ndef test_two():\n    assert False\n")
    second.write_text("def test_three():\n    pass\n")
    before = sorted(path.name for path in ROOT.iterdir())
    words = ["test", f"SYSTEM_TESTS={first} {second}", "UNIT_TESTS=", "PYTEST_ARGS=-p no:cacheprovider -k 'one or three'"]
    status, said = make(*words)
    assert (status, said.splitlines()[-1]) == (0, "2 passed, 0 failed"), said
    status, said = make(*words[:3])
    assert (status, said.splitlines()[-1]) == (2, "2 passed, 1 failed"), said
    assert sorted(path.name for path in ROOT.iterdir()) == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] not in "._") == [first.name, second.name]


WRAPPED = """include Makefile
bench-first:
	@echo first begins; for i in 1 2 3 4 5 6 7 8 9 10; do [ -e $(MEETING) ] && break; sleep 0.1; done; echo first ends
bench-second chaos soak outage: meeting
	@echo $@ begins
.PHONY: meeting
meeting:
	@echo what others need is built; touch $(MEETING)
"""


def test_of_several_benchmarks_in_one_command_each_waits_for_the_one_before(tmp_path):
    """The first gives the others, and what they need, a second in which to begin too early."""
    (tmp_path / "makefile").write_text(WRAPPED)
    status, said = make("-f", str(tmp_path / "makefile"), f"MEETING={tmp_path}/meeting", "-j8", "bench-first", "bench-second", "chaos", "soak", "outage")
    words = [line for line in said.splitlines() if line.endswith((" begins", " ends", " is built"))]
    assert status == 0 and words == ["first begins", "first ends", "what others need is built",
                                     *(f"{name} begins" for name in ("bench-second", "chaos", "soak", "outage"))], said


def test_the_make_of_the_fuzz_targets_shares_the_jobs_of_the_make_that_was_called():
    command = ["make", "--no-print-directory", "-n", "-j2", "-C", str(ROOT), "fuzz"]
    done = subprocess.run(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0 and "build/fuzz/fuzz/http_fuzz" in done.stdout, done.stderr  # the make within was run
    assert "jobserver" not in done.stderr
