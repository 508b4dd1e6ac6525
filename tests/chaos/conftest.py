"""The words of the system tests, and what the daemons said beside a failure."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from ess import running_alone  # noqa: E402

LOG_BYTES_SHOWN = 20000


@pytest.fixture
def ess(tmp_path, request):
    with running_alone(tmp_path) as ess:
        request.node.ess = ess
        yield ess


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    ess = getattr(item, "ess", None)
    for daemon in ess.daemons if ess else []:
        report.sections.append((f"log of {daemon.name}", daemon.text()[-LOG_BYTES_SHOWN:]))
