"""Webhooks through a forward proxy (egress.proxy): its faults are never an endpoint's, and its secrets are nowhere to be read."""
import base64
import json
import os
import pathlib
import shutil
import ssl
import time

import pytest

import ess as words
from aws import KEY, REGION, signature_of
from ess import CA, Answer, Receiver, wait_for
from identity import Authority, MutualTls, TokenServer
from names import NameServer
from proxies import PASSWORD, USER, Proxy, TlsFront, Tinyproxy

pytestmark = pytest.mark.skipif(not shutil.which("tinyproxy"), reason="tinyproxy is not on this machine")
AWAY_S = float(os.environ.get("PROXY_AWAY_S", "0"))  # how long a proxy stays away, besides what the test waits for
STRICT = {"max_attempts": 1, "backoff_min": "1h", "backoff_max": "1h"}  # one counted failure would be a dead letter


@pytest.fixture
def proxies():
    """Whatever is put in is stopped in the end."""
    running = []
    yield running
    for proxy in running:
        proxy.stop()


def begin(ess, url, **options):
    """An ingest, and a dispatcher that goes through the proxy."""
    ess.ingest()
    return ess.dispatcher({"egress.proxy": url, **options})


def reason_of(ess, id):
    return ess.daemons[0].status(id).get("reason", "")


def check_nothing_was_counted(ess, receiver, cursors):
    wait_for(lambda: len(set(receiver.cursors())) >= len(cursors), told=receiver.cursors)
    assert sorted(set(receiver.cursors())) == cursors
    assert all(request.headers["X-ESS-Attempt"] == "1" for request in receiver.requests)
    assert not ess.daemons[1].lines("delivery_failed") and not ess.records("dlq")
    wait_for(lambda: ess.daemons[0].status("s")["cursor"] >= cursors[-1] and "reason" not in ess.daemons[0].status("s"))
    assert not ess.daemons[0].get("/ess/subscribers/s/attempts").json["attempts"]


def check_held_up(ess, kind, part):
    """What operators see of it."""
    dispatcher = ess.daemons[1]
    line = dispatcher.wait_line("deliveries_held_up")
    assert part in line["reason"] and line["error"]
    wait_for(lambda: part in reason_of(ess, "s"), told=lambda: ess.daemons[0].status("s"))
    wait_for(lambda: dispatcher.get("/readyz").status == 503 and part in dispatcher.get("/readyz").json["detail"], told=lambda: dispatcher.get("/readyz"))
    assert dispatcher.metrics()[f'ess_own_faults_total{{kind="{kind}"}}'] >= 1


def test_webhooks_go_through_one_tunnel_and_the_proxys_secrets_are_nowhere(ess, proxies, tmp_path, monkeypatch):
    proxies.append(proxy := Tinyproxy(tmp_path))
    monkeypatch.setitem(words.ENVIRONMENT, "ESS_EGRESS_PROXY", proxy.url)
    monkeypatch.setitem(words.ENVIRONMENT, "https_proxy", "http://127.0.0.1:1")  # counts for nothing
    monkeypatch.setitem(words.ENVIRONMENT, "no_proxy", "*")
    ess.ingest()
    dispatcher = ess.dispatcher()
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], **STRICT)
    cursors = [ess.publish("a", n) for n in range(5)]
    check_nothing_was_counted(ess, receiver, cursors)
    assert len({request.connection for request in receiver.requests}) == 1
    target = receiver.url("").removeprefix("https://")
    assert proxy.tunnels() == [target]
    proxy.kill9()
    ess.publish("a", 5)
    check_held_up(ess, "proxy", "cannot be reached")
    seen = "".join(daemon.text() for daemon in ess.daemons) + dispatcher.get("/metrics").body.decode() + dispatcher.get("/readyz").body.decode()
    seen += ess.daemons[0].get("/ess/subscribers/s").body.decode() + ess.daemons[0].get("/ess/subscribers").body.decode()
    seen += ess.daemons[0].get("/ess/subscribers/s/attempts").body.decode()
    seen += "".join(str((record.key(), record.value(), record.headers())) for topic in ("events", "subscribers", "tokens") for record in ess.records(topic))
    seen += pathlib.Path(f"/proc/{dispatcher.process.pid}/cmdline").read_text()
    assert PASSWORD not in seen
    assert base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode() not in seen
    proxy.start()
    receiver.wait(6)


def test_while_the_proxy_is_dead_no_attempt_is_counted_and_deliveries_resume_at_once(ess, proxies, tmp_path):
    proxies.append(proxy := Tinyproxy(tmp_path))
    dispatcher = begin(ess, proxy.url)
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], **STRICT)
    cursors = [ess.publish("a", 0)]
    receiver.wait(1)
    proxy.kill9()
    cursors += [ess.publish("a", n) for n in range(1, 4)]
    check_held_up(ess, "proxy", "cannot be reached")
    wait_for(lambda: dispatcher.metrics()['ess_own_faults_total{kind="proxy"}'] >= 5)  # by then pauses are as long as they get
    back = time.monotonic() + AWAY_S
    wait_for(lambda: time.monotonic() >= back, AWAY_S + 1)
    proxy.start()
    back = time.monotonic()
    receiver.wait(2)
    resumed_s = receiver.requests[1].at - back
    print(f"resumed after {resumed_s:.2f} s")
    assert resumed_s < 5 or not AWAY_S  # on a machine that does nothing else
    check_nothing_was_counted(ess, receiver, cursors)
    dispatcher.wait_line("deliveries_go_on")
    wait_for(lambda: dispatcher.get("/readyz").status == 200)


def test_a_proxy_that_dies_in_the_middle_of_a_request_costs_nothing(ess, proxies, tmp_path):
    proxies.append(proxy := Tinyproxy(tmp_path))
    begin(ess, proxy.url)
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], **STRICT)
    receiver.answers(Answer(hang=True))
    cursors = [ess.publish("a", 0)]  # on a new tunnel
    receiver.wait(1)
    proxy.kill9()
    receiver.release()
    ess.daemons[1].wait_line("deliveries_held_up")
    proxy.start()
    check_nothing_was_counted(ess, receiver, cursors)
    receiver.answers(Answer(hang=True))
    cursors.append(ess.publish("a", 1))  # on one that was used before
    wait_for(lambda: cursors[1] in receiver.cursors())
    proxy.kill9()
    proxy.start()
    check_nothing_was_counted(ess, receiver, cursors)


@pytest.mark.parametrize("under_way", [False, True])
def test_a_silent_proxy_is_no_silent_endpoint(ess, proxies, tmp_path, under_way):
    proxies.append(proxy := Tinyproxy(tmp_path))
    dispatcher = begin(ess, proxy.url, **{"delivery.timeout": "4s", "delivery.connect_timeout": "3s"})
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], **STRICT)
    cursors = []
    if under_way:  # on the tunnel that is there
        cursors.append(ess.publish("a", 0))
        receiver.wait(1)
    proxy.freeze()
    cursors += [ess.publish("a", n) for n in range(1, 4)]
    check_held_up(ess, "proxy", "does not answer")
    wait_for(lambda: dispatcher.metrics()['ess_own_faults_total{kind="proxy"}'] >= 2)
    proxy.thaw()
    check_nothing_was_counted(ess, receiver, cursors)


def test_a_silent_endpoint_behind_a_proxy_that_lives_is_the_endpoints_fault(ess, proxies, tmp_path):
    proxies.append(proxy := Tinyproxy(tmp_path))
    begin(ess, proxy.url, **{"delivery.timeout": "1s"})
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], **STRICT)
    receiver.answers(Answer(hang=True))
    ess.publish("a", 0)
    assert "timed out" in ess.daemons[1].wait_line("delivery_failed")["error"].lower()
    wait_for(lambda: ess.records("dlq"))
    assert not ess.daemons[1].lines("deliveries_held_up")


def test_an_endpoint_that_only_the_proxy_waits_for_holds_up_nobody_else(ess, proxies):
    """The proxy says nothing of that endpoint, as it does while it tries to reach it, and lives."""
    proxies.append(proxy := Proxy())
    dispatcher = begin(ess, proxy.url, **{"delivery.connect_timeout": "3s"})
    receiver, dead = ess.receiver(), ess.receiver()
    waited = dead.url("").removeprefix("https://")
    proxy.answer = lambda target: None if target == waited else 200
    ess.subscribe("dead", dead, ["b"], **STRICT)
    ess.subscribe("s", receiver, ["a"], **STRICT)
    ess.publish("b", 0)
    line = dispatcher.wait_line("delivery_held_up", subscriber="dead")
    assert "does not get through" in line["reason"] and "in time" in line["error"]
    wait_for(lambda: "does not get through" in reason_of(ess, "dead"))
    check_nothing_was_counted(ess, receiver, [ess.publish("a", 1)])
    assert dispatcher.get("/readyz").status == 200 and not dispatcher.lines("deliveries_held_up")
    proxy.answer = lambda target: 200
    dead.wait(1)
    assert dead.requests[0].headers["X-ESS-Attempt"] == "1"


@pytest.mark.parametrize("status, kind, part", [(407, "proxy_login", "user and password"), (401, "proxy_login", "user and password"),
                                                (502, "proxy_gateway", "does not get through"), (503, "proxy_gateway", "does not get through"),
                                                (504, "proxy_gateway", "does not get through")])
def test_what_a_proxy_answers_of_itself_counts_for_nobody(ess, proxies, status, kind, part):
    proxies.append(proxy := Proxy())
    proxy.status = status
    dispatcher = begin(ess, proxy.url)
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], **STRICT)
    cursors = [ess.publish("a", n) for n in range(3)]
    check_held_up(ess, kind, part)
    assert f"answers {status} to CONNECT" in dispatcher.lines("deliveries_held_up")[0]["error"]
    wait_for(lambda: dispatcher.metrics()[f'ess_own_faults_total{{kind="{kind}"}}'] >= 3)
    proxy.status = 200
    check_nothing_was_counted(ess, receiver, cursors)


ODD_ANSWERS = {"endless page": (b"HTTP/1.1 407 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n%s\r\n" % (b"x" * 4096)),
               "endless headers": (b"HTTP/1.1 200 OK\r\n", b"X-More: %s\r\n" % (b"x" * 1000)),
               "endless line": (b"HTTP/1.1 200 OK\r\nX-More: ", b"x" * 4096),
               "endless promise": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
               "cut": (b"HTTP/1.1 200 OK\r\nX-More: ", b"")}


@pytest.mark.parametrize("kind", ODD_ANSWERS)
def test_an_answer_of_the_proxy_that_makes_no_tunnel_counts_for_nobody_and_ends(ess, proxies, kind):
    proxies.append(proxy := Proxy())
    proxy.status = ODD_ANSWERS[kind]
    dispatcher = begin(ess, proxy.url)
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], **STRICT)
    cursors = [ess.publish("a", n) for n in range(3)]
    login = b"407" in proxy.status[0]
    check_held_up(ess, "proxy_login" if login else "proxy", "user and password" if login else "does not answer")
    proxy.status = 200
    check_nothing_was_counted(ess, receiver, cursors)
    assert "kafka_error" not in dispatcher.text()  # which comes of a loop that stands still


def test_a_gateway_error_for_one_endpoint_holds_up_nobody_else(ess, proxies):
    proxies.append(proxy := Proxy())
    dispatcher = begin(ess, proxy.url)
    receiver, dead = ess.receiver(), ess.receiver()
    unreachable = dead.url("").removeprefix("https://")
    proxy.answer = lambda target: 503 if target == unreachable else 200
    ess.subscribe("s", receiver, ["a"], **STRICT)
    ess.subscribe("dead", dead, ["b"], **STRICT)
    cursors = [ess.publish("a", 0)]
    receiver.wait(1)
    ess.publish("b", 0)
    line = dispatcher.wait_line("delivery_held_up", subscriber="dead")
    assert "answers 503 to CONNECT" in line["error"]
    cursors.append(ess.publish("a", 1))
    check_nothing_was_counted(ess, receiver, cursors)
    proxy.answer = lambda target: 200
    dead.wait(1)
    assert dead.requests[0].headers["X-ESS-Attempt"] == "1" and not ess.records("dlq")


def test_a_wrong_password_is_named_and_a_changed_password_file_mends_it(ess, proxies, tmp_path):
    ess.allow("bad_proxy_password_file")
    proxies.append(proxy := Tinyproxy(tmp_path))
    password = tmp_path / "password"
    password.write_text("guessed\n")
    dispatcher = begin(ess, f"http://{USER}@127.0.0.1:{proxy.port}", **{"egress.proxy_password_file": password})
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], **STRICT)
    cursors = [ess.publish("a", 0)]
    check_held_up(ess, "proxy_login", "user and password")
    password.write_text(f"{PASSWORD}\n")
    check_nothing_was_counted(ess, receiver, cursors)
    password.unlink()
    dispatcher.wait_line("bad_proxy_password_file")
    assert PASSWORD not in dispatcher.text() and "guessed" not in dispatcher.text()


def test_a_refused_target_is_the_endpoints_failure_and_named(ess, proxies, tmp_path):
    """tinyproxy answers 403 by its filter; a squid does by its ACLs."""
    proxies.append(proxy := Tinyproxy(tmp_path, refused="127.0.0.1"))
    begin(ess, proxy.url)
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], **STRICT)
    ess.publish("a", 0)
    wait_for(lambda: ess.records("dlq"))
    status = ess.daemons[0].status("s")
    assert "the proxy answers 403 to CONNECT: it refuses the endpoint's address" in status["last_error"]
    assert not receiver.requests and not ess.daemons[1].lines("deliveries_held_up")


def test_the_target_is_checked_and_resolved_before_the_proxy_hears_of_it(ess, proxies):
    """The proxy itself is on an address that is not public, and not allowed to endpoints."""
    server = NameServer()
    server.answers.update({"inner.test": ["127.0.0.1"], "outer.test": ["198.51.100.7"], "proxy.test": ["127.0.0.1"]})
    proxies.append(proxy := Proxy())
    receiver = Receiver(ess.ca.certificate("outer", "DNS:outer.test"))
    ess.receivers.append(receiver)
    ess.ingest()
    port = receiver.url("").rsplit(":", 1)[1]
    dispatcher = ess.dispatcher({"egress.proxy": f"http://proxy.test:{proxy.port}", "egress.dns": server.address, "egress.allow": "198.51.100.0/24"})
    ess.subscribe("inner", receiver.url(host="inner.test"), ["a"], **STRICT)
    ess.subscribe("outer", receiver.url(host="outer.test"), ["b"], **STRICT)
    ess.publish("a", 0)
    assert "not public" in dispatcher.wait_line("delivery_failed", subscriber="inner")["error"]
    assert not proxy.heads
    proxy.answer = lambda target: 502
    ess.publish("b", 0)
    wait_for(lambda: proxy.heads)
    assert set(proxy.tunnels()) == {f"198.51.100.7:{port}"}
    assert not any(word in "".join(proxy.heads).lower() for word in ("x-ess", "webhook", "outer.test", "signature"))
    server.close()


def test_two_names_of_one_address_have_tunnels_of_their_own(ess, proxies):
    server = NameServer()
    server.answers.update({"one.test": ["127.0.0.1"], "two.test": ["127.0.0.1"]})
    proxies.append(proxy := Proxy())
    names = []
    receiver = Receiver(ess.ca.certificate("both", "DNS:one.test,DNS:two.test"))
    receiver._server.tls.sni_callback = lambda connection, name, context: names.append(name)
    ess.receivers.append(receiver)
    begin(ess, proxy.url, **{"egress.dns": server.address})
    for name in ("one", "two"):
        ess.subscribe(name, receiver.url(f"/{name}", host=f"{name}.test"), ["a"], **STRICT)
    for n in range(3):
        ess.publish("a", n)
        receiver.wait(2 * n + 2)
    assert sorted(names) == ["one.test", "two.test"] and len(proxy.tunnels()) == 2
    for request in receiver.requests:
        assert request.headers["Host"].split(":")[0] == request.path.removeprefix("/") + ".test"
    server.close()


def test_another_address_is_asked_for_after_one_that_the_proxy_cannot_reach(ess, proxies):
    server = NameServer()
    server.answers["hook.test"] = ["127.0.0.2", "127.0.0.1"]
    proxies.append(proxy := Proxy())
    proxy.answer = lambda target: 503 if target.startswith("127.0.0.2:") else 200
    receiver = Receiver(ess.ca.certificate("hook", "DNS:hook.test,DNS:other.test"))
    ess.receivers.append(receiver)
    begin(ess, proxy.url, **{"egress.dns": server.address})
    ess.subscribe("s", receiver.url(host="hook.test"), ["a"], **STRICT)
    check_nothing_was_counted(ess, receiver, [ess.publish("a", 0)])
    server.close()


def test_what_no_proxy_names_is_called_directly(ess, proxies):
    server = NameServer()
    server.answers.update({"hook.near.test": ["127.0.0.1"], "far.test": ["127.0.0.3"], "range.test": ["127.0.0.1"]})
    proxies.append(proxy := Proxy())
    proxy.status = 403
    receiver = Receiver(ess.ca.certificate("near", "DNS:hook.near.test,DNS:range.test"))
    ess.receivers.append(receiver)
    begin(ess, proxy.url, **{"egress.dns": server.address, "egress.no_proxy": "near.test,127.0.0.1/32"})
    for number, name in enumerate(("hook.near.test", "range.test", "far.test")):
        ess.subscribe(f"s{number}", receiver.url(host=name), ["a"], **STRICT)
    ess.publish("a", 0)
    receiver.wait(2)
    ess.daemons[1].wait_line("delivery_failed", subscriber="s2")
    assert [target.split(":")[0] for target in proxy.tunnels()] == ["127.0.0.3"]
    server.close()


def test_a_proxy_that_speaks_tls_is_verified(ess, proxies, tmp_path):
    (tmp_path / "other").mkdir()
    proxies.append(proxy := Tinyproxy(tmp_path))
    wrong = CA(tmp_path / "other").certificate()
    proxies.append(front := TlsFront(wrong, proxy.port))
    begin(ess, f"https://{USER}:{PASSWORD}@127.0.0.1:{front.port}")
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], **STRICT)
    cursors = [ess.publish("a", n) for n in range(3)]
    check_held_up(ess, "proxy_tls", "TLS to the proxy")
    assert not proxy.tunnels()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*ess.ca.certificate())
    front._tls = tls
    check_nothing_was_counted(ess, receiver, cursors)
    assert len({request.connection for request in receiver.requests}) == 1
    proxy.freeze()
    cursors.append(ess.publish("a", 3))
    proxy.thaw()
    check_nothing_was_counted(ess, receiver, cursors)


def test_an_attempt_that_is_given_up_resets_its_tunnel(ess, proxies):
    """What the kernel still holds is dropped, and a proxy that sees a reset drops what it holds."""
    proxies.append(proxy := Proxy())
    begin(ess, proxy.url, **{"delivery.timeout": "3s"})
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], max_attempts=1000, backoff_min="10ms", backoff_max="10ms")
    receiver.answers(Answer(hang=True))
    ess.publish("a", 0)
    wait_for(lambda: proxy.resets == 1)
    receiver.wait(2)
    wait_for(lambda: ess.daemons[0].status("s")["delivered"] == 1)
    assert [request.headers["X-ESS-Attempt"] for request in receiver.requests] == ["1", "2"]


def test_a_tunnel_that_the_endpoint_closes_is_made_again_without_a_failure(ess, proxies):
    proxies.append(proxy := Proxy())
    dispatcher = begin(ess, proxy.url)
    receiver = ess.receiver()
    ess.subscribe("s", receiver, ["a"], **STRICT)
    cursors = []
    for n in range(5):
        cursors.append(ess.publish("a", n))
        wait_for(lambda: dispatcher.metrics()['ess_deliveries_total{outcome="settled"}'] == n + 1)  # the answer has arrived
        for connection in receiver.connections:
            connection.close()
        receiver.connections.clear()
    check_nothing_was_counted(ess, receiver, cursors)


def test_sns_goes_through_the_proxy_too(ess, proxies):
    proxies.append(proxy := Proxy())
    begin(ess, proxy.url)
    receiver = ess.receiver()
    ess.daemons[0].post(json.dumps({"id": "s", "topics": ["a"], **STRICT, "sns": {
        "topic_arn": f"arn:aws:sns:{REGION}:123456789012:t", "endpoint": receiver.url(""), **KEY}}), "/register")
    ess.daemons[1].wait_line("subscriber_started", subscriber="s")
    ess.publish("a", 0)
    request = receiver.wait(1)[0]
    assert f"Signature={signature_of(request)}" in request.headers["Authorization"]
    assert proxy.tunnels() == [receiver.url("").removeprefix("https://")]
    assert KEY["access_key_id"] not in "".join(proxy.heads)


def test_tokens_are_fetched_through_the_proxy_and_client_certificates_reach_the_endpoint(ess, proxies, tmp_path):
    proxies.append(proxy := Tinyproxy(tmp_path))
    proxies.append(nginx := MutualTls(tmp_path / "nginx", ess.receiver(), ess.ca.certificate(), authority := Authority("vendor's CA")))
    tokens = TokenServer(ess.receiver(), "proxied")
    dispatcher = begin(ess, proxy.url)
    made = ess.daemons[0].post(json.dumps({"id": "s", "topics": ["a"], **STRICT, "url": nginx.url(), "tls": authority.client("proxied"),
                                           "oauth2": tokens.fields()}), "/register")
    assert made.status == 201, made
    dispatcher.wait_line("subscriber_started", subscriber="s")
    proxy.kill9()  # before there is a token
    cursors = [ess.publish("a", n) for n in range(2)]
    check_held_up(ess, "proxy", "cannot be reached")
    assert "failing_since" not in ess.daemons[0].status("s")
    proxy.start()
    check_nothing_was_counted(ess, nginx.receiver, cursors)
    assert all("proxied" in request.headers["X-Client"] and request.headers["Authorization"] == f"Bearer {tokens.of(1)}"
               for request in nginx.receiver.requests)
    assert sorted(set(proxy.tunnels())) == sorted([f"127.0.0.1:{nginx.port}", tokens.receiver.url("").removeprefix("https://")])
