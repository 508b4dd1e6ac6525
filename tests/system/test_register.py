"""Registration by HTTP: what a vendor gets, what it does not miss, what is refused, and who gets an id that two want."""
import base64
import concurrent.futures
import hashlib
import json
import time

import confluent_kafka
import pytest

from ess import wait_for


@pytest.fixture(scope="module")
def ingests(shared):
    """Two of one feed."""
    return [shared.daemons[0], shared.ingest({"subscribers.dir": "none"})]


@pytest.fixture
def receiver(shared):
    return shared.receiver()


def register(ingest, path="/register", **fields):
    return ingest.post(json.dumps(fields), path)


def records_of(ess, id):
    return [m for m in ess.records("subscribers") if m.key().split(b"/")[0] == id.encode()]


def test_the_seeds_curl_registers_a_vendor(shared, ingests, receiver):
    body = '{"url":"%s","topics":["appointment.*"],"secret":"vend0r"}' % receiver.url()
    answer = ingests[0].post(body, "/register", **{"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 201 and answer.headers["X-Request-Id"]
    vendor = answer.json
    assert sorted(vendor) == ["cursor", "id", "secret", "token", "whsec"]
    assert vendor["secret"] == "vend0r" and base64.b64decode(vendor["whsec"].removeprefix("whsec_")) == b"vend0r"
    cursor = shared.publish("appointment.cancelled", {"apptId": 9981, "reason": "snow"})
    request = receiver.wait(1)[0]
    assert (request.cursor, request.json["prev_cursor"]) == (cursor, vendor["cursor"])
    assert request.headers["X-ESS-Subscriber"] == vendor["id"]


def test_id_and_secret_are_made_when_missing_and_printable(ingests):
    one, two = (register(ingests[0], path, url="https://vendor.example/hook", topics=["made.a"]) for path in ("/register", "/ess/subscribers"))
    assert (one.status, two.status) == (201, 201)
    assert one.json["id"] != two.json["id"] and one.json["secret"] != two.json["secret"] and one.json["token"] != two.json["token"]
    assert one.json["secret"] == one.json["whsec"] and len(base64.b64decode(one.json["secret"].removeprefix("whsec_"))) == 32
    assert all(value.isascii() and value.isprintable() for name, value in one.json.items() if name != "cursor")


def test_secret_and_token_are_shown_once_and_kept_sealed_or_hashed(shared, ingests):
    vendor = register(ingests[0], id="shown-once", url="https://vendor.example/hook", topics=["shown.a"], secret="sh0wn-once",
                      headers={"X-Api-Key": "k3y-shown"}).json
    wait_for(lambda: ingests[1].get("/ess/subscribers/shown-once").status == 200)
    shown = ingests[1].get("/ess/subscribers/shown-once").body + ingests[1].get("/ess/subscribers").body
    assert b"shown-once" in shown and b"X-Api-Key" in shown
    stored = [m.value() for m in records_of(shared, "shown-once") if m.value()]
    keys = json.loads(next(m.value() for m in records_of(shared, "shown-once") if m.key() == b"shown-once/keys"))
    assert keys["token"] == hashlib.sha256(vendor["token"].encode()).hexdigest()
    logs = [d.text().encode() for d in shared.daemons]
    for planted in (b"sh0wn-once", b"k3y-shown", vendor["token"].encode(), vendor["whsec"].encode()):
        assert not any(planted in place for place in [shown, *stored, *logs])


def test_what_is_published_after_the_201_is_never_missed(shared, ingests, receiver):
    """200 times, registered at one ingest and published at the other right away."""
    expected = {}

    def one(n):
        here, there = ingests[n % 2], ingests[1 - n % 2]
        answer = register(here, id=f"right-{n}", url=receiver.url(f"/{n}"), topics=[f"right.t{n}"])
        assert answer.status == 201, answer
        cursor = shared.publish(f"right.t{n}", {"n": n}, ingest=there)
        assert cursor > answer.json["cursor"]
        expected[f"/{n}"] = [cursor]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(200)))
    receiver.wait(200, timeout=60)
    assert {r.path: [r.cursor] for r in receiver.requests} == expected and len(receiver.requests) == 200


def test_what_another_ingest_had_appended_before_is_not_delivered(shared, ingests, receiver):
    """The end is the log's, not that of what this ingest happens to have read."""
    for n in range(50):
        before = shared.publish(f"before.t{n}", "old", ingest=ingests[1 - n % 2])
        answer = register(ingests[n % 2], id=f"before-{n}", url=receiver.url(), topics=[f"before.t{n}"])
        assert answer.status == 201 and answer.json["cursor"] >= before
        shared.publish(f"before.t{n}", "new", ingest=ingests[n % 2])
    assert [r.json["data"] for r in receiver.wait(50)] == ["new"] * 50


def test_what_is_published_while_the_request_is_under_way_is_not_skipped_between_cursor_and_delivery(shared, ingests, receiver):
    """Whatever lies above the cursor that the answer names arrives, also what was appended before the 201."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        published = [pool.submit(shared.publish, "during.a", n, ingests[n % 2]) for n in range(60)]
        answers = [register(ingests[n % 2], id=f"during-{n}", url=receiver.url(f"/{n}"), topics=["during.a"]) for n in range(6)]
        cursors = [p.result() for p in published]
    assert [a.status for a in answers] == [201] * 6
    expected = {f"/{n}": [c for c in sorted(cursors) if c > answer.json["cursor"]] for n, answer in enumerate(answers)}
    receiver.wait(sum(map(len, expected.values())))
    assert {path: [r.cursor for r in receiver.requests if r.path == path] for path in expected} == expected


def test_from_is_resolved_once_to_a_cursor(shared, ingests, receiver):
    first = shared.publish("from.api", 1)
    time.sleep(0.01)  # a time between two appends, which Kafka tells apart by milliseconds
    middle = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now := time.time())) + f"{now % 1:.6f}"[1:] + "Z"
    time.sleep(0.01)
    second = shared.publish("from.api", 2)
    starts = {"beginning": 0, first: first, middle: second - 1, "end": second}
    for n, (start, cursor) in enumerate(starts.items()):
        answer = register(ingests[0], id=f"from-api-{n}", url=receiver.url(f"/{n}"), topics=["from.api"], **{"from": start})
        assert (answer.status, answer.json.get("cursor")) == (201, cursor), (start, answer)
    third = shared.publish("from.api", 3)
    receiver.wait(3 + 2 + 2 + 1)
    found = [[r.cursor for r in receiver.requests if r.path == f"/{n}"] for n in range(4)]
    assert found == [[first, second, third], [second, third], [second, third], [third]]


GOOD = {"id": "bad", "url": "https://vendor.example/hook", "topics": ["a.b"]}
# fields, the field to blame
BAD = {
    "plain http": ({"url": "http://vendor.example/hook"}, "url"),
    "credentials": ({"url": "https://me:pw@vendor.example/"}, "url"),
    "a fragment": ({"url": "https://vendor.example/#x"}, "url"),
    "a private address": ({"url": "https://10.0.0.1/"}, "url"),
    "one in octal": ({"url": "https://012.0.0.1/"}, "url"),
    "one of IPv6": ({"url": "https://[fd00::1]/"}, "url"),
    "a secret without a url": ({"url": None, "secret": "s3cr3t"}, "url"),
    "a throttle without a url": ({"url": None, "throttle": 5}, "throttle"),
    "headers without a url": ({"url": None, "headers": {"A": "b"}}, "headers"),
    "no topics": ({"topics": None}, "topics"),
    "empty topics": ({"topics": []}, "topics"),
    "topics of the wrong type": ({"topics": "a.b"}, "topics"),
    "a bad wildcard": ({"topics": ["a.b*"]}, "topics"),
    "an unknown field": ({"throtle": 5}, "throtle"),
    "throttle of 0": ({"throttle": 0}, "throttle"),
    "throttle below 0": ({"throttle": -1}, "throttle"),
    "throttle of the wrong type": ({"throttle": "5"}, "throttle"),
    "an id with a slash": ({"id": "a/b"}, "id"),
    "an id of 65": ({"id": "a" * 65}, "id"),
    "secret_file": ({"secret_file": "/etc/shadow"}, "secret_file"),
    "a bad secret": ({"secret": "whsec_?"}, "secret"),
    "an unknown ordering": ({"ordering": "loose"}, "ordering"),
    "from beyond the end": ({"from": 10**12}, "from"),
    "from below 0": ({"from": -1}, "from"),
    "from the future": ({"from": "2999-01-01T00:00:00Z"}, "from"),
    "a header of ours": ({"headers": {"X-ESS-Cursor": "1"}}, "headers"),
}


def test_bad_registrations_are_refused_by_field_and_nothing_is_written(shared, ingests):
    before = len(shared.records("subscribers"))
    found = {}
    for what, (fields, _) in BAD.items():
        answer = register(ingests[0], **{k: v for k, v in (GOOD | fields).items() if v is not None})
        assert answer.headers["Content-Type"] == "application/problem+json", (what, answer)
        found[what] = (answer.status, answer.json.get("field"), answer.json["status"])
    assert found == {what: (400, field, 400) for what, (_, field) in BAD.items()}
    for body, said in (("", "text ends"), ("[]", "object"), ("{", ""), ('{"id":"a","id":"b"}', ""), ("{}", "missing"), (b'{"id":"\xff"}', "UTF-8")):
        answer = ingests[0].post(body, "/register")
        assert answer.status == 400 and said in answer.json["detail"], answer
    assert ingests[0].post(json.dumps(GOOD), "/register?dry=1").json["field"] == "dry"
    assert len(shared.records("subscribers")) == before


def test_a_taken_id_is_409_and_changes_nothing(shared, ingests):
    assert register(ingests[0], id="taken", url="https://vendor.example/1", topics=["a"]).status == 201
    before = len(records_of(shared, "taken"))
    wait_for(lambda: ingests[1].get("/ess/subscribers/taken").status == 200)
    for ingest in ingests:
        answer = register(ingest, id="taken", url="https://vendor.example/2", topics=["a"])
        assert (answer.status, answer.json["field"]) == (409, "id")
    assert len(records_of(shared, "taken")) == before


def test_an_id_that_two_want_at_the_same_moment_is_the_first_ones(shared, ingests, receiver):
    rounds = 40
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for n in range(rounds):
            want = [pool.submit(register, ingests[i], id=f"race-{n}", url=receiver.url(f"/{n}/{i}"), topics=[f"race.t{n}"], secret=f"race-{i}")
                    for i in range(2)]
            answers = [w.result() for w in want]
            assert sorted(a.status for a in answers) == [201, 409], answers
            winner = [a.status for a in answers].index(201)
            for ingest in ingests:
                wait_for(lambda ingest=ingest: ingest.get(f"/ess/subscribers/race-{n}").json.get("url") == receiver.url(f"/{n}/{winner}"))
            cursor = shared.publish(f"race.t{n}", n)
            request = receiver.wait(n + 1)[n]
            assert (request.path, request.cursor) == (f"/{n}/{winner}", cursor)
    claims = [m.key() for m in shared.records("subscribers") if m.key().startswith(b"race-") and b"/claim/" in m.key() and m.value()]
    assert len(claims) > rounds, "no two registrations met"
    # What compaction leaves, the newest record under each key, is of the winner too.
    for n in range(rounds):
        newest = {m.key(): json.loads(m.value()) for m in records_of(shared, f"race-{n}") if m.value()}
        assert newest[b"race-%d" % n]["born"] == newest[b"race-%d/keys" % n]["born"]
        assert newest[b"race-%d" % n]["spec"]["url"] == receiver.url(receiver.requests[n].path)


def claim(shared, id, number, value=b'{"v":1}', **options):
    partition = records_of(shared, id)[0].partition()
    shared.append("subscribers", f"{id}/claim/00000000-0000-4000-8000-{number:012}", value, partition, **options)


def claims_of(shared, id):
    return [key for key, value in {m.key(): m.value() for m in records_of(shared, id)}.items() if b"/claim/" in key and value]


def test_a_claim_that_stands_before_has_the_id_until_it_is_taken_back_or_was_left_behind(shared, ingests):
    """As another ingest makes it, that has not come to write its spec yet; or has died."""
    fields = {"id": "claimed", "url": "https://vendor.example/1", "topics": ["a"]}
    assert register(ingests[0], **fields).status == 201
    assert claims_of(shared, "claimed") == []
    assert ingests[0].request("DELETE", "/ess/subscribers/claimed").status == 202
    claim(shared, "claimed", 1)
    wait_for(lambda: ingests[1].get("/ess/subscribers/claimed").status == 404)
    assert [register(ingest, **fields).status for ingest in ingests] == [409, 409]
    claim(shared, "claimed", 1, None)
    assert register(ingests[0], **fields).status == 201
    assert ingests[0].request("DELETE", "/ess/subscribers/claimed").status == 202
    claim(shared, "claimed", 2)
    wait_for(lambda: register(ingests[0], **fields).status == 201)  # after 15 s


def test_claims_that_were_left_behind_long_ago_are_cleared_away(shared, ingests):
    assert register(ingests[0], id="littered", url="https://vendor.example/1", topics=["a"]).status == 201
    resource = confluent_kafka.admin.ConfigResource("topic", shared.topic("subscribers"))
    resource.add_incremental_config(confluent_kafka.admin.ConfigEntry("message.timestamp.type", "CreateTime",
                                                                      incremental_operation=confluent_kafka.admin.AlterConfigOpType.SET))
    admin = shared.broker.admin()
    admin.incremental_alter_configs([resource])[resource].result()
    claim(shared, "littered", 3, timestamp=int((time.time() - 3600) * 1000))
    ingests[1].restart()
    wait_for(lambda: claims_of(shared, "littered") == [])


def test_a_registration_that_came_into_force_after_its_503_is_undone(ess_on_own_broker, own_broker):
    """Nobody knows its secret, and its id must be free for the vendor's next try."""
    ess = ess_on_own_broker
    own_broker.start()
    ingest = ess.ingest()
    fields = {"id": "unheard", "topics": ["a"], "from": "beginning"}
    own_broker.freeze()
    try:
        answer = register(ingest, url="https://vendor.example/first", **fields)
    finally:
        own_broker.thaw()
    assert answer.status == 503 and answer.headers["Retry-After"]
    ingest.wait_ready()
    wait_for(lambda: register(ingest, url="https://vendor.example/second", **fields).status == 201)
    time.sleep(1)  # what was undone would be so by now
    wait_for(lambda: ingest.get("/ess/subscribers/unheard").status == 200)  # 503 while it makes sure that the log is the same
    assert ingest.get("/ess/subscribers/unheard").json["url"] == "https://vendor.example/second"


def test_without_kafka_a_registration_is_503_and_leaves_nothing(ess_on_own_broker, own_broker):
    ess = ess_on_own_broker
    own_broker.start()
    ingest = ess.ingest()
    own_broker.kill9()
    ingest.wait_line("kafka_down")
    answer = register(ingest, id="later", url="https://vendor.example/1", topics=["a"])
    assert answer.status == 503 and answer.headers["Retry-After"]
    own_broker.start()
    ingest.wait_ready()
    # A broker that answers may not lead all its partitions yet: a vendor tries again, as 503 says.
    wait_for(lambda: register(ingest, id="later", url="https://vendor.example/1", topics=["a"]).status == 201)
    wait_for(lambda: ingest.get("/ess/subscribers/later").status == 200)
