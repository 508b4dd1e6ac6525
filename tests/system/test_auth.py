"""Access tokens: who may do what, and what is said to the others."""
import hashlib
import itertools
import json
import re
import socket
import subprocess

import pytest

from conftest import running_on_shared
from ess import BUILD, ENVIRONMENT, PATIENCE_S, ROOT, wait_for

TOKENS = {
    "admin": ["admin"],
    "engine": ["publish:drug.*"],
    "reader": ["read:drug.*", "read:visit.made"],
    "vendor": ["register:drug.*"],
    "clinic": ["register:visit.*"],
    "visits": ["read:visit.*"],
    "booking": ["publish:visit.*"],
    "late": ["admin"],
}


def token(name):
    """What is sent; the file has its hash only."""
    return f"{name}-t0k3n-0123456789abcdef"


def auth_file(tokens, expires={"late": "2020-01-01T00:00:00Z"}):
    lines = ["tokens:"]
    for name, scopes in tokens.items():
        lines += [f"  - name: {name}", f"    sha256: {hashlib.sha256(token(name).encode()).hexdigest()}", f"    scopes: {json.dumps(scopes)}"]
        lines += [f"    expires: {expires[name]}"] if name in expires else []
    return "\n".join(lines) + "\n"


def bearer(name):
    return {"Authorization": f"Bearer {token(name)}"} if name else {}


def write_auth(ess, text):
    path = ess.folder / "auth.yml"
    aside = ess.folder / "auth.yml.new"
    aside.write_text(text)
    aside.rename(path)
    return path


@pytest.fixture(scope="module")
def guarded_ess(tmp_path_factory, broker, ca):
    with running_on_shared(tmp_path_factory.mktemp("guarded"), broker, ca) as ess:
        ess.ingest({"auth.file": write_auth(ess, auth_file(TOKENS))})
        yield ess


@pytest.fixture(scope="module")
def guarded(guarded_ess):
    """An ingest with access tokens."""
    return guarded_ess.daemons[0]


def call(ingest, method, path, name=None, body=None, secret=None):
    headers = {"Authorization": f"Bearer {secret}"} if secret else bearer(name)
    return ingest.request(method, path, body if body is None or isinstance(body, str) else json.dumps(body), headers)


def publish(ingest, topic, name):
    return call(ingest, "POST", "/ess/publish", name, {"topic": topic, "data": 1})


ids = (f"s{n}" for n in itertools.count())


def register(ingest, topics=("drug.copay",), name="admin", pulled=False):
    """A new subscriber: its id and its own access token."""
    endpoint = {} if pulled else {"url": "https://vendor.example/hook"}
    answer = call(ingest, "POST", "/register", name, {"id": next(ids), "topics": topics, **endpoint})
    assert answer.status == 201, answer
    return answer.json["id"], answer.json["token"]


def test_without_a_known_token_nothing_is_answered_but_health(guarded):
    assert guarded.get("/healthz").status == 200 and guarded.get("/readyz").status == 200
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {token('admin')}"}, {"Authorization": "Bearer"},
                    {"Authorization": token("admin")}, {"Authorization": f"Bearer {token('admin')} x"}, bearer("late")):
        answer = guarded.request("GET", "/ess/replay", None, headers)
        assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith('Bearer realm="ess"'), (headers, answer)
        assert ("invalid_token" in answer.headers["WWW-Authenticate"]) == bool(headers)
        assert answer.headers["Content-Type"] == "application/problem+json" and answer.headers["X-Request-Id"]
    assert "expired" in guarded.request("GET", "/ess/replay", None, bearer("late")).json["detail"]


def test_the_scheme_is_read_in_any_case(guarded):
    for scheme in ("bearer", "BEARER", "Bearer  "):
        assert guarded.request("GET", "/metrics", None, {"Authorization": f"{scheme} {token('admin')}"}).status == 200


def test_white_space_behind_a_token_is_no_part_of_it(guarded):
    assert guarded.request("GET", "/metrics", None, {"Authorization": f"Bearer {token('admin')} \t "}).status == 200


def test_a_token_publishes_within_its_pattern_only(guarded):
    assert publish(guarded, "drug.copay", "engine").status == 201
    refused = publish(guarded, "visit.made", "engine")
    assert refused.status == 403 and "publish:visit.made" in refused.json["detail"]
    refused = publish(guarded, "drug.copay", "reader")
    assert refused.status == 403 and "publish:" in refused.json["detail"]
    assert publish(guarded, "visit.made", "admin").status == 201


def test_a_read_without_topics_gives_what_the_token_may_read(guarded):
    first = publish(guarded, "visit.first", "admin").json["cursor"]
    for topic in ("drug.copay", "visit.made", "visit.missed"):
        assert publish(guarded, topic, "admin").status == 201

    def read(name, query, secret=None):
        answer = call(guarded, "GET", f"/ess/replay?since_cursor={first}&{query.lstrip('?')}", name, secret=secret)
        return answer.status, [e["topic"] for e in answer.json["events"]] if answer.status == 200 else answer.json["detail"]
    _, own = register(guarded, ["drug.*", "visit.made"])
    for name, secret in (("reader", None), (None, own)):
        assert read(name, "", secret) == (200, ["drug.copay", "visit.made"])
        assert read(name, "topics=visit.missed", secret)[0] == 403
    assert read("admin", "") == (200, ["drug.copay", "visit.made", "visit.missed"])
    assert read("reader", "") == (200, ["drug.copay", "visit.made"])
    assert read("reader", "?topics=") == (200, ["drug.copay", "visit.made"])
    assert read("reader", "?topics=visit.made") == (200, ["visit.made"])
    assert read("reader", "?topics=drug.copay,drug.*.x") == (200, ["drug.copay"])
    for wanted in ("visit.missed", "*", "drug.*,visit.*", "visit.*"):
        status, detail = read("reader", f"?topics={wanted}")
        assert status == 403 and f"read:{wanted.split(',')[-1]}" in detail
    assert read("engine", "")[0] == 403


def test_metrics_are_the_admins_in_both_services(guarded_ess, guarded):
    dispatcher = guarded_ess.dispatcher({"auth.file": guarded_ess.folder / "auth.yml"})
    for daemon in (guarded, dispatcher):
        assert daemon.get("/healthz").status == 200
        assert daemon.get("/metrics").status == 401
        refused = daemon.request("GET", "/metrics", None, bearer("reader"))
        assert refused.status == 403 and refused.json["detail"].endswith("admin")
        assert "insufficient_scope" in refused.headers["WWW-Authenticate"]
        assert daemon.request("GET", "/metrics", None, bearer("admin")).status == 200


def test_a_changed_file_is_in_force_soon_and_a_bad_one_changes_nothing(ess):
    ess.allow("bad_auth_file")
    guarded = ess.ingest({"auth.file": write_auth(ess, auth_file(TOKENS))})
    host, port = guarded.address.rsplit(":", 1)
    stream = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
    stream.sendall(f"GET /ess/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token('reader')}\r\n\r\n".encode())
    assert stream.recv(12) == b"HTTP/1.1 200"
    write_auth(ess, auth_file({"admin": ["admin"], "reader": ["publish:visit.*"]}))
    wait_for(lambda: publish(guarded, "visit.made", "reader").status == 201)
    assert publish(guarded, "drug.copay", "engine").status == 401
    write_auth(ess, auth_file({"admin": ["admin"]}) + "  - name: x\n")
    assert "auth.yml:5: tokens[1].scopes:" in guarded.wait_line("bad_auth_file")["reason"]
    assert publish(guarded, "visit.made", "reader").status == 201
    (ess.folder / "auth.yml").unlink()
    wait_for(lambda: len(guarded.lines("bad_auth_file")) == 2)
    assert publish(guarded, "visit.made", "reader").status == 201
    write_auth(ess, auth_file(TOKENS))
    wait_for(lambda: publish(guarded, "drug.copay", "engine").status == 201)
    assert publish(guarded, "visit.made", "reader").status == 403
    while stream.recv(65536):  # at its next keep-alive it ends, as its token was changed meanwhile
        pass
    assert guarded.lines("stream_cut")


# --- the matrix: every endpoint, every kind of token

SUBSCRIBER = "/ess/subscribers/{id}"
EVENT = {"topic": "drug.copay", "data": 1}
SPEC = {"url": "https://vendor.example/hook", "topics": ["drug.copay"]}
# What a call gives to: the operator's token with the right scope, a subscriber's own token, another subscriber's own token. A token
# without any scope for it is answered 403; one whose scope is for other topics as in the last column. Admin gets what "right" gets.
OPEN, ADMIN = (200, 200, 200, 200), (None, 403, 403, None)
PUBLISH, READ = (201, 403, 403, 403), (200, 200, 403, 403)
REGISTER, LIST = (201, 403, 403, 403), (200, 403, 403, 200)
SHOW, COMMAND, REPLACE = (200, 200, 404, 404), (202, 202, 404, 404), (202, 403, 404, 404)
ENDPOINTS = {
    ("GET", "/healthz"): (None, OPEN), ("GET", "/readyz"): (None, OPEN), ("GET", "/metrics"): (None, ADMIN),
    ("GET", "/openapi.json"): (None, OPEN), ("GET", "/.well-known/jwks.json"): (None, OPEN),
    ("POST", "/publish"): (EVENT, PUBLISH), ("POST", "/ess/publish"): (EVENT, PUBLISH),
    ("GET", "/ess/replay"): (None, READ), ("GET", "/ess/poll"): (None, READ), ("GET", "/ess/stream"): (None, READ),
    ("POST", "/register"): (SPEC, REGISTER), ("POST", "/ess/subscribers"): (SPEC, REGISTER), ("GET", "/ess/subscribers"): (None, LIST),
    ("GET", SUBSCRIBER): (None, SHOW), ("PUT", SUBSCRIBER): (SPEC, REPLACE), ("DELETE", SUBSCRIBER): (None, COMMAND),
    ("GET", f"{SUBSCRIBER}/attempts"): (None, SHOW), ("GET", f"{SUBSCRIBER}/dead-letters"): (None, SHOW),
    ("POST", f"{SUBSCRIBER}/pause"): (None, COMMAND), ("POST", f"{SUBSCRIBER}/resume"): (None, COMMAND),
    ("POST", f"{SUBSCRIBER}/skip"): (None, COMMAND), ("GET", f"{SUBSCRIBER}/next"): (None, SHOW), ("POST", f"{SUBSCRIBER}/ack"): ({"cursor": 0}, SHOW),
    ("POST", f"{SUBSCRIBER}/rewind"): ({"cursor": 0}, COMMAND), ("POST", f"{SUBSCRIBER}/replay"): ({"from": 0, "to": 1}, COMMAND),
    ("POST", f"{SUBSCRIBER}/redrive"): ({}, COMMAND), ("POST", f"{SUBSCRIBER}/test"): (None, COMMAND),
    ("DELETE", f"{SUBSCRIBER}/jobs/{{job}}"): (None, COMMAND),
    ("POST", f"{SUBSCRIBER}/rotate"): ({"overlap": "1h"}, COMMAND), ("POST", f"{SUBSCRIBER}/token"): (None, COMMAND),
}


def status_of_stream(ingest, path, headers):
    """A stream has no end: only its beginning is read."""
    host, port = ingest.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        lines = [f"GET {path} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers.items())]
        connection.sendall("\r\n".join(lines + ["", ""]).encode())
        return int(connection.makefile("rb").readline().split()[1])


def status_of(ingest, method, path, body, headers):
    """Of a call about a subscriber made for it, the headers being those of `headers(its own token)`."""
    id = job = own = None
    if path not in ("/healthz", "/readyz", "/openapi.json", "/.well-known/jwks.json"):
        id, own = register(ingest, pulled=path.endswith(("/next", "/ack")))
    if "{job}" in path:
        job = call(ingest, "POST", f"/ess/subscribers/{id}/replay", "admin", {"from": 0, "to": 1}).json["generation"]
    path = path.format(id=id, job=job)
    if path in ("/ess/replay", "/ess/poll", "/ess/stream"):
        path += "?topics=drug.copay" + ("&wait=0" if path == "/ess/poll" else "")
    if path.startswith("/ess/stream"):
        return status_of_stream(ingest, path, headers(own))
    return ingest.request(method, path, None if body is None else json.dumps(body), headers(own)).status


def test_the_matrix_has_every_endpoint():
    source = (ROOT / "ingest/role.c").read_text()
    routes = re.findall(r'^    \{"([A-Z]+)", "([^"]+)", \w+, \w+, (\w+)\},$', source, re.M)
    assert len(routes) == source.count('    {"') and {(method, path) for method, path, _ in routes} == set(ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e[0]} {e[1]}")
def test_every_endpoint_answers_whom_it_should(guarded, endpoint):
    body, (right, own, other, elsewhere) = ENDPOINTS[endpoint]
    is_open = (right, own, other, elsewhere) == OPEN
    kind = "reader" if (right, own) == READ[:2] and endpoint[1] in ("/ess/replay", "/ess/poll", "/ess/stream") else \
        "engine" if "publish" in endpoint[1] else "vendor"
    foreign = {"reader": "visits", "engine": "booking", "vendor": "clinic"}[kind]
    without = {"reader": "engine", "engine": "reader", "vendor": "reader"}[kind]
    another = register(guarded, ["visit.made"])[1]
    found = {}
    for name, headers in {
        "none": lambda own: {}, "bad": lambda own: {"Authorization": "Bearer nobody"}, "expired": lambda own: bearer("late"),
        "without the scope": lambda own: bearer(without), "with it": lambda own: bearer(kind), "of others": lambda own: bearer(foreign),
        "own": lambda own: {"Authorization": f"Bearer {own}"}, "another's own": lambda own: {"Authorization": f"Bearer {another}"},
        "admin": lambda own: bearer("admin"),
    }.items():
        found[name] = status_of(guarded, *endpoint, body, headers)
    assert found == {"none": 200 if is_open else 401, "bad": 200 if is_open else 401, "expired": 200 if is_open else 401,
                     "without the scope": 200 if is_open else 403, "with it": right or 403, "of others": elsewhere or 403, "own": own,
                     "another's own": other, "admin": right or 200}


def test_a_register_scope_is_for_the_apis_subscribers_within_it_only(guarded_ess, guarded):
    guarded_ess.write("filed.yml", "id: filed\nurl: https://vendor.example/hook\ntopics: [drug.copay]\nsecret: s3cr3t\n")
    wait_for(lambda: call(guarded, "GET", "/ess/subscribers/filed", "admin").status == 200)
    within, _ = register(guarded, ["drug.copay", "drug.*"], "vendor")
    beyond, _ = register(guarded, ["drug.copay", "visit.made"])
    everything, _ = register(guarded, ["*"])
    assert call(guarded, "GET", f"/ess/subscribers/{within}", "vendor").status == 200
    for id in (beyond, everything, "filed", "nobody"):
        answer = call(guarded, "GET", f"/ess/subscribers/{id}", "vendor")
        assert answer.status == 404 and answer.json["detail"] == f"there is no subscriber {id}"
    listed = {s["id"] for s in call(guarded, "GET", "/ess/subscribers?limit=1000", "vendor").json["subscribers"]}
    assert within in listed and not listed & {beyond, everything, "filed"}
    listed = {s["id"] for s in call(guarded, "GET", "/ess/subscribers?limit=1000", "admin").json["subscribers"]}
    assert listed >= {within, beyond, everything, "filed"}
    for topics in (["visit.made"], ["drug.copay", "visit.*"], ["*"]):
        refused = call(guarded, "POST", "/register", "vendor", {**SPEC, "topics": topics})
        assert refused.status == 403 and f"register:{topics[-1]}" in refused.json["detail"]
        refused = call(guarded, "PUT", f"/ess/subscribers/{within}", "vendor", {**SPEC, "topics": topics})
        assert refused.status == 403 and f"register:{topics[-1]}" in refused.json["detail"]


def test_files_that_are_bad_are_shown_to_the_admin_only(guarded_ess, guarded):
    path = guarded_ess.write("bad.yml", "id: bad\nurl: http://plain.example\n")
    wait_for(lambda: call(guarded, "GET", "/ess/subscribers", "admin").json["files"])
    assert call(guarded, "GET", "/ess/subscribers", "vendor").json["files"] == []
    path.unlink()
    guarded_ess.allow("bad_subscriber_file")


def test_a_renewed_or_deleted_own_token_is_worth_nothing_any_more(guarded):
    id, first = register(guarded)
    second = call(guarded, "POST", f"/ess/subscribers/{id}/token", secret=first).json["token"]
    assert call(guarded, "GET", f"/ess/subscribers/{id}", secret=first).status == 401
    assert call(guarded, "GET", f"/ess/subscribers/{id}", secret=second).status == 200
    assert call(guarded, "DELETE", f"/ess/subscribers/{id}", secret=second).status == 202
    wait_for(lambda: call(guarded, "GET", f"/ess/subscribers/{id}", "admin").status == 404)
    assert call(guarded, "GET", f"/ess/subscribers/{id}", secret=second).status == 401


def test_what_is_secret_is_in_no_log_topic_metric_or_answer(ess):
    auth = {"auth.file": write_auth(ess, auth_file(TOKENS)), "log.level": "debug"}
    ingest, dispatcher, receiver = ess.ingest(auth), ess.dispatcher(auth), ess.receiver()
    receiver.answers(503)  # what failed is kept with an excerpt
    secrets = {"s3cr3t-0ne", "s3cr3t-tw0", "h34der-value", "unkn0wn-token", "s3cr3t-bad", *(token(name) for name in TOKENS)}
    spec = {"id": "vault", "url": receiver.url(), "topics": ["drug.*"], "secret": "s3cr3t-0ne", "headers": {"X-Api-Key": "h34der-value"}}
    answer = call(ingest, "POST", "/register", "vendor", spec)
    secrets |= {answer.json["token"], answer.json["whsec"]}
    rotated = call(ingest, "POST", "/ess/subscribers/vault/rotate", secret=answer.json["token"], body={"overlap": "1h"}).json
    renewed = call(ingest, "POST", "/ess/subscribers/vault/token", secret=answer.json["token"]).json
    secrets |= {rotated["secret"], rotated["whsec"], renewed["token"]}
    ess.write("file.yml", f"id: file\nurl: {receiver.url()}\ntopics: [drug.copay]\nsecret: s3cr3t-tw0\nheaders: {{X-Key: h34der-value}}\n")
    ess.write("bad.yml", "id: bad\nurl: x\nsecret: [s3cr3t-bad]\n")
    wait_for(lambda: dispatcher.lines("subscriber_started", subscriber="file"))
    assert publish(ingest, "drug.copay", "engine").status == 201
    receiver.wait(3)
    answers = [call(ingest, method, path, "admin", body) for method, path, body in (
        ("GET", "/ess/subscribers", None), ("GET", "/ess/subscribers/vault", None), ("GET", "/ess/subscribers/vault/attempts", None),
        ("GET", "/ess/subscribers/vault/dead-letters", None), ("GET", "/ess/replay", None), ("GET", "/metrics", None),
        ("POST", "/register", {**spec, "id": "v2", "secret": ["s3cr3t-bad"]}), ("POST", "/register", {**spec, "id": "v2", "secret": "whsec_s3cr3t-bad"}),
        ("POST", "/register", {**spec, "id": "v2", "headers": {"X\n": "h34der-value"}}), ("POST", "/register", '{"secret":"s3cr3t-bad"'),
        ("POST", "/ess/publish", '{"topic":"a","data":"s3cr3t-bad}'), ("PUT", "/ess/subscribers/vault", {"secret": "s3cr3t-bad"}))]
    answers += [call(ingest, "GET", "/ess/replay", secret="unkn0wn-token"), call(ingest, "GET", "/ess/replay?token=s3cr3t-bad", "admin"),
                call(dispatcher, "GET", "/metrics", "admin"), call(ingest, "POST", "/register", "vendor", {**spec, "secret": "s3cr3t-bad"})]
    assert {answer.status for answer in answers} == {200, 400, 401, 409}
    ess.allow("bad_subscriber_file")
    places = {"an answer": [str(dict(a.headers)).encode() + a.body for a in answers], "a log": [d.text().encode() for d in ess.daemons]}
    for topic in ("events", "subscribers", "tokens", "dlq"):
        places[topic] = [(m.key() or b"") + (m.value() or b"") + str(m.headers()).encode() for m in ess.records(topic)]
    found = [(secret, place) for place, texts in places.items() for text in texts for secret in secrets if secret.encode() in text]
    assert not found and len(secrets) == 5 + len(TOKENS) + 4


# --- the file at the start


@pytest.mark.parametrize("program", ["ess-ingest", "ess-dispatcher"])
@pytest.mark.parametrize("text, reason", [
    (None, "auth.yml: No such file or directory"),
    ("tokens:\n- name: a\n  sha256: 12\n  scopes: [admin]\n", "auth.yml:3: tokens[0].sha256: must be the 64 hex digits"),
    ("token: []\n", "auth.yml:1: token: is unknown"),
])
def test_a_bad_file_at_the_start_is_refused(tmp_path, program, text, reason):
    path = tmp_path / "auth.yml"
    if text:
        path.write_text(text)
    done = subprocess.run([BUILD / program, f"--auth.file={path}", "--ingest.listen=127.0.0.1:0"], cwd=tmp_path, env=ENVIRONMENT,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and reason in done.stderr and str(tmp_path) in done.stderr, done.stderr
