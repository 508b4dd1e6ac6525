"""Kept-alive connections and how they end: what is sent again, and what an answer's end may lack."""
import pytest

from badends import BadEnd
from ess import wait_for


@pytest.fixture
def end_that(ess):
    """An ESS, and an endpoint that misbehaves in a way."""
    ends = []
    ess.ingest()
    ess.dispatcher()

    def start(way, **fields):
        ends.append(BadEnd(ess.ca.certificate(), way))
        ess.subscribe("bad", ends[0].url, ["a"], **fields)
        return ends[0]
    yield start
    for end in ends:
        end.stop()


def settled(ess, cursor):
    return ess.daemons[0].status("bad")["cursor"] >= cursor


def test_an_event_that_a_dead_kept_alive_connection_swallowed_is_sent_again_at_once_and_counts_as_no_attempt(ess, end_that):
    end = end_that("closes_when_a_second_request_comes", max_attempts=1, backoff_min="1h", backoff_max="1h")
    cursors = [ess.publish("a", n) for n in range(20)]
    wait_for(lambda: settled(ess, cursors[-1]))
    assert end.requests == [(cursor, 1) for cursor in cursors]
    assert not ess.daemons[1].lines("delivery_failed")


def test_such_an_event_waits_for_its_throttle(ess, end_that):
    end = end_that("closes_when_a_second_request_comes", max_attempts=1, throttle=2)
    cursors = [ess.publish("a", n) for n in range(4)]
    wait_for(lambda: settled(ess, cursors[-1]))
    assert end.requests == [(cursor, 1) for cursor in cursors]
    assert ess.daemons[1].metrics()["ess_throttle_wait_seconds_total"] > 1.5  # three more attempts than events


def test_bytes_on_an_idle_connection_settle_no_event(ess, end_that):
    end = end_that("sends_an_answer_that_nobody_asked_for")
    first = ess.publish("a", 1)
    assert end.hung_up.wait(60)
    second = ess.publish("a", 2)
    wait_for(lambda: settled(ess, second))
    assert end.requests == [(first, 1), (second, 1)]


def test_an_answer_that_ends_in_its_headers_is_none(ess, end_that):
    end = end_that("ends_in_its_headers", backoff_min="100ms")
    cursor = ess.publish("a", 1)
    wait_for(lambda: settled(ess, cursor))
    assert end.requests == [(cursor, 1), (cursor, 2)]


@pytest.mark.parametrize("way", ["ends_a_body_too_early", "ends_without_close_notify"])
def test_an_answer_counts_once_its_status_and_headers_are_there(ess, end_that, way):
    end = end_that(way)
    cursors = [ess.publish("a", n) for n in range(3)]
    wait_for(lambda: settled(ess, cursors[-1]))
    assert end.requests == [(cursor, 1) for cursor in cursors]
