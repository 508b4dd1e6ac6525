"""A broker that takes connections and bytes, and answers nothing: every client is told so, and SIGTERM ends both services."""
import json

import pytest

from ess import wait_for
from test_auth import auth_file, call, register, write_auth


@pytest.fixture
def frozen(ess_on_own_broker, own_broker):
    """An ESS whose broker has just been stopped in its tracks."""
    ess = ess_on_own_broker
    own_broker.start()
    ess.ingest(), ess.dispatcher()
    ess.subscribe("held", "https://vendor.example/held", ["held.*"])
    ess.publish("held.a", 1)
    own_broker.freeze()
    try:
        yield ess
    finally:
        own_broker.thaw()


def test_whoever_needs_a_place_in_the_log_is_told_to_come_again(frozen):
    ingest = frozen.daemons[0]
    calls = {
        "/register": {"id": "new", "url": "https://vendor.example/new", "topics": ["a"]},
        "/ess/subscribers/held/rewind": {"time": "2020-01-01T00:00:00Z"},
        "/ess/subscribers/held/replay": {"from": "2020-01-01T00:00:00Z"},
    }
    for path, body in calls.items():
        answer = ingest.post(json.dumps(body), path)
        assert answer.status == 503 and answer.headers["Retry-After"], path
    answer = ingest.get("/ess/subscribers/held/dead-letters")
    assert answer.status == 503 and answer.headers["Retry-After"]
    assert ingest.get("/healthz").status == 200


def test_after_a_hung_broker_all_goes_on(frozen):
    ingest = frozen.daemons[0]
    assert ingest.post('{"id":"new","url":"https://vendor.example/new","topics":["a"]}', "/register").status == 503
    frozen.broker.thaw()
    ingest.wait_ready()
    body = '{"id":"next","url":"https://vendor.example/next","topics":["a"]}'
    wait_for(lambda: ingest.post(body, "/register").status == 201)


def test_sigterm_ends_both_while_questions_are_under_way(frozen):
    ingest, dispatcher = frozen.daemons
    ingest.post('{"id":"new","url":"https://vendor.example/new","topics":["a"]}', "/register")
    for daemon in (ingest, dispatcher):
        daemon.term()


def test_while_kafka_is_away_the_known_status_is_shown_with_its_age(ess_on_own_broker, own_broker):
    ess = ess_on_own_broker
    own_broker.start()
    ingest = ess.ingest({"auth.file": write_auth(ess, auth_file({"admin": ["admin"]}))})
    ess.dispatcher()
    id, own = register(ingest)

    def show(path, **who):
        return call(ingest, "GET", path, **who)
    wait_for(lambda: "as_of" in show(f"/ess/subscribers/{id}", name="admin").json["status"])
    known = show(f"/ess/subscribers/{id}", name="admin").json
    own_broker.freeze()
    try:
        wait_for(lambda: ingest.get("/readyz").status == 503)
        for who in ({"name": "admin"}, {"secret": own}):
            assert show(f"/ess/subscribers/{id}", **who).json["status"]["as_of"] == known["status"]["as_of"]
            assert show(f"/ess/subscribers/{id}/attempts", **who).status == 200
            assert show("/ess/subscribers/other", name="admin").status == 404
        assert [s["id"] for s in show("/ess/subscribers", name="admin").json["subscribers"]] == [id]
        assert show(f"/ess/subscribers/{id}", secret="one-that-may-not-be-read-yet").status == 503
        for who in ({"name": "admin"}, {"secret": own}):
            assert call(ingest, "POST", f"/ess/subscribers/{id}/pause", **who).status == 503
    finally:
        own_broker.thaw()
