"""The project on a bare Debian: `make run` from nothing but git and make to verified webhooks, and the system tests that meet the
libraries most, with the libraries of the Debian that the images use."""
import re
import subprocess

import pytest

from ess import ROOT


@pytest.mark.timeout(900)
def test_make_run_works_on_a_bare_debian():
    done = subprocess.run([ROOT / "tests/compose/fresh", "run"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=850)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("100 webhooks arrived and were verified") == 2


LIBRARIES = ["connections", "delivery", "faults", "hardening", "kafka", "kafka_rights", "late_bytes",
             "log_reading", "names", "pull", "tls"]


@pytest.mark.timeout(1800)
def test_the_system_tests_pass_with_the_images_libraries():
    files = [f"tests/system/test_{name}.py" for name in LIBRARIES]
    words = [ROOT / "tests/compose/fresh", "test", "trixie", "WERROR=1", f"SYSTEM_TESTS={' '.join(files)}"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1750)
    assert done.returncode == 0 and re.search(r"^[1-9]\d+ passed, 0 failed$", done.stdout, re.M), done.stdout[-20000:] + done.stderr
