"""Commands by HTTP: what each makes of the lane, and what is refused by name."""
import base64
import json
import time

import confluent_kafka
import pytest
import standardwebhooks

from ess import Answer, wait_for
from test_subscribers_api import call, in_force, register, show, status


@pytest.fixture(scope="module")
def ingest(shared):
    return shared.daemons[0]


@pytest.fixture
def receiver(shared):
    return shared.receiver()


def post(ingest, id, command, body=None, /, **members):
    return ingest.request("POST", f"/ess/subscribers/{id}/{command}", body if body is not None else json.dumps(members))


def give(ingest, id, command, **members):
    """Gives a command and waits until it is in force; its generation."""
    return in_force(ingest, id, post(ingest, id, command, **members))["generation"]


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at := time.time())) + f"{at % 1:.6f}"[1:] + "Z"


# --- refused


COMMANDS = {
    "rewind": [({}, "cursor"), ({"cursor": -1}, "cursor"), ({"cursor": 10**12}, "cursor"), ({"cursor": "1"}, "cursor"), ({"cursor": 1.5}, "cursor"),
               ({"cursor": 1, "time": "2024-05-07T14:03:11Z"}, "time"), ({"time": "yesterday"}, "time"), ({"time": 5}, "time"),
               ({"time": "2999-01-01T00:00:00Z"}, "time"), ({"curser": 1}, "curser")],
    "replay": [({}, "from"), ({"to": 1}, "from"), ({"from": 1, "to": 0}, "to"), ({"from": 0, "to": 10**12}, "to"), ({"from": -1, "to": 1}, "from"),
               ({"from": 10**12}, "from"), ({"from": 0, "to": None}, "to"), ({"from": 0, "till": 1}, "till")],
    "redrive": [({"cursors": []}, "cursors"), ({"cursors": [-1]}, "cursors"), ({"cursors": ["1"]}, "cursors"), ({"cursors": 1}, "cursors"),
                ({"cursors": list(range(1001))}, "cursors"), ({"all": True}, "all")],
    "test": [({"topic": "a.*"}, "topic"), ({"topic": ""}, "topic"), ({"topic": 1}, "topic"), ({"id": "x"}, "id")],
    "rotate": [({"overlap": "8d"}, "overlap"), ({"overlap": "-1h"}, "overlap"), ({"overlap": 5}, "overlap"), ({"overlap": "1"}, "overlap"),
               ({"secret": "mine"}, "secret")],
    "pause": [({"until": 1}, "until")],
    "resume": [({"from": 1}, "from")],
    "token": [({"scopes": []}, "scopes")],
}


def test_bad_commands_are_refused_by_name_and_nothing_is_written(shared, ingest):
    register(ingest, "unmoved")
    shared.publish("any", 1)
    before = len(shared.records("subscribers"))
    for command, cases in COMMANDS.items():
        for members, field in cases:
            answer = post(ingest, "unmoved", command, **members)
            assert (answer.status, answer.json.get("field")) == (400, field), (command, members, answer)
        for body in ("[]", "{", '{"a":1,"a":2}', "null"):
            assert post(ingest, "unmoved", command, body).status == 400, (command, body)
        assert ingest.request("POST", f"/ess/subscribers/unmoved/{command}?x=1", "").json["field"] == "x"
        assert call(ingest, "GET", f"/unmoved/{command}").status == 405
    assert len(shared.records("subscribers")) == before


# --- pause and resume


def test_a_paused_lane_waits_and_goes_on_where_it_stopped(shared, ingest, receiver):
    register(ingest, "paused", receiver, ["paused.a"])
    give(ingest, "paused", "pause")
    assert status(ingest, "paused")["state"] == "paused"
    cursors = [shared.publish("paused.a", n) for n in range(3)]
    give(ingest, "paused", "pause")  # and so does a second time
    assert receiver.requests == []
    give(ingest, "paused", "resume")
    receiver.wait(3)
    assert receiver.cursors() == cursors and status(ingest, "paused")["state"] == "active"


def test_resume_wakes_a_disabled_lane(shared, ingest, receiver):
    register(ingest, "disabled", receiver, ["disabled.a"])
    receiver.answers(410)
    cursor = shared.publish("disabled.a", 1)
    fares = wait_for(lambda: (s := status(ingest, "disabled"))["state"] == "disabled" and s)
    assert fares["reason"]
    give(ingest, "disabled", "resume")
    assert [r.cursor for r in receiver.wait(2)] == [cursor, cursor]
    wait_for(lambda: status(ingest, "disabled")["state"] == "active")


# --- rewind, replay


def test_rewind_sends_everything_after_the_cursor_again_once(shared, ingest, receiver):
    register(ingest, "rewound", receiver, ["rewound.a"])
    cursors = [shared.publish("rewound.a", n) for n in range(5)]
    receiver.wait(5)
    give(ingest, "rewound", "rewind", cursor=cursors[1])
    sixth = shared.publish("rewound.a", 5)
    receiver.wait(5 + 3 + 1)
    assert receiver.cursors() == cursors + cursors[2:] + [sixth]
    assert receiver.requests[5].json["prev_cursor"] == cursors[1] and receiver.requests[5].body == receiver.requests[2].body


def test_rewind_to_a_time_and_forward(shared, ingest, receiver):
    register(ingest, "timed", receiver, ["timed.a"])
    first = shared.publish("timed.a", 1)
    time.sleep(0.01)
    middle = now()
    time.sleep(0.01)
    second = shared.publish("timed.a", 2)
    receiver.wait(2)
    give(ingest, "timed", "rewind", time=middle)
    receiver.wait(3)
    give(ingest, "timed", "pause")
    skipped = shared.publish("timed.a", 3)
    give(ingest, "timed", "rewind", cursor=skipped)
    give(ingest, "timed", "resume")
    last = shared.publish("timed.a", 4)
    receiver.wait(4)
    assert receiver.cursors() == [first, second, second, last]


def test_a_replay_is_a_job_over_a_range_that_leaves_the_live_lane_where_it_is(shared, ingest, receiver):
    register(ingest, "replayed", receiver, ["replayed.a"])
    cursors = [shared.publish("replayed.a", n) for n in range(5)]
    receiver.wait(5)
    before = wait_for(lambda: (s := status(ingest, "replayed"))["cursor"] >= cursors[-1] and s)["cursor"]
    job = give(ingest, "replayed", "replay", **{"from": cursors[0], "to": cursors[3]})
    receiver.wait(5 + 3)
    again = receiver.requests[5:]
    assert [r.cursor for r in again] == cursors[1:4] and {r.headers["X-ESS-Replay"] for r in again} == {str(job)}
    wait_for(lambda: status(ingest, "replayed")["jobs"] == [])
    assert status(ingest, "replayed")["cursor"] >= before
    give(ingest, "replayed", "replay", **{"from": cursors[3]})  # to the end
    receiver.wait(5 + 3 + 1)


def test_a_job_is_shown_and_ended(shared, ingest, receiver):
    register(ingest, "jobbed", receiver, ["jobbed.a"])
    cursors = [shared.publish("jobbed.a", n) for n in range(3)]
    receiver.wait(3)
    receiver.answer = lambda request: Answer(503)
    in_force(ingest, "jobbed", call(ingest, "PUT", "/jobbed", url=receiver.url(), topics=["jobbed.a"], backoff_min="1h"))
    job = give(ingest, "jobbed", "replay", **{"from": cursors[0] - 1, "to": cursors[2]})
    (shown,) = wait_for(lambda: status(ingest, "jobbed")["jobs"])
    assert {k: shown[k] for k in ("job", "from", "to", "cursor")} == {"job": job, "from": cursors[0] - 1, "to": cursors[2], "cursor": cursors[0] - 1}
    assert call(ingest, "DELETE", f"/jobbed/jobs/{job + 10**6}").status == 202  # may be one that its owner has not begun
    assert call(ingest, "DELETE", f"/jobbed/jobs/{job - 1}").status == 404
    in_force(ingest, "jobbed", call(ingest, "DELETE", f"/jobbed/jobs/{job}"))
    wait_for(lambda: status(ingest, "jobbed")["jobs"] == [])


# --- dead letters


def test_dead_letters_are_shown_newest_first_by_pages_and_redriven(shared, ingest, receiver):
    register(ingest, "buried", receiver, ["buried.a"])
    receiver.answers(*[Answer(400, body=b"no such drug")] * 5)
    cursors = [shared.publish("buried.a", {"n": n}) for n in range(5)]
    receiver.wait(5)
    wait_for(lambda: status(ingest, "buried")["dead_lettered"] == 5)
    answer = ingest.get("/ess/subscribers/buried/dead-letters").json
    assert [letter["cursor"] for letter in answer["dead_letters"]] == cursors[::-1] and "next" not in answer
    letter = answer["dead_letters"][-1]
    assert (letter["reason"], letter["attempts"], letter["status"]) == ("refused", 1, 400)
    assert letter["event"] == receiver.requests[0].json and receiver.requests[0].body in ingest.get("/ess/subscribers/buried/dead-letters").body
    pages, before = [], ""
    while True:
        page = ingest.get(f"/ess/subscribers/buried/dead-letters?limit=2{before}").json
        pages.append([letter["cursor"] for letter in page["dead_letters"]])
        if "next" not in page:
            break
        before = f"&before={page['next']}"
    assert [c for page in pages for c in page] == cursors[::-1] and len(pages[0]) == 2
    give(ingest, "buried", "redrive", cursors=[cursors[3], cursors[1], cursors[3]])
    again = receiver.wait(5 + 2)[5:]
    assert [r.cursor for r in again] == [cursors[1], cursors[3]] and "prev_cursor" not in again[0].json
    for field, query in (("limit", "limit=0"), ("before", "before=x"), ("after", "after=1")):
        assert ingest.get(f"/ess/subscribers/buried/dead-letters?{query}").json["field"] == field


def test_dead_letters_of_an_earlier_registration_are_not_shown(shared, ingest, receiver):
    register(ingest, "reborn", receiver, ["reborn.a"])
    receiver.answers(400)
    shared.publish("reborn.a", 1)
    wait_for(lambda: len(ingest.get("/ess/subscribers/reborn/dead-letters").json["dead_letters"]) == 1)
    call(ingest, "DELETE", "/reborn")
    register(ingest, "reborn", receiver, ["reborn.a"])
    assert ingest.get("/ess/subscribers/reborn/dead-letters").json == {"dead_letters": []}


def test_what_others_have_in_the_same_partition_is_looked_past(shared, ingest):
    """More records than one block, most of them of somebody else, and one that nobody can read."""
    register(ingest, "sparse")
    born = json.loads([m for m in shared.records("subscribers") if m.key() == b"sparse"][-1].value())["born"]
    partition = 0
    while True:  # where its dead letters go is only known by trying: the partition in which they are found
        letter = {"v": 1, "subscriber": "sparse", "born": born, "cursor": 1, "at": now(), "reason": "refused", "attempts": 1, "event": {"n": 1}}
        shared.append("dlq", "sparse", json.dumps(letter), partition)
        if ingest.get("/ess/subscribers/sparse/dead-letters").json["dead_letters"]:
            break
        partition += 1
    producer = confluent_kafka.Producer({"bootstrap.servers": shared.broker.address, "log_level": 0})
    for n in range(12000):
        producer.produce(shared.topic("dlq"), key="somebody", value=b"{}", partition=partition)
        if n in (1000, 7000):
            producer.produce(shared.topic("dlq"), key="sparse", value=json.dumps(letter | {"cursor": n}), partition=partition)
            producer.produce(shared.topic("dlq"), key="sparse", value=b"\xff", partition=partition)
    producer.flush(30)
    found = ingest.get("/ess/subscribers/sparse/dead-letters").json
    assert [letter["cursor"] for letter in found["dead_letters"]] == [7000, 1000, 1]


# --- test deliveries


def test_a_test_delivery_has_no_cursor_and_its_data_byte_for_byte(shared, ingest, receiver):
    register(ingest, "tested", receiver, ["tested.*", "tested.exact", "tested.other"])
    generation = give(ingest, "tested", "test")
    first = receiver.wait(1)[0]
    assert first.headers["webhook-id"] == f"ess-test-{generation}" and first.headers["X-ESS-Topic"] == "tested.exact"
    assert first.json["data"] == {"test": True} and "cursor" not in first.json and "X-ESS-Cursor" not in first.headers
    answer = post(ingest, "tested", "test", '{"topic":"tested.b","data":{ "copay" :\n25.00 }}')
    in_force(ingest, "tested", answer)
    second = receiver.wait(2)[1]
    assert second.body.endswith(b'"data":{ "copay" : 25.00 }}') and second.json["topic"] == "tested.b"


# --- rotate and token


def verifies(request, *secrets):
    found = []
    for secret in secrets:
        try:
            standardwebhooks.Webhook(secret).verify(request.body, dict(request.headers))
            found.append(True)
        except standardwebhooks.WebhookVerificationError:
            found.append(False)
    return found


def delivered(shared, receiver, topic):
    before = len(receiver.requests)
    shared.publish(topic, 1)
    return receiver.wait(before + 1)[before]


def test_during_a_rotation_both_secrets_verify_and_after_it_the_new_one_only(shared, ingest, receiver):
    old = register(ingest, "rotated", receiver, ["rotated.a"])["whsec"]
    answer = post(ingest, "rotated", "rotate", overlap="3s").json
    new, began = answer["whsec"], time.monotonic()
    assert answer["secret"] == new and len(base64.b64decode(new.removeprefix("whsec_"))) == 32
    wait_for(lambda: status(ingest, "rotated")["generation"] >= answer["generation"])
    request = delivered(shared, receiver, "rotated.a")
    if time.monotonic() - began < 3:
        assert verifies(request, old, new) == [True, True] and request.headers["X-ESS-Signature-Old"]
    wait_for(lambda: verifies(delivered(shared, receiver, "rotated.a"), old, new) == [False, True])


def test_a_rotation_without_overlap_ends_all_older_secrets_at_once(shared, ingest, receiver):
    first = register(ingest, "leaked", receiver, ["leaked.a"])["whsec"]
    second = post(ingest, "leaked", "rotate").json  # for a day
    in_force(ingest, "leaked", post(ingest, "leaked", "pause"))
    in_force(ingest, "leaked", post(ingest, "leaked", "resume"))
    assert verifies(delivered(shared, receiver, "leaked.a"), first, second["whsec"]) == [True, True]
    answer = post(ingest, "leaked", "rotate", overlap="0")
    in_force(ingest, "leaked", answer)
    assert verifies(delivered(shared, receiver, "leaked.a"), first, second["whsec"], answer.json["whsec"]) == [False, False, True]


def test_a_command_of_each_kind_is_in_force_once_status_says_so_and_leaves_no_record(shared, ingest, receiver):
    register(ingest, "tidy", receiver, ["tidy.a"])
    cursor = shared.publish("tidy.a", 1)
    receiver.wait(1)
    for command, members in (("rewind", {"cursor": cursor}), ("resume", {}), ("replay", {"from": cursor}), ("redrive", {}), ("test", {})):
        give(ingest, "tidy", command, **members)

    def left():
        newest = {m.key(): m.value() for m in shared.records("subscribers") if m.key().startswith(b"tidy/cmd/")}
        return len(newest) == 5 and [k for k, v in newest.items() if v] == []
    wait_for(left)
    assert show(ingest, "tidy")["status"]["state"] == "active"
