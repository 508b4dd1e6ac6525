"""A cluster of three brokers: while one of them hangs, the others do its work."""
import pytest

from ess import running_alone, wait_for


@pytest.fixture
def cluster(tmp_path):
    """An ESS on three brokers."""
    with running_alone(tmp_path, brokers=3) as ess:
        yield ess


def test_while_the_logs_leader_hangs_events_are_published_and_delivered(cluster):
    ess, receiver = cluster, cluster.receiver()
    both = [ess.ingest(), ess.dispatcher()]
    ess.subscribe("steady", receiver, ["a"])
    cursors = [ess.publish("a", "before")]
    receiver.wait(1)
    ess.broker.freeze(ess.broker.leader(ess.topic("events")))
    try:
        cursors += [ess.publish("a", n) for n in range(5)]
        wait_for(lambda: set(receiver.cursors()) >= set(cursors))
        for daemon in both:
            daemon.wait_ready()
    finally:
        ess.broker.thaw()
    cursors.append(ess.publish("a", "after"))
    wait_for(lambda: cursors[-1] in receiver.cursors())
    assert list(dict.fromkeys(receiver.cursors())) == cursors
