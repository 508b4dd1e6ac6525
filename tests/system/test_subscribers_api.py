"""Subscribers by HTTP: shown, listed, replaced, deleted; what a file defines, and records that cannot be read."""
import concurrent.futures
import hashlib
import hmac
import json
import re

import pytest
import standardwebhooks

from ess import wait_for


@pytest.fixture(scope="module")
def ingests(shared):
    """Two of one feed."""
    return [shared.daemons[0], shared.ingest({"subscribers.dir": "none"})]


@pytest.fixture
def ingest(ingests):
    return ingests[0]


@pytest.fixture
def receiver(shared):
    return shared.receiver()


def call(ingest, method, path, **members):
    return ingest.request(method, f"/ess/subscribers{path}", json.dumps(members) if members else None)


def register(ingest, id, url="https://vendor.example/hook", topics=("a",), **fields):
    answer = call(ingest, "POST", "", id=id, url=url if isinstance(url, str) else url.url(), topics=list(topics), **fields)
    assert answer.status == 201, answer
    return answer.json


def show(ingest, id):
    answer = call(ingest, "GET", f"/{id}")
    assert answer.status == 200, answer
    return answer.json


def status(ingest, id):
    return show(ingest, id)["status"]


def in_force(ingest, id, answer):
    """Waits until what was answered 202 is in force."""
    assert answer.status == 202, answer
    wait_for(lambda: status(ingest, id)["generation"] >= answer.json["generation"], told=lambda: (answer, status(ingest, id)))
    return answer.json


def named(shared, id):
    """A file's error in the list."""
    return [f for f in shared.daemons[0].get("/ess/subscribers").json["files"] if f["file"].endswith(f"/{id}.yml")]


def test_one_is_shown_with_its_fields_flat_and_how_it_fares(shared, ingests, receiver):
    vendor = register(ingests[0], "shown", receiver, ["shown.*"], throttle=5.5, max_attempts=3, timeout="3s", description="a vendor",
                      headers={"X-Api-Key": "k3y"})
    cursor = shared.publish("shown.a", 1)
    receiver.wait(1)
    for ingest in ingests:
        wait_for(lambda ingest=ingest: status(ingest, "shown").get("delivered") == 1)
        shown = show(ingest, "shown")
        fares = shown.pop("status")
        assert shown == {"id": "shown", "url": receiver.url(), "topics": ["shown.*"], "throttle": 5.5, "max_attempts": 3, "timeout": "3s",
                         "headers": ["X-Api-Key"], "description": "a vendor"}
        assert (fares["state"], fares["lag"], fares["dead_lettered"], fares["jobs"], fares["source"]) == ("active", 0, 0, [], "api")
        assert fares["cursor"] >= cursor > vendor["cursor"] and fares["generation"] > 0
        assert "last_error" not in fares and "next_attempt" not in fares


def test_a_failing_one_tells_why_and_when_it_is_tried_again(shared, ingest, receiver):
    register(ingest, "failing", receiver, ["failing.a"], backoff_min="10m")
    receiver.answers(503)
    cursor = shared.publish("failing.a", 1)
    fares = wait_for(lambda: (s := status(ingest, "failing"))["state"] == "retrying" and s)
    assert fares["last_error"] == "status 503" and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", fares["next_attempt"])
    assert fares["cursor"] < cursor and fares["lag"] >= 1
    attempts = call(ingest, "GET", "/failing/attempts").json["attempts"]
    assert len(attempts) == 1
    assert {k: attempts[0][k] for k in ("cursor", "attempt", "status")} == {"cursor": cursor, "attempt": 1, "status": 503}
    assert set(attempts[0]) == {"at", "cursor", "attempt", "status", "duration_ms", "excerpt"}


def test_the_list_has_pages_and_a_filter(shared, ingest):
    for n in range(7):
        register(ingest, f"page-{n}")
    in_force(ingest, "page-3", call(ingest, "POST", "/page-3/pause"))
    wait_for(lambda: status(ingest, "page-3")["state"] == "paused")
    pages, after = [], "page-"
    while after:
        answer = ingest.get(f"/ess/subscribers?limit=3&after={after}")
        assert answer.status == 200
        pages.append([s["id"] for s in answer.json["subscribers"] if s["id"].startswith("page-")])
        after = answer.json.get("next")
        if after and not after.startswith("page-"):
            break
    assert [id for page in pages for id in page] == [f"page-{n}" for n in range(7)] and len(pages[0]) == 3
    assert [s["id"] for s in ingest.get("/ess/subscribers?state=paused").json["subscribers"]] == ["page-3"]
    listed = next(s for s in ingest.get("/ess/subscribers?after=page-2&limit=1").json["subscribers"])
    assert listed == show(ingest, "page-3")


@pytest.mark.parametrize("query,field", [("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("limit=1&limit=1", "limit"),
                                         ("state=gone", "state"), ("offset=1", "offset")])
def test_bad_parameters_of_the_list_are_named(ingest, query, field):
    answer = ingest.get(f"/ess/subscribers?{query}")
    assert (answer.status, answer.json["field"]) == (400, field)


def test_what_is_not_there_is_404_and_another_method_405(ingest):
    register(ingest, "there")
    wait_for(lambda: status(ingest, "there")["generation"] > 0)
    for method, path in [("GET", "/nobody"), ("PUT", "/nobody"), ("DELETE", "/nobody"), ("POST", "/nobody/pause"), ("POST", "/nobody/resume"),
                         ("POST", "/nobody/rewind"), ("POST", "/nobody/replay"), ("POST", "/nobody/redrive"), ("POST", "/nobody/test"),
                         ("POST", "/nobody/rotate"), ("POST", "/nobody/token"), ("DELETE", "/nobody/jobs/1"), ("GET", "/nobody/attempts"),
                         ("GET", "/nobody/dead-letters"), ("GET", "/there/nothing"), ("DELETE", "/there/jobs/1"), ("DELETE", "/there/jobs/x")]:
        assert call(ingest, method, path).status == 404, (method, path)
    answer = call(ingest, "PATCH", "/there")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD, PUT, DELETE"
    assert ingest.get("/ess/subscribers/there?x=1").json["field"] == "x"


def test_put_replaces_and_a_secret_left_out_stays(shared, ingests, receiver):
    register(ingests[0], "replaced", receiver.url("/one"), ["replaced.a"], secret="stays", headers={"X-A": "a", "X-B": "b"}, throttle=5)
    first = shared.publish("replaced.a", 1)
    receiver.wait(1)
    answer = call(ingests[0], "PUT", "/replaced", url=receiver.url("/two"), topics=["replaced.*"], headers={"X-A": "c"})
    in_force(ingests[0], "replaced", answer)
    for ingest in ingests:
        shown = show(ingest, "replaced")
        assert (shown["url"], shown["topics"], shown["headers"], "throttle" in shown) == (receiver.url("/two"), ["replaced.*"], ["X-A"], False)
    second = shared.publish("replaced.b", 2)
    one, two = receiver.wait(2)
    assert (two.path, two.cursor, two.json["prev_cursor"]) == ("/two", second, first)
    assert (two.headers["X-A"], two.headers["X-B"]) == ("c", None)
    assert one.headers["X-ESS-Signature"] != two.headers["X-ESS-Signature"] and len(two.headers["X-ESS-Signature"]) == 64


def test_what_was_shown_may_be_put_back_and_keeps_its_header_values(shared, ingest, receiver):
    register(ingest, "back", receiver, ["back.a"], headers={"X-A": "kept", "X-B": "kept too"})
    shown = show(ingest, "back")
    in_force(ingest, "back", call(ingest, "PUT", "/back", **(shown | {"description": "edited"})))
    shared.publish("back.a", 1)
    request = receiver.wait(1)[0]
    assert (request.headers["X-A"], request.headers["X-B"]) == ("kept", "kept too")
    assert show(ingest, "back")["description"] == "edited"
    answer = call(ingest, "PUT", "/back", **(shown | {"headers": ["X-A", "X-New"]}))
    assert answer.status == 400 and answer.json["field"] == "headers" and "X-New" in answer.json["detail"]


def test_a_new_secret_in_put_signs_alone(shared, ingest, receiver):
    register(ingest, "resecret", receiver, ["resecret.a"], secret="old-one")
    in_force(ingest, "resecret", call(ingest, "PUT", "/resecret", url=receiver.url(), topics=["resecret.a"], secret="new-one"))
    shared.publish("resecret.a", 1)
    request = receiver.wait(1)[0]
    assert request.headers["X-ESS-Signature"] == hmac.new(b"new-one", request.body, hashlib.sha256).hexdigest()
    assert "X-ESS-Signature-Old" not in request.headers and " " not in request.headers["webhook-signature"]


def test_bad_replacements_are_refused_by_field_and_nothing_is_written(shared, ingest):
    register(ingest, "unbent")
    before = len(shared.records("subscribers"))
    good = {"url": "https://vendor.example/hook", "topics": ["a"]}
    for field, value in [("url", "http://vendor.example/"), ("topics", ["a.b*"]), ("id", "other"), ("throttle", 0), ("wrong", 1), ("headers", [1])]:
        answer = call(ingest, "PUT", "/unbent", **(good | {field: value}))
        assert (answer.status, answer.json["field"]) == (400, field), answer
    assert call(ingest, "PUT", "/unbent").status == 400
    assert len(shared.records("subscribers")) == before


def test_a_deleted_one_is_gone_and_its_id_inherits_nothing(shared, ingests, receiver):
    register(ingests[0], "again", receiver.url("/first"), ["again.a"])
    shared.publish("again.a", 1)
    receiver.wait(1)
    wait_for(lambda: status(ingests[0], "again").get("delivered") == 1)
    in_pause = call(ingests[0], "POST", "/again/pause")
    in_force(ingests[0], "again", in_pause)
    answer = call(ingests[0], "DELETE", "/again")
    assert answer.status == 202 and answer.json["generation"] > in_pause.json["generation"]
    assert call(ingests[0], "GET", "/again").status == 404
    wait_for(lambda: call(ingests[1], "GET", "/again").status == 404)
    missed = shared.publish("again.a", 2)
    vendor = register(ingests[1], "again", receiver.url("/second"), ["again.a"])
    assert vendor["cursor"] >= missed
    third = shared.publish("again.a", 3)
    request = receiver.wait(2)[1]
    assert (request.path, request.cursor, request.json["prev_cursor"]) == ("/second", third, vendor["cursor"])
    fares = wait_for(lambda: (s := status(ingests[1], "again"))["delivered"] == 1 and s)
    assert fares["state"] == "active"
    newest = {m.key(): m.value() for m in shared.records("subscribers") if m.key().startswith(b"again")}
    assert newest[b"again/want"] is None


def test_a_paused_one_gets_nothing_while_it_is_being_deleted(shared, ingests, receiver):
    """The desired state's tombstone comes before the spec's."""
    for id in ("leaving", "staying"):
        register(ingests[0], id, receiver.url(f"/{id}"), ["leaving.a"])
    in_force(ingests[0], "leaving", call(ingests[0], "POST", "/leaving/pause"))
    offset = shared.append("subscribers", "leaving/want", None, partition_of(shared, "leaving"))
    wait_for(lambda: status(ingests[0], "leaving")["generation"] >= offset)
    shared.publish("leaving.a", 1)
    wait_for(lambda: status(ingests[0], "staying").get("delivered") == 1)
    assert status(ingests[0], "leaving")["state"] == "paused"
    assert call(ingests[0], "DELETE", "/leaving").status == 202
    shared.publish("leaving.a", 2)
    wait_for(lambda: status(ingests[0], "staying").get("delivered") == 2)
    assert {request.path for request in receiver.requests} == {"/staying"}


# --- files


def subscribe(shared, ingest, id, receiver, topics, **fields):
    """By a file; returns when the ingest has read it back."""
    path = shared.subscribe(id, receiver, topics, **fields)
    wait_for(lambda: call(ingest, "GET", f"/{id}").status == 200)
    return path


def test_a_files_subscriber_is_read_only_through_the_api_but_for_what_no_file_says(shared, ingest, receiver):
    subscribe(shared, ingest, "filed", receiver, ["filed.a"])
    source = status(ingest, "filed")["source"]
    assert source.endswith("/filed.yml")
    for method, path in (("PUT", ""), ("DELETE", ""), ("POST", "/rotate")):
        answer = call(ingest, method, f"/filed{path}", **({"url": "https://vendor.example/", "topics": ["a"]} if method == "PUT" else {}))
        assert answer.status == 409 and source in answer.json["detail"], (method, path, answer)
    for path in ("pause", "resume", "test", "token"):
        in_force(ingest, "filed", call(ingest, "POST", f"/filed/{path}"))
    assert call(ingest, "POST", "", id="filed", url="https://vendor.example/", topics=["a"]).status == 409


def test_a_file_with_the_id_of_an_apis_subscriber_is_refused_and_named(shared, ingest, receiver):
    shared.allow("bad_subscriber_file")
    register(ingest, "apis-own", receiver.url("/api"), ["apis.a"])
    path = shared.subscribe("apis-own", receiver.url("/file"), ["apis.a"], wait=False)
    assert "registered through the API" in ingest.wait_line("bad_subscriber_file", file=path)["reason"]
    assert [(f["file"], "registered through the API" in f["error"]) for f in named(shared, "apis-own")] == [(str(path), True)]
    shared.publish("apis.a", 1)
    assert receiver.wait(1)[0].path == "/api"
    path.unlink()
    wait_for(lambda: not named(shared, "apis-own"))


def test_bad_files_are_listed_with_file_line_and_error_until_they_are_mended(shared, ingest, receiver):
    shared.allow("bad_subscriber_file")
    path = shared.write("mended.yml", f"id: mended\nurl: {receiver.url()}\ntopics: [mended.a]\nsecret: s3cr3t\nthrottle: 0\n")
    wait_for(lambda: named(shared, "mended"))
    (found,) = named(shared, "mended")
    assert (found["file"], found["line"]) == (str(path), 5) and found["error"].startswith("throttle: ")
    assert call(ingest, "GET", "/mended").status == 404
    subscribe(shared, ingest, "mended", receiver, ["mended.a"], throttle=5)
    assert named(shared, "mended") == [] and show(ingest, "mended")["throttle"] == 5


def test_the_id_of_a_removed_file_may_be_registered_and_inherits_nothing(shared, ingest, receiver):
    path = subscribe(shared, ingest, "given-up", receiver.url("/file"), ["given.a"])
    shared.publish("given.a", 1)
    receiver.wait(1)
    path.unlink()
    wait_for(lambda: call(ingest, "GET", "/given-up").status == 404)
    missed = shared.publish("given.a", 2)
    vendor = register(ingest, "given-up", receiver.url("/api"), ["given.a"])
    assert vendor["cursor"] >= missed
    third = shared.publish("given.a", 3)
    request = receiver.wait(2)[1]
    assert (request.path, request.cursor) == ("/api", third)


def test_a_fresh_ingest_shows_what_the_others_show(shared, ingests):
    ingests[1].restart()
    lists = lambda: [ingest.get("/ess/subscribers?limit=1000").json["subscribers"] for ingest in ingests]
    wait_for(lambda: (found := lists())[0] == found[1], told=lists)


# --- records that cannot be read


def partition_of(shared, id):
    return next(m.partition() for m in shared.records("subscribers") if m.key() == id.encode())


@pytest.mark.parametrize("name,suffix,value", [
    ("garbage", "", b"\x00garbage"), ("newer", "", b'{"v":2,"all":"new"}'), ("keys", "/keys", b"{}"), ("want", "/want", b"no"),
    ("newer-keys", "/keys", b'{"v":9}')])
def test_a_record_that_cannot_be_read_stops_its_subscriber_only_and_stays(shared, ingests, receiver, name, suffix, value):
    shared.allow("bad_record")
    id, other = f"bad-{name}", f"good-{name}"
    register(ingests[0], id, receiver.url("/bad"), [f"bad.{name}"])
    register(ingests[0], other, receiver.url("/good"), [f"bad.{name}"])
    shared.publish(f"bad.{name}", 1)
    receiver.wait(2)
    partition = partition_of(shared, id)
    offset = shared.append("subscribers", id + suffix, value, partition)
    for daemon in shared.daemons:
        said = daemon.wait_line("bad_record", subscriber=id)
        assert (said["topic"], said["partition"], said["offset"]) == (shared.topic("subscribers"), str(partition), str(offset))
    for ingest in ingests:
        fares = wait_for(lambda ingest=ingest: (s := status(ingest, id))["state"] == "disabled" and s)
        for part in (shared.topic("subscribers"), f"partition {partition}", f"offset {offset}"):
            assert part in fares["reason"]
    shared.publish(f"bad.{name}", 2)
    wait_for(lambda: len([r for r in receiver.requests if r.path == "/good"]) == 2)
    assert len([r for r in receiver.requests if r.path == "/bad"]) == 1
    newest = [m for m in shared.records("subscribers") if m.key() == (id + suffix).encode()][-1]
    assert (newest.offset(), newest.value()) == (offset, value)
    if suffix == "":
        assert call(ingests[0], "PUT", f"/{id}", url="https://vendor.example/", topics=["a"]).status == 409
        assert call(ingests[0], "DELETE", f"/{id}").status == (202 if name == "garbage" else 409)


def test_a_token_that_cannot_be_read_stops_its_subscriber_only_and_stays(shared, ingests, receiver):
    shared.allow("bad_record")
    register(ingests[0], "bad-token", receiver.url("/bad"), ["bad.token"])
    register(ingests[0], "good-token", receiver.url("/good"), ["bad.token"])
    shared.publish("bad.token", 1)
    receiver.wait(2)
    partition = partition_of(shared, "bad-token")
    wait_for(lambda: status(ingests[0], "bad-token").get("delivered") == 1)
    offset = shared.append("tokens", "bad-token", b'{"v":1,"born":', partition)
    for daemon in shared.daemons:
        said = daemon.wait_line("bad_record", subscriber="bad-token")
        assert (said["topic"], said["partition"], said["offset"]) == (shared.topic("tokens"), str(partition), str(offset))
    for ingest in ingests:
        fares = status(ingest, "bad-token")
        assert fares["state"] == "disabled" and f"offset {offset}" in fares["reason"]
    shared.publish("bad.token", 2)
    wait_for(lambda: len([r for r in receiver.requests if r.path == "/good"]) == 2)
    assert len([r for r in receiver.requests if r.path == "/bad"]) == 1
    newest = [m for m in shared.records("tokens") if m.key() == b"bad-token"][-1]
    assert newest.offset() == offset


def test_a_void_token_does_not_count(shared, ingests, receiver):
    """What an owner writes that has lost its partition: its epoch is older than the claim that stands before it."""
    register(ingests[0], "judged", receiver, ["judged.a"])
    shared.publish("judged.a", 1)
    receiver.wait(1)
    good = wait_for(lambda: (s := status(ingests[0], "judged"))["delivered"] == 1 and s)
    token = json.loads([m for m in shared.records("tokens") if m.key() == b"judged"][-1].value())
    shared.append("tokens", "judged", json.dumps(token | {"epoch": token["epoch"] - 1, "delivered": 77}), partition_of(shared, "judged"))
    after = shared.publish("judged.a", 2)
    receiver.wait(2)
    fares = wait_for(lambda: (s := status(ingests[1], "judged"))["cursor"] >= after and s)
    assert fares["delivered"] == 2 and good["delivered"] == 1


# --- two at once


def test_of_a_replacement_and_a_deletion_at_once_the_deletion_is_not_undone(shared, ingests):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for n in range(20):
            register(ingests[0], f"torn-{n}")
            wait_for(lambda: call(ingests[1], "GET", f"/torn-{n}").status == 200)
            put = pool.submit(call, ingests[0], "PUT", f"/torn-{n}", url="https://vendor.example/other", topics=["a"], secret="other")
            assert call(ingests[1], "DELETE", f"/torn-{n}").status == 202
            assert put.result().status in (202, 404)
    for ingest in ingests:
        wait_for(lambda ingest=ingest: not any(s["id"].startswith("torn-") for s in ingest.get("/ess/subscribers?after=torn-").json["subscribers"]))
    newest = {m.key(): m.value() for m in shared.records("subscribers") if m.key().startswith(b"torn-") and b"/" not in m.key()}
    assert len(newest) == 20 and set(newest.values()) == {None}


def test_what_two_ingests_change_of_the_keys_at_once_both_stays(shared, ingests, receiver):
    register(ingests[0], "both", receiver, ["both.a"], secret="zero")
    wait_for(lambda: call(ingests[1], "GET", "/both").status == 200)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for n in range(10):
            calls = [pool.submit(call, ingests[0], "POST", "/both/rotate", overlap="1h"), pool.submit(call, ingests[1], "POST", "/both/token")]
            rotated, renewed = (c.result() for c in calls)
            assert (rotated.status, renewed.status) == (202, 202)
            keys = json.loads([m for m in shared.records("subscribers") if m.key() == b"both/keys"][-1].value())
            assert keys["token"] == hashlib.sha256(renewed.json["token"].encode()).hexdigest(), n
            in_force(ingests[0], "both", rotated)
            before = len(receiver.requests)
            shared.publish("both.a", n)
            request = receiver.wait(before + 1)[before]
            assert standardwebhooks.Webhook(rotated.json["whsec"]).verify(request.body, dict(request.headers)) == request.json
