"""`make run` on a bare Debian: from nothing but git and make to verified webhooks, and again with the state that was kept."""
import subprocess

import pytest

from ess import ROOT


@pytest.mark.timeout(900)
def test_make_run_works_on_a_bare_debian():
    done = subprocess.run([ROOT / "tests/compose/fresh", "run"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=850)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("100 webhooks arrived and were verified") == 2
