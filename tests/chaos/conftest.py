"""The words of the system tests, and what the daemons said beside a failure."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from ess import CA, Broker, Ess  # noqa: E402

LOG_BYTES_SHOWN = 20000


@pytest.fixture
def ess(tmp_path, request):
    broker = Broker(tmp_path / "kafka")
    broker.start()
    request.node.ess = ess = Ess(tmp_path, broker, CA(tmp_path))
    try:
        yield ess
    finally:
        wrong = ess.close()
        broker.stop()
    assert not wrong, "\n".join(wrong)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    ess = getattr(item, "ess", None)
    for daemon in ess.daemons if ess else []:
        report.sections.append((f"log of {daemon.name}", daemon.text()[-LOG_BYTES_SHOWN:]))
