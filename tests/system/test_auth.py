"""Access tokens: who may do what, and what is said to the others."""
import hashlib
import json
import subprocess

import pytest

from ess import BUILD, ENVIRONMENT, wait_for

TOKENS = {
    "admin": ["admin"],
    "engine": ["publish:drug.*"],
    "reader": ["read:drug.*", "read:visit.made"],
    "vendor": ["register:drug.*"],
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


@pytest.fixture
def guarded(ess):
    """An ingest with access tokens."""
    return ess.ingest({"auth.file": write_auth(ess, auth_file(TOKENS))})


def publish(ingest, topic, name):
    return ingest.post(json.dumps({"topic": topic, "data": 1}), **bearer(name))


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


def test_a_token_publishes_within_its_pattern_only(guarded):
    assert publish(guarded, "drug.copay", "engine").status == 201
    refused = publish(guarded, "visit.made", "engine")
    assert refused.status == 403 and "publish:visit.made" in refused.json["detail"]
    refused = publish(guarded, "drug.copay", "reader")
    assert refused.status == 403 and "publish:" in refused.json["detail"]
    assert publish(guarded, "visit.made", "admin").status == 201


def test_a_read_without_topics_gives_what_the_token_may_read(guarded):
    for topic in ("drug.copay", "visit.made", "visit.missed"):
        assert publish(guarded, topic, "admin").status == 201

    def read(name, query):
        answer = guarded.request("GET", f"/ess/replay{query}", None, bearer(name))
        return answer.status, [e["topic"] for e in answer.json["events"]] if answer.status == 200 else answer.json["detail"]
    assert read("admin", "") == (200, ["drug.copay", "visit.made", "visit.missed"])
    assert read("reader", "") == (200, ["drug.copay", "visit.made"])
    assert read("reader", "?topics=") == (200, ["drug.copay", "visit.made"])
    assert read("reader", "?topics=visit.made") == (200, ["visit.made"])
    assert read("reader", "?topics=drug.copay,drug.*.x") == (200, ["drug.copay"])
    for wanted in ("visit.missed", "*", "drug.*,visit.*", "visit.*"):
        status, detail = read("reader", f"?topics={wanted}")
        assert status == 403 and f"read:{wanted.split(',')[-1]}" in detail
    assert read("engine", "")[0] == 403


def test_metrics_are_the_admins_in_both_services(ess, guarded):
    dispatcher = ess.dispatcher({"auth.file": ess.folder / "auth.yml"})
    for daemon in (guarded, dispatcher):
        assert daemon.get("/healthz").status == 200
        assert daemon.get("/metrics").status == 401
        refused = daemon.request("GET", "/metrics", None, bearer("reader"))
        assert refused.status == 403 and refused.json["detail"].endswith("admin")
        assert "insufficient_scope" in refused.headers["WWW-Authenticate"]
        assert daemon.request("GET", "/metrics", None, bearer("admin")).status == 200


def test_a_changed_file_is_in_force_within_5_s_and_a_bad_one_changes_nothing(ess, guarded):
    ess.allow("bad_auth_file")
    write_auth(ess, auth_file({"admin": ["admin"], "reader": ["publish:visit.*"]}))
    wait_for(lambda: publish(guarded, "visit.made", "reader").status == 201, timeout=5)
    assert publish(guarded, "drug.copay", "engine").status == 401
    write_auth(ess, auth_file({"admin": ["admin"]}) + "  - name: x\n")
    assert "auth.yml:5: tokens[1].scopes:" in guarded.wait_line("bad_auth_file", timeout=5)["reason"]
    assert publish(guarded, "visit.made", "reader").status == 201
    (ess.folder / "auth.yml").unlink()
    wait_for(lambda: len(guarded.lines("bad_auth_file")) == 2, timeout=5)
    assert publish(guarded, "visit.made", "reader").status == 201
    write_auth(ess, auth_file(TOKENS))
    wait_for(lambda: publish(guarded, "drug.copay", "engine").status == 201, timeout=5)
    assert publish(guarded, "visit.made", "reader").status == 403


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
