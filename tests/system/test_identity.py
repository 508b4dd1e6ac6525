"""Subscribers that prove who they are: a client certificate before nginx (`tls`), an access token from a token server (`oauth2`)."""
import json
import ssl
import time
import urllib.parse

import pytest

import ess as words
from cryptography.hazmat.primitives.asymmetric import ec
from ess import CA, Answer, wait_for
from identity import Authority, MutualTls, TokenServer, encrypted, pem_of

FAST = {"backoff_min": "20ms", "backoff_max": "50ms", "max_attempts": 1000}


@pytest.fixture
def authority():
    return Authority("vendor's CA")


@pytest.fixture
def nginx(shared, tmp_path, authority):
    nginx = MutualTls(tmp_path / "nginx", shared.receiver(), shared.ca.certificate(), authority)
    yield nginx
    nginx.stop()


@pytest.fixture
def tokens(shared, request):
    return TokenServer(shared.receiver(), request.node.name[:40])


def register(ess, id, **fields):
    answer = ess.daemons[0].post(json.dumps({"id": id, "topics": [id], **FAST, **fields}), "/register")
    assert answer.status == 201, answer
    wait_for(lambda: any(d.running() and d.lines("subscriber_started", subscriber=id) for d in ess.dispatchers()))
    return answer.json


def status(ess, id):
    return ess.daemons[0].status(id)


def last_error(ess, id, part):
    return wait_for(lambda: part in status(ess, id).get("last_error", ""), told=lambda: status(ess, id))


def shown(ess, id):
    return ess.daemons[0].get(f"/ess/subscribers/{id}").json


def put(ess, id, **fields):
    spec = {name: value for name, value in (shown(ess, id) | fields).items() if name != "status" and value is not None}
    answer = ess.daemons[0].request("PUT", f"/ess/subscribers/{id}", json.dumps(spec))
    if answer.status == 202:
        wait_for(lambda: status(ess, id)["generation"] >= answer.json["generation"])
    return answer


def settled(ess, id, cursor):
    return wait_for(lambda: status(ess, id)["cursor"] >= cursor, told=lambda: status(ess, id))


def clients(receiver):
    return [request.headers["X-Client"] for request in receiver.requests]


def assert_hidden(ess, *secrets):
    """No secret is in a log, a topic, a metric or an answer."""
    ingest = ess.daemons[0]
    texts = {daemon.name: daemon.text() for daemon in ess.daemons}
    texts |= {f"metrics of {daemon.name}": daemon.request("GET", "/metrics").body.decode() for daemon in ess.daemons if daemon.running()}
    for name in ("events", "subscribers", "tokens", "dlq"):
        texts[name] = "\n".join(f"{record.key()} {record.value()}" for record in ess.records(name))
    listed = ingest.get("/ess/subscribers").json["subscribers"]
    texts["answers"] = json.dumps(listed) + "".join(
        json.dumps(ingest.get(f"/ess/subscribers/{one['id']}/{call}").json) for one in listed for call in ("attempts", "dead-letters"))
    for secret in secrets:
        for where, text in texts.items():
            assert secret not in text, f"{secret} is in {where}"


def lines_of(key):
    """What would show of a key, however its line ends are written."""
    return [line for line in key.splitlines() if "-----" not in line]


# --- tls


def test_a_client_certificate_gets_in_and_a_new_one_after_the_ca_was_rotated(shared, nginx, authority):
    first = authority.client("first")
    register(shared, "rotated", url=nginx.url(), tls=first)
    cursors = [shared.publish("rotated", {"n": 0})]
    settled(shared, "rotated", cursors[0])
    assert clients(nginx.receiver) == ["CN=first"]
    later = Authority("vendor's next CA")
    nginx.rotate(later)
    cursors += [shared.publish("rotated", {"n": n}) for n in (1, 2)]
    last_error(shared, "rotated", "the endpoint refused the client certificate")
    second = later.client("second")
    answer = put(shared, "rotated", tls=second)
    assert answer.status == 202, answer
    settled(shared, "rotated", cursors[2])
    assert nginx.receiver.cursors() == cursors and clients(nginx.receiver) == ["CN=first", "CN=second", "CN=second"]
    assert status(shared, "rotated")["dead_lettered"] == 0
    assert_hidden(shared, *lines_of(first["key"]), *lines_of(second["key"]))


def test_no_connection_is_shared_between_two_identities(shared, nginx, authority):
    for id in ("alice", "bob"):
        register(shared, id, url=nginx.url(), tls=authority.client(id), ordering="none", max_in_flight=4)
    for n in range(40):
        cursors = {id: shared.publish(id, {"n": n}) for id in ("alice", "bob")}
    for id, cursor in cursors.items():
        settled(shared, id, cursor)
    assert len(nginx.receiver.requests) == 80
    connections = {}
    for request in nginx.receiver.requests:
        assert request.headers["X-Client"] == f"CN={request.headers['X-ESS-Subscriber']}"
        connections.setdefault(request.headers["X-Client-Connection"], set()).add(request.headers["X-ESS-Subscriber"])
    assert all(len(users) == 1 for users in connections.values()) and len(connections) < 20, connections


def test_an_endpoint_that_wants_a_certificate_says_so_and_the_event_waits(shared, nginx, authority):
    register(shared, "nobody", url=nginx.url())
    cursor = shared.publish("nobody", {})
    last_error(shared, "nobody", "the endpoint wants a client certificate (tls)")
    expired = authority.client("late", days=-1)
    answer = put(shared, "nobody", tls=expired)
    assert answer.status == 202 and "the certificate has expired at" in answer.json["warnings"][0], answer
    last_error(shared, "nobody", "the endpoint refused the client certificate")
    put(shared, "nobody", tls=authority.client("in time"))
    settled(shared, "nobody", cursor)
    assert clients(nginx.receiver) == ["CN=in time"] and status(shared, "nobody")["dead_lettered"] == 0


def test_a_handshake_that_fails_names_its_cause(shared, authority):
    receiver = shared.receiver()
    tls = receiver._server.tls
    tls.maximum_version = ssl.TLSVersion.TLSv1_2  # the alert comes before the client has sent anything
    tls.load_verify_locations(cadata=authority.pem)
    tls.verify_mode = ssl.CERT_REQUIRED
    register(shared, "handshake", url=receiver.url(), tls=Authority("somebody").client("stranger"))
    cursor = shared.publish("handshake", {})
    last_error(shared, "handshake", "the endpoint refused the client certificate: unknown ca")
    put(shared, "handshake", tls=authority.client("late", days=-1))
    last_error(shared, "handshake", "the endpoint refused the client certificate, expired at")
    put(shared, "handshake", tls=authority.client("known"))
    settled(shared, "handshake", cursor)


def test_a_private_ca_alone_is_trusted_and_only_that(shared, tmp_path):
    (tmp_path / "private").mkdir()
    private = CA(tmp_path / "private")
    receiver = words.Receiver(private.certificate())
    shared.receivers.append(receiver)
    register(shared, "private", url=receiver.url())
    cursor = shared.publish("private", {})
    last_error(shared, "private", "SSL certificate problem")
    put(shared, "private", tls={"ca": shared.ca.pem.read_text()})
    last_error(shared, "private", "SSL certificate problem")
    put(shared, "private", tls={"ca": private.pem.read_text()})
    settled(shared, "private", cursor)
    public = shared.receiver()
    register(shared, "public", url=public.url(), tls={"ca": private.pem.read_text()})
    shared.publish("public", {})
    last_error(shared, "public", "SSL certificate problem")
    assert public.requests == []


def test_each_mistake_in_tls_is_named_and_nothing_is_written(shared, authority):
    good, other = authority.client("good"), ec.generate_private_key(ec.SECP256R1())
    certificate, key = good["certificate"], good["key"]
    for tls, field, part in [
            ("x", "tls", "must be a map with"), ({}, "tls", "must have certificate and key"),
            ({"certificate": certificate}, "tls.key", "is missing beside certificate"),
            ({"key": key}, "tls.certificate", "is missing beside key"),
            ({"certificate": "hello", "key": key}, "tls.certificate", "is no PEM certificate"),
            ({"certificate": certificate + key, "key": key}, "tls.certificate", "holds a private key"),
            ({"certificate": certificate, "key": "hello"}, "tls.key", "is no PEM private key"),
            ({"certificate": certificate, "key": pem_of(other)}, "tls.key", "does not fit the certificate"),
            ({"certificate": certificate, "key": encrypted(other)}, "tls.key", "is encrypted"),
            ({"ca": key}, "tls.ca", "holds a private key"), ({"ca": "hello"}, "tls.ca", "is no PEM certificate"),
            ({"certificate_file": "/etc/passwd"}, "tls.certificate_file", "is no field of tls"),
            ({"certificate": 7}, "tls.certificate", "must be text")]:
        answer = shared.daemons[0].post(json.dumps({"id": "bad", "url": "https://example.com/", "topics": ["a"], "tls": tls}), "/register")
        assert answer.status == 400 and answer.json["field"] == field and part in answer.json["detail"], (tls, answer)
        assert key.splitlines()[1].encode() not in answer.body
    assert shared.daemons[0].get("/ess/subscribers/bad").status == 404


def test_a_yaml_files_certificate_and_key_are_read_from_files_and_read_again(shared, nginx, authority):
    shared.allow("bad_subscriber_file")
    first, second = authority.client("first"), authority.client("second")
    for part in ("certificate", "key"):
        (shared.subscribers / f"{part}.pem").write_text(first[part])
    shared.subscribe("filed", nginx.url(), ["filed"], tls={"certificate_file": "certificate.pem", "key_file": "key.pem"})
    shared.publish("filed", {"n": 0})
    nginx.receiver.wait(1)
    (shared.subscribers / "key.pem").write_text(second["key"])
    line = shared.daemons[0].wait_line("bad_subscriber_file", file=str(shared.subscribers / "filed.yml"))
    assert "filed.yml:5: tls.key_file: key.pem does not fit the certificate; the last good version stays in force" in line["reason"]
    shared.publish("filed", {"n": 1})
    nginx.receiver.wait(2)
    (shared.subscribers / "certificate.pem").write_text(second["certificate"])
    wait_for(lambda: shared.daemons[1].lines("subscriber_changed", subscriber="filed"))
    shared.publish("filed", {"n": 2})
    nginx.receiver.wait(3)
    assert clients(nginx.receiver) == ["CN=first", "CN=first", "CN=second"]
    assert shown(shared, "filed")["tls"] == {"certificate": second["certificate"], "secrets": ["key"]}
    (shared.subscribers / "key.pem").unlink()
    wait_for(lambda: "tls.key_file: key.pem: No such file" in str(shared.daemons[0].lines("bad_subscriber_file")))
    (shared.subscribers / "filed.yml").unlink()
    wait_for(lambda: shared.daemons[0].get("/ess/subscribers/filed").status == 404)


def test_a_yaml_file_may_hold_the_texts_themselves(shared, nginx, authority):
    tls = authority.client("inline")
    texts = "".join(f"  {name}: |\n" + "".join(f"    {line}\n" for line in text.splitlines()) for name, text in tls.items())
    shared.write("inline.yml", f"id: inline\nurl: {nginx.url()}\ntopics: [inline]\nsecret: s3cr3t\ntls:\n{texts}")
    wait_for(lambda: shared.daemons[1].lines("subscriber_started", subscriber="inline"))
    settled(shared, "inline", shared.publish("inline", {}))
    assert clients(nginx.receiver) == ["CN=inline"]
    (shared.subscribers / "inline.yml").unlink()
    wait_for(lambda: shared.daemons[0].get("/ess/subscribers/inline").status == 404)


def test_status_shows_the_end_of_the_certificate_and_warns_14_days_before(shared, authority):
    url, ingest = "https://example.com/hook", shared.daemons[0]
    assert "warnings" not in register(shared, "young", url=url, tls=authority.client("young", days=15))
    assert "warnings" not in status(shared, "young") and status(shared, "young")["not_after"] > "2"
    made = register(shared, "old", url=url, tls=authority.client("old", days=13))
    assert f"the certificate expires at {status(shared, 'old')['not_after']}" in made["warnings"][0]
    assert status(shared, "old")["warnings"] == made["warnings"]
    assert "expires at" in ingest.wait_line("certificate_expires", subscriber="old")["reason"]
    wait_for(lambda: shared.daemons[1].lines("certificate_expires", subscriber="old"))
    metrics = shared.daemons[1].metrics()
    assert 12 * 86400 < metrics['ess_certificate_expires_seconds{subscriber="old"}'] < 13 * 86400 + 60
    assert not ingest.lines("certificate_expires", subscriber="young")


def test_a_put_keeps_the_key_for_one_server_only(shared, authority):
    key = ec.generate_private_key(ec.SECP256R1())
    register(shared, "kept", url="https://example.com/hook", tls=authority.client("kept", key=key))
    assert shown(shared, "kept")["tls"].keys() == {"certificate", "secrets"} and shown(shared, "kept")["tls"]["secrets"] == ["key"]
    assert put(shared, "kept", url="https://example.com/other").status == 202
    answer = put(shared, "kept", url="https://other.example/hook")
    assert answer.status == 400 and answer.json["field"] == "tls" and "must be given again" in answer.json["detail"]
    renewed = authority.client("renewed", key=key)
    assert put(shared, "kept", tls={"certificate": renewed["certificate"]}).status == 202
    answer = put(shared, "kept", tls={"certificate": authority.client("another")["certificate"]})
    assert answer.status == 400 and answer.json["field"] == "tls.key" and "does not fit" in answer.json["detail"]
    assert put(shared, "kept", tls=None).status == 202 and "tls" not in shown(shared, "kept")


# --- oauth2


def bearers(receiver):
    return [request.headers["Authorization"] for request in receiver.requests]


def test_a_token_is_fetched_once_and_sent_with_every_event(shared, tokens):
    receiver = shared.receiver()
    register(shared, "token", url=receiver.url(), oauth2=tokens.fields(scope="events:write all", audience="https://vendor.example/?x"))
    cursors = [shared.publish("token", {"n": n}) for n in range(5)]
    settled(shared, "token", cursors[-1])
    assert bearers(receiver) == [f"Bearer {tokens.of(1)}"] * 5 and receiver.cursors() == cursors
    request, = tokens.requests
    assert tokens.credentials(request) == ["ess client", tokens.SECRET]
    assert urllib.parse.parse_qs(request.body.decode(), strict_parsing=True) == {
        "grant_type": ["client_credentials"], "scope": ["events:write all"], "audience": ["https://vendor.example/?x"]}
    assert request.path == "/token" and request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "X-ESS-Subscriber" not in request.headers
    assert shown(shared, "token")["oauth2"]["secrets"] == ["client_secret"]
    assert_hidden(shared, tokens.SECRET, tokens.of(1), request.headers["Authorization"].split(" ")[1])


FAILURES = {
    "silent": (Answer(hang=True), "token server: "),
    "cut": (Answer(cut=True), "token server: "),
    "refuses": (Answer(401, body=b'{"error":"invalid_client","error_description":"access-token- s3cr3t: of"}'),
                "token server: status 401: invalid_client"),
    "broken": (Answer(500, body=b"access-token-"), "token server: status 500"),
    "redirects": (Answer(307, {"Location": "https://127.0.0.1:1/"}), "token server: status 307"),
    "garbage": (Answer(200, body=b"<html>access-token-"), "token server: its answer is no JSON object"),
    "huge": (Answer(200, body=b'{"access_token":"' + b"x" * 9_000_000 + b'"}'), "token server: its answer is larger than 16 KiB"),
    "mac": (Answer(200, body=b'{"access_token":"access-token-","token_type":"mac"}'), "token server: its answer's token_type is not Bearer"),
    "unprintable": (Answer(200, body=b'{"access_token":"a\\r\\nX-Evil: 1","token_type":"Bearer"}'),
                    "token server: its answer's access_token is not printable ASCII"),
    "senseless": (Answer(200, body=b'{"access_token":"access-token-","token_type":"Bearer","expires_in":-1}'),
                  "token server: its answer's expires_in is no whole number"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failing_token_server_holds_this_subscriber_up_and_costs_no_event(shared, tokens, kind):
    failure, error = FAILURES[kind]
    receiver, other = shared.receiver(), shared.receiver()
    tokens.receiver.answer = lambda request: failure
    id = f"no-token-{kind}"
    register(shared, id, url=receiver.url(), oauth2=tokens.fields(), max_attempts=1, exhausted="dead_letter", timeout="2s", ordering="none")
    register(shared, f"beside-{kind}", url=other.url())
    cursors = [shared.publish(id, {"n": n}) for n in range(3)]
    last_error(shared, id, error)
    beside = shared.publish(f"beside-{kind}", {})
    settled(shared, f"beside-{kind}", beside)
    asked = len(tokens.requests)
    wait_for(lambda: len(tokens.requests) >= asked + 2)
    found = status(shared, id)
    assert found["state"] == "retrying" and found["dead_lettered"] == 0 and receiver.requests == [], found
    tokens.receiver.answer = tokens.give
    tokens.receiver.release()
    settled(shared, id, cursors[-1])
    assert sorted(receiver.cursors()) == cursors and {request.headers["X-ESS-Attempt"] for request in receiver.requests} == {"1"}
    assert "last_error" not in status(shared, id)
    assert_hidden(shared, tokens.SECRET, "access-token-", "s3cr3t: of")


def test_a_test_delivery_without_a_token_has_failed_and_says_why(shared, tokens):
    tokens.first(Answer(503))
    receiver = shared.receiver()
    register(shared, "tested", url=receiver.url(), oauth2=tokens.fields())
    generation = shared.daemons[0].command("tested", "test", {})["generation"]
    wait_for(lambda: any(one["generation"] == generation for one in status(shared, "tested")["outcomes"]))
    outcome, = [one for one in status(shared, "tested")["outcomes"] if one["generation"] == generation]
    assert outcome["outcome"] == "failed" and "token server: status 503" in outcome["reason"] and receiver.requests == []
    settled(shared, "tested", shared.publish("tested", {}))


def test_a_slow_token_server_is_asked_once_while_the_deliveries_wait(shared, tokens):
    receiver = shared.receiver()
    tokens.receiver.answer = lambda request: Answer(delay=1, body=tokens.give(request).body)
    register(shared, "slow-token", url=receiver.url(), oauth2=tokens.fields(), ordering="none")
    cursors = [shared.publish("slow-token", {"n": n}) for n in range(10)]
    settled(shared, "slow-token", cursors[-1])
    assert len(tokens.requests) == 1 and len(receiver.requests) == 10


def test_a_token_is_not_used_in_its_last_30_seconds(shared, tokens):
    receiver = shared.receiver()
    tokens.expires_in = 5
    register(shared, "short", url=receiver.url(), oauth2=tokens.fields())
    for n in range(3):
        settled(shared, "short", shared.publish("short", {"n": n}))
    assert bearers(receiver) == [f"Bearer {tokens.of(n)}" for n in (1, 2, 3)]


def test_after_a_401_the_token_is_fetched_again_once(shared, tokens):
    receiver = shared.receiver()
    register(shared, "revoked", url=receiver.url(), oauth2=tokens.fields(), max_attempts=3)
    settled(shared, "revoked", shared.publish("revoked", {"n": 0}))
    receiver.answers(401)
    settled(shared, "revoked", shared.publish("revoked", {"n": 1}))
    assert bearers(receiver) == [f"Bearer {tokens.of(n)}" for n in (1, 1, 2)]
    assert [request.headers["X-ESS-Attempt"] for request in receiver.requests] == ["1"] * 3
    assert shared.daemons[0].get("/ess/subscribers/revoked/attempts").json["attempts"] == []


def test_an_endpoint_that_answers_401_always_has_failed(shared, tokens):
    receiver = shared.receiver()
    receiver.answer = lambda request: Answer(401, body=request.headers["Authorization"].encode())
    register(shared, "unwilling", url=receiver.url(), oauth2=tokens.fields(), max_attempts=3)
    shared.publish("unwilling", {})
    wait_for(lambda: status(shared, "unwilling")["dead_lettered"] == 1)
    assert len(receiver.requests) == 4 and len(tokens.requests) == 2
    assert bearers(receiver) == [f"Bearer {tokens.of(n)}" for n in (1, 2, 2, 2)]
    last_error(shared, "unwilling", "status 401")
    assert_hidden(shared, tokens.SECRET, "access-token-")


def test_each_mistake_in_oauth2_is_named(shared):
    good = {"token_url": "https://example.com/token", "client_id": "c", "client_secret": "hidden"}
    for fields, field, part in [
            ({"oauth2": []}, "oauth2", "must be a map with"),
            ({"oauth2": {**good, "token_url": "http://example.com/"}}, "oauth2.token_url", "must begin with https://"),
            ({"oauth2": {**good, "token_url": "https://10.0.0.1/"}}, "oauth2.token_url", "public"),
            ({"oauth2": {**good, "token_url": "https://u:p@example.com/"}}, "oauth2.token_url", "must not hold credentials"),
            ({"oauth2": {"token_url": good["token_url"], "client_id": "c"}}, "oauth2.client_secret", "is missing"),
            ({"oauth2": {**good, "client_secret": "hid\nden"}}, "oauth2.client_secret", "printable ASCII"),
            ({"oauth2": {**good, "grant": "password"}}, "oauth2.grant", "is no field of oauth2"),
            ({"oauth2": good, "url": None, "sns": {"topic_arn": "arn:aws:sns:us-east-1:123456789012:t"}}, "oauth2", "wants a url"),
            ({"oauth2": good, "headers": {"authorization": "x"}}, "headers", "Authorization must not stand beside oauth2")]:
        spec = {"id": "bad", "url": "https://example.com/", "topics": ["a"], **fields}
        answer = shared.daemons[0].post(json.dumps({name: value for name, value in spec.items() if value is not None}), "/register")
        assert answer.status == 400 and answer.json["field"] == field and part in answer.json["detail"], (fields, answer)
        assert b"hidden" not in answer.body
    assert shared.daemons[0].get("/ess/subscribers/bad").status == 404


def test_a_put_keeps_the_client_secret_for_one_server_only(shared, tokens):
    receiver = shared.receiver()
    register(shared, "kept-secret", url=receiver.url(), oauth2=tokens.fields())
    assert put(shared, "kept-secret", description="x").status == 202
    settled(shared, "kept-secret", shared.publish("kept-secret", {}))
    oauth2 = shown(shared, "kept-secret")["oauth2"]
    assert tokens.credentials(tokens.requests[0]) == ["ess client", tokens.SECRET]
    for fields, field in [({"url": "https://other.example/"}, "oauth2"),
                          ({"oauth2": {**oauth2, "token_url": "https://other.example/token"}}, "oauth2.client_secret"),
                          ({"oauth2": {**oauth2, "client_id": "another"}}, "oauth2.client_secret")]:
        answer = put(shared, "kept-secret", **fields)
        assert answer.status == 400 and answer.json["field"] == field, answer
    assert put(shared, "kept-secret", oauth2={**oauth2, "client_secret": "another"}).status == 202
    settled(shared, "kept-secret", shared.publish("kept-secret", {}))
    assert tokens.credentials(tokens.requests[1]) == ["ess client", "another"] and bearers(receiver)[1] == f"Bearer {tokens.of(2)}"


def test_an_expired_subscriber_that_is_renewed_takes_no_token_to_a_new_url(shared, tokens):
    old, new = shared.receiver(), shared.receiver()
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 8))
    register(shared, "renewed", url=old.url(), oauth2=tokens.fields(), expires=expires)
    settled(shared, "renewed", shared.publish("renewed", {}))
    wait_for(lambda: shown(shared, "renewed")["status"]["state"] == "disabled")
    shared.publish("renewed", {})
    assert put(shared, "renewed", url=new.url(), secret="n3w-s3cr3t", oauth2=tokens.fields(), expires=None).status == 202
    new.wait(1)
    assert bearers(new) == [f"Bearer {tokens.of(2)}"]


# --- both, and a kill -9


def test_a_killed_dispatcher_loses_nothing_and_leaves_no_secret_behind(ess, tmp_path, authority):
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    nginx = MutualTls(tmp_path / "nginx", ess.receiver(), ess.ca.certificate(), authority)
    try:
        tokens, tls = TokenServer(ess.receiver(), "killed"), authority.client("killed")
        register(ess, "killed", url=nginx.url(), tls=tls, oauth2=tokens.fields(), throttle=200)
        cursors = [ess.publish("killed", {"n": n}) for n in range(200)]
        nginx.receiver.wait(50)
        dispatcher.kill9()
        cursors.append(ess.publish("killed", {"n": 200}))  # so that something is left to the next one
        ess.dispatcher()
        settled(ess, "killed", cursors[-1])
        assert sorted(set(nginx.receiver.cursors())) == cursors and set(clients(nginx.receiver)) == {"CN=killed"}
        assert len(tokens.requests) == 2 and set(bearers(nginx.receiver)) == {f"Bearer {tokens.of(n)}" for n in (1, 2)}
        ingest.restart()
        assert shown(ess, "killed")["tls"]["secrets"] == ["key"]
        assert_hidden(ess, *lines_of(tls["key"]), tokens.SECRET, tokens.of(1), tokens.of(2))
    finally:
        nginx.stop()
