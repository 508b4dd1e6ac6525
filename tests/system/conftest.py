"""Fixtures of the system tests; ess.py has the words they are written in."""
import contextlib

import pytest

from ess import CA, Broker, Ess, Subscriber, running, wait_for

LOG_BYTES_SHOWN = 20000


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """One broker for all tests that don't harm it."""
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    return CA(tmp_path_factory.mktemp("ca"))


@contextlib.contextmanager
def running_on_shared(folder, broker, ca):
    """The broker of all tests is not to fill with the topics of each."""
    try:
        with running(folder, broker, ca) as ess:
            yield ess
    finally:
        broker.delete_topics(ess.prefix)


@pytest.fixture
def ess(tmp_path, broker, ca):
    """A test's own ESS: nothing runs yet."""
    with running_on_shared(tmp_path, broker, ca) as ess:
        yield ess


@pytest.fixture(scope="module")
def shared(tmp_path_factory, broker, ca):
    """An ESS with an ingest and a dispatcher, for the tests of one file; each takes topics and subscribers of its own."""
    with running_on_shared(tmp_path_factory.mktemp("shared"), broker, ca) as ess:
        ess.ingest()
        ess.dispatcher()
        yield ess


@pytest.fixture
def make(shared):
    """Makes a subscriber with a receiver of its own, registered with the ESS `shared` and running."""
    def make(topics, **fields):
        subscriber = Subscriber(shared.daemons[0], shared.receiver(), topics, **fields)
        wait_for(lambda: shared.daemons[1].lines("subscriber_started", subscriber=subscriber.id))
        return subscriber
    return make


@pytest.fixture
def own_broker(tmp_path):
    """A broker that the test may kill. Not started."""
    broker = Broker(tmp_path / "kafka")
    yield broker
    broker.stop()


@pytest.fixture
def ess_on_own_broker(tmp_path, own_broker, ca):
    with running(tmp_path, own_broker, ca) as ess:
        yield ess


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What the daemons said, beside a failure."""
    report = (yield).get_result()
    if not report.failed:
        return
    for ess in item.funcargs.values():
        for daemon in ess.daemons if isinstance(ess, Ess) else []:
            report.sections.append((f"log of {daemon.name}", daemon.text()[-LOG_BYTES_SHOWN:]))
