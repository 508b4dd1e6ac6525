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


def test_of_several_benchmarks_in_one_command_each_waits_for_the_one_before():
    done = subprocess.run(["make", "-C", str(ROOT), "-n", "-p", "bench-pull", "bench-js", "bench-idle"], env=ENVIRONMENT, capture_output=True,
                          text=True, timeout=60)
    for goal, before in (("bench-js", "bench-pull"), ("bench-idle", "bench-js")):
        rule = next(line for line in done.stdout.splitlines() if line.startswith(f"{goal}:"))
        assert before in rule.split("|")[1].split(), rule
