"""Several parties at one ingest: what one of them has, another neither sees, takes nor learns of."""
import concurrent.futures
import itertools
import json

import pytest

from conftest import running_on_shared
from ess import wait_for
from test_auth import auth_file, bearer, call, write_auth

TOKENS = {"admin": ["admin"], "north": ["register:drug.*"], "south": ["register:drug.*"], "engine": ["publish:drug.*"],
          "booking": ["publish:visit.*"], "wide": ["publish:drug.*", "publish:visit.*", "read:*"]}
SPEC = {"url": "https://vendor.example/hook?key=s3cr3t&flag&b=", "topics": ["drug.copay"]}
ids = (f"tenant{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, broker, ca):
    with running_on_shared(tmp_path_factory.mktemp("tenants"), broker, ca) as ess:
        options = {"auth.file": write_auth(ess, auth_file(TOKENS, {})), "ingest.max_subscribers_per_token": 20}
        yield ess.ingest(options)


def make(ingest, name, **fields):
    id = next(ids)
    answer = call(ingest, "POST", "/register", name, SPEC | {"id": id} | fields)
    assert answer.status == 201, answer
    return id, answer.json["token"]


def path_of(id):
    return f"/ess/subscribers/{id}"


def shown(ingest, id, name="admin", secret=None):
    answer = call(ingest, "GET", path_of(id), None if secret else name, secret=secret)
    assert answer.status == 200, answer
    return answer.json


def put(ingest, id, name="admin", etag=None, **fields):
    return ingest.request("PUT", path_of(id), json.dumps(fields), bearer(name) | ({"If-Match": etag} if etag else {}))


def test_what_a_register_token_has_registered_is_no_other_register_tokens(guarded):
    id, own = make(guarded, "north")
    common, _ = make(guarded, "admin")
    for method, path, body in (("GET", path_of(id), None), ("PUT", path_of(id), SPEC), ("DELETE", path_of(id), None), ("POST", f"{path_of(id)}/pause", None),
                               ("POST", f"{path_of(id)}/token", None), ("GET", f"{path_of(id)}/dead-letters", None)):
        assert call(guarded, method, path, "south", body).status == 404, (method, path)
    listed = {name: {s["id"] for s in call(guarded, "GET", "/ess/subscribers?limit=1000", name).json["subscribers"]} for name in ("north", "south", "admin")}
    assert id in listed["north"] and id not in listed["south"] and id in listed["admin"]
    assert all(common in ids for ids in listed.values())
    assert put(guarded, id, "admin", **SPEC).status == 202  # and it stays north's
    assert call(guarded, "POST", f"{path_of(id)}/pause", "north").status == 202
    assert call(guarded, "GET", path_of(id), "south").status == 404
    assert shown(guarded, id, secret=own)["id"] == id


def test_a_token_registers_no_more_subscribers_than_it_may(ess):
    ingest = ess.ingest({"auth.file": write_auth(ess, auth_file(TOKENS, {})), "ingest.max_subscribers_per_token": 2})
    first, _ = make(ingest, "north")
    make(ingest, "north")
    refused = call(ingest, "POST", "/register", "north", SPEC)
    assert refused.status == 403 and "2 subscribers" in refused.json["detail"]
    make(ingest, "south")
    make(ingest, "admin")
    assert call(ingest, "DELETE", path_of(first), "north").status == 202
    wait_for(lambda: call(ingest, "POST", "/register", "north", SPEC).status == 201)
    assert ingest.restart() and call(ingest, "POST", "/register", "north", SPEC).status == 403


def test_secrets_are_not_kept_for_another_server(guarded):
    id, _ = make(guarded, "north", headers={"X-Key": "v4lue"}, secret="s3cr3t")
    for url in ("https://evil.example/hook", "https://vendor.example:8443/hook"):
        moved = put(guarded, id, "north", url=url, topics=["drug.copay"], secret="other", headers=["X-Key"])
        assert moved.status == 400 and moved.json["field"] == "headers"
        moved = put(guarded, id, "north", url=url, topics=["drug.copay"])
        assert moved.status == 400 and moved.json["field"] == "secret"
    for url in ("https://vendor.example/other", "https://VENDOR.example:443/hook"):
        assert put(guarded, id, "north", url=url, topics=["drug.copay"], headers=["X-Key"]).status == 202
    assert put(guarded, id, "north", url="https://new.example/", topics=["drug.copay"], headers={"X-Key": "v4lue"}, secret="other").status == 202
    assert put(guarded, id, "north", url="https://new.example/", topics=["drug.copay"], headers=[]).status == 202


def test_a_urls_query_is_shown_to_those_whose_subscriber_it_is_and_survives_being_put_back(guarded):
    id, own = make(guarded, "admin")
    mine, _ = make(guarded, "south")
    assert shown(guarded, id)["url"] == shown(guarded, id, secret=own)["url"] == shown(guarded, mine, "south")["url"] == SPEC["url"]
    masked = shown(guarded, id, "south")
    assert masked["url"] == "https://vendor.example/hook?key=***&***&b=***"
    masked.pop("id")
    assert put(guarded, id, "south", **(masked | {"description": "edited"})).status == 202
    wait_for(lambda: shown(guarded, id).get("description") == "edited")
    assert shown(guarded, id)["url"] == SPEC["url"]


def test_a_replacement_may_say_what_it_replaces(guarded):
    id, _ = make(guarded, "admin")
    etag = call(guarded, "GET", path_of(id), "admin").headers["ETag"]
    assert put(guarded, id, etag='"1000000"', **SPEC).status == 412 and put(guarded, id, etag="x", **SPEC).status == 412
    assert put(guarded, id, etag=etag, **SPEC, description="first").status == 202
    late = put(guarded, id, etag=etag, **SPEC, description="second")
    assert late.status == 412 and late.json["title"] == "Precondition Failed"
    assert shown(guarded, id)["description"] == "first"
    assert put(guarded, id, etag="*", **SPEC, description="third").status == 202
    assert put(guarded, id, **SPEC).status == 202


def test_of_two_replacements_of_the_same_at_once_one_is_told(ess):
    ingests = [ess.ingest(), ess.ingest({"subscribers.dir": "none"})]
    assert ingests[0].post(json.dumps(SPEC | {"id": "raced", "secret": "s"}), "/register").status == 201
    wait_for(lambda: ingests[1].get(path_of("raced")).status == 200)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for turn in range(10):
            etag = ingests[0].get(path_of("raced")).headers["ETag"]
            wait_for(lambda: ingests[1].get(path_of("raced")).headers["ETag"] == etag)
            bodies = [json.dumps(SPEC | {"description": f"{turn}-{n}"}) for n in range(2)]
            answers = list(pool.map(lambda n: ingests[n].request("PUT", path_of("raced"), bodies[n], {"If-Match": etag}), range(2)))
            assert sorted(answer.status for answer in answers) == [202, 412], answers
            winner = [answer.status for answer in answers].index(202)
            for ingest in ingests:
                wait_for(lambda: ingest.get(path_of("raced")).json["description"] == f"{turn}-{winner}")
            wait_for(lambda: len({ingest.get(path_of("raced")).headers["ETag"] for ingest in ingests}) == 1)
            assert ess_settled(ingests)


def ess_settled(ingests):
    """What one of them writes again is read by both."""
    def etags():
        return [ingest.get(path_of("raced")).headers["ETag"] for ingest in ingests]
    return wait_for(lambda: (now := etags()) and len(set(now)) == 1 and etags() == now)


def publish(ingest, name, topic, data=1, **members):
    return ingest.request("POST", "/ess/publish", json.dumps({"topic": topic, "data": data, **members}), bearer(name))


def test_an_id_that_is_made_of_another_topics_cursor_is_of_those_who_may_publish_there(guarded):
    taken = publish(guarded, "booking", "visit.made", id="drug/copay:1842")
    assert taken.status == 403 and "publish:drug.copay" in taken.json["detail"]
    assert publish(guarded, "booking", "visit.made", id="visit/other:5").status == 201
    assert publish(guarded, "booking", "visit.made", id="order-1842").status == 201
    assert publish(guarded, "wide", "visit.made", id="drug/copay:1843").status == 201
    assert publish(guarded, "engine", "drug.copay", cursor=1842).status == 201
    assert publish(guarded, "engine", "drug.copay", id="drug/copay:1842").status == 200


def test_a_conflict_tells_no_cursor_of_topics_that_one_may_not_read(guarded):
    first = publish(guarded, "booking", "visit.made", id="common").json["cursor"]
    hidden = publish(guarded, "engine", "drug.copay", id="common")
    assert hidden.status == 409 and hidden.json["id"] == "common" and "cursor" not in hidden.json
    assert publish(guarded, "wide", "drug.copay", id="common").json["cursor"] == first
    first = publish(guarded, "engine", "drug.copay", cursor=77).json["cursor"]
    assert publish(guarded, "engine", "drug.copay", 2, cursor=77).json["cursor"] == first


ARN = "arn:aws:sns:us-east-1:123456789012:"


def test_a_register_token_has_the_dispatchers_aws_credentials_only_where_they_are_granted(ess):
    granted = {"sns.own_credentials": f"{ARN}granted-*,210987654321"}
    ingest = ess.ingest({"auth.file": write_auth(ess, auth_file(TOKENS, {})), **granted})
    own = {"access_key_id": "AKIATEST", "secret_access_key": "s3cr3t/of+AWS"}

    def register(name, id, topic, **sns):
        return call(ingest, "POST", "/register", name, {"id": id, "topics": ["drug.copay"], "sns": {"topic_arn": topic, **sns}})

    for topic, more in ((f"{ARN}other", {}), (f"{ARN}granted-a", {"endpoint": "https://elsewhere.example"}), (f"{ARN}granted", {})):
        refused = register("north", "refused", topic, **more)
        assert refused.status == 403 and refused.json["detail"].startswith("sns.access_key_id: is missing: sns.own_credentials"), refused
    assert call(ingest, "GET", "/ess/subscribers/refused", "admin").status == 404
    assert register("north", "granted", f"{ARN}granted-a").status == 201
    assert register("north", "account", "arn:aws:sns:eu-west-1:210987654321:any").status == 201
    assert register("north", "own", f"{ARN}other", **own).status == 201
    assert register("admin", "admins", f"{ARN}other").status == 201
    spec = {"topics": ["drug.copay"], "sns": {"topic_arn": f"{ARN}another"}}
    for id in ("granted", "own", "admins"):
        assert put(ingest, id, "north", **spec).status == 403
    assert put(ingest, "admins", "north", **spec | {"sns": {"topic_arn": f"{ARN}other"}}, throttle=5).status == 202
    assert put(ingest, "admins", **spec).status == 202
