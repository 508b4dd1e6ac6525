"""From one HTTP call to a signed webhook: what arrives, and what becomes of what is not taken."""
import base64
import hashlib
import hmac
import json
import random
import subprocess

import pytest
import standardwebhooks

from ess import Answer, wait_for


@pytest.fixture
def receiver(shared):
    return shared.receiver()


def openssl_hmac(secret, body):
    done = subprocess.run(["openssl", "dgst", "-sha256", "-hmac", secret], input=body, capture_output=True, check=True)
    return done.stdout.decode().split("= ")[1].strip()


def kcat(ess, cursor):
    """What `kcat -C -t …events -o <cursor> -c 1` shows."""
    words = ["kcat", "-b", ess.broker.address, "-C", "-t", ess.topic("events"), "-o", str(cursor), "-c", "1", "-e", "-q"]
    return subprocess.run(words, capture_output=True, check=True, timeout=30).stdout.removesuffix(b"\n")


def test_delivered_are_the_stored_bytes_with_two_numbers_spliced_in(shared, receiver):
    shared.subscribe("splice", receiver, ["splice.a"])
    first = shared.publish("splice.a", {"n": 1})
    shared.publish("splice.other", {"n": 2})
    third = shared.publish("splice.a", {"n": 3}, key="0002", cursor=7, ts="2024-05-07T14:03:11Z")
    one, two = receiver.wait(2)
    for request, cursor, previous in ((one, first, one.json["prev_cursor"]), (two, third, first)):
        begin = b'{"topic":"splice.a",'
        spliced = b'"cursor":%d,"prev_cursor":%d,' % (cursor, previous)
        assert request.body == begin + spliced + kcat(shared, cursor).removeprefix(begin)
    assert first > one.json["prev_cursor"] >= 0
    assert kcat(shared, third) == (b'{"topic":"splice.a","id":"splice/a:7","key":"0002","ts":"2024-05-07T14:03:11Z",'
                                   b'"source_cursor":7,"data":{"n": 3}}')


@pytest.mark.parametrize("data", [
    b'{ "ndc" : "00002-8215",\r\n\t"copay":25.00 }', b'[\n  1e5,\n  1.0 , -0\n]', b'"\\u00e9 \\/ \xc3\xa9 \xf0\x9f\x92\x89"', b"0.1000", b" null".strip(),
    b"9007199254740993123456789", b'{"b":1,"a":{"b":1}}'])
def test_data_is_kept_byte_for_byte_but_for_line_breaks(shared, receiver, data):
    topic = f"verbatim.{hashlib.sha256(data).hexdigest()[:8]}"
    shared.subscribe(topic.replace(".", "-"), receiver, [topic])
    assert shared.daemons[0].post(b'{"data" :\n' + data + b' ,"topic":"%s"}' % topic.encode()).status == 201
    body = receiver.wait(1)[0].body
    assert body.endswith(b'"data":' + data.replace(b"\r", b" ").replace(b"\n", b" ") + b"}")
    assert b"\n" not in body and json.loads(body)["data"] == json.loads(data)


def test_x_ess_signature_verifies_with_openssl(shared, receiver):
    shared.subscribe("openssl", receiver, ["signed.hex"], secret="s3cr3t")
    shared.publish("signed.hex", {"copay": 25})
    request = receiver.wait(1)[0]
    assert request.headers["X-ESS-Signature"] == openssl_hmac("s3cr3t", request.body)


@pytest.mark.parametrize("prefix", ["whsec_", ""])
def test_webhook_signature_verifies_with_the_public_library(shared, receiver, prefix):
    key = base64.b64encode(random.randbytes(24)).decode()
    secret = prefix + key
    shared.subscribe(f"standard{bool(prefix)}", receiver, [f"signed.std{bool(prefix)}"], secret=secret)
    shared.publish(f"signed.std{bool(prefix)}", {"copay": 25})
    request = receiver.wait(1)[0]
    # A secret without the prefix is the key's bytes; libraries take its whsec_ form.
    taken = secret if prefix else "whsec_" + base64.b64encode(secret.encode()).decode()
    assert standardwebhooks.Webhook(taken).verify(request.body, dict(request.headers)) == request.json
    raw = base64.b64decode(taken.removeprefix("whsec_"))
    assert request.headers["X-ESS-Signature"] == hmac.new(raw, request.body, hashlib.sha256).hexdigest()
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(taken).verify(request.body + b" ", dict(request.headers))


def test_a_webhook_carries_the_headers_of_the_contract(shared, receiver):
    shared.subscribe("headers", receiver, ["headers.a"], headers={"X-Api-Key": "k3y"})
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = shared.daemons[0].post('{"topic":"headers.a","data":1,"id":"mine-1"}', traceparent=parent)
    headers = receiver.wait(1)[0].headers
    expected = {"Content-Type": "application/json", "X-ESS-Subscriber": "headers", "X-ESS-Topic": "headers.a", "X-ESS-Attempt": "1",
                "X-ESS-Cursor": str(answer.json["cursor"]), "webhook-id": "mine-1", "traceparent": parent, "X-Api-Key": "k3y"}
    assert {name: headers[name] for name in expected} == expected
    assert headers["User-Agent"].startswith("ess/") and "Expect" not in headers and "X-ESS-Replay" not in headers
    assert answer.json["id"] == "mine-1"


def test_503_twice_then_200_is_the_same_thrice_with_growing_waits(shared, receiver):
    shared.subscribe("retry", receiver, ["retry.a"], backoff_min="400ms")
    receiver.answers(503, 503)
    shared.publish("retry.a", {"n": 1})
    requests = receiver.wait(3)
    assert len({(r.headers["webhook-id"], r.cursor, r.body) for r in requests}) == 1
    assert [r.headers["X-ESS-Attempt"] for r in requests] == ["1", "2", "3"]
    waits = [b.at - a.at for a, b in zip(requests, requests[1:])]
    assert waits[0] >= 0.199 and waits[1] >= 0.399  # full jitter: from half of 400 and 800 ms; a busy machine may add to either


def test_an_event_that_is_refused_becomes_a_dead_letter_and_the_next_goes_on(shared, receiver):
    shared.subscribe("refuse", receiver, ["refuse.a"])
    receiver.answers(Answer(400, body=b"no such drug"))
    first, second = shared.publish("refuse.a", {"n": 1}), shared.publish("refuse.a", {"n": 2})
    requests = receiver.wait(2)
    assert receiver.cursors() == [first, second]
    assert requests[1].json["prev_cursor"] == first
    letters = [m for m in shared.records("dlq") if m.key() == b"refuse"]
    assert len(letters) == 1
    letter = json.loads(letters[0].value())
    assert (letter["cursor"], letter["reason"], letter["attempts"], letter["status"]) == (first, "refused", 1, 400)
    assert json.dumps(letter["event"]) == json.dumps(requests[0].json)
    assert requests[0].body in letters[0].value()


def test_retry_after_is_obeyed(shared, receiver):
    shared.subscribe("later", receiver, ["later.a"], backoff_min="10ms")
    receiver.answers(Answer(429, {"Retry-After": "2"}))
    shared.publish("later.a", {"n": 1})
    first, second = receiver.wait(2)
    assert second.at - first.at >= 2


def test_a_redirect_is_a_failure_and_never_followed(shared, receiver):
    other = shared.receiver()
    shared.subscribe("redirect", receiver, ["redirect.a"], backoff_min="50ms")
    receiver.answers(Answer(302, {"Location": other.url()}), Answer(307, {"Location": other.url()}))
    shared.publish("redirect.a", {"n": 1})
    receiver.wait(3)
    assert other.requests == []


def test_410_disables_the_subscriber_until_its_url_changes(shared, receiver):
    dispatcher = shared.daemons[1]
    shared.subscribe("gone", receiver, ["gone.a"])
    receiver.answers(410)
    cursor = shared.publish("gone.a", {"n": 1})
    dispatcher.wait_line("subscriber_disabled", subscriber="gone")
    assert dispatcher.metrics()['ess_subscriber_state{subscriber="gone",state="disabled"}'] == 1
    shared.publish("gone.a", {"n": 2})
    shared.subscribe("gone", receiver.url("/elsewhere"), ["gone.a"])
    requests = receiver.wait(3)
    assert [(r.path, r.json["data"]["n"]) for r in requests] == [("/hook", 1), ("/elsewhere", 1), ("/elsewhere", 2)]
    assert requests[1].body == requests[0].body and requests[0].cursor == cursor


def test_a_throttle_holds_in_any_sliding_second_at_the_receiver(shared, receiver):
    shared.subscribe("throttle", receiver, ["throttle.a"], throttle=5)
    receiver.answer = lambda request: Answer(delay=random.uniform(0, 0.15))
    cursors = [shared.publish("throttle.a", {"n": n}) for n in range(40)]
    requests = receiver.wait(40)
    assert receiver.cursors() == cursors
    # The sixth after any event comes a whole second later: arrivals are noted before the answer, from which on the throttle counts.
    assert min(b.at - a.at for a, b in zip(requests, requests[5:])) >= 1
    assert dispatcher_wait(shared) > 0


def dispatcher_wait(shared):
    return shared.daemons[1].metrics()["ess_throttle_wait_seconds_total"]


def test_a_hung_endpoint_costs_only_its_own_lane(shared, receiver):
    hung = shared.receiver()
    shared.subscribe("hung", hung, ["hung.a"], timeout="2s", backoff_min="100ms")
    shared.subscribe("quick", receiver, ["hung.*"])
    hung.answers(Answer(hang=True))
    cursors = [shared.publish("hung.a", {"n": n}) for n in range(20)]
    receiver.wait(20)
    assert receiver.cursors() == cursors and len(hung.requests) == 1
    hung.wait(21)
    assert hung.cursors() == cursors[:1] + cursors
    assert shared.daemons[1].lines("delivery_failed", subscriber="hung")[0]["cursor"] == str(cursors[0])


def test_an_endpoint_that_is_away_gets_everything_in_order_when_it_is_back(shared, receiver):
    shared.subscribe("away", receiver, ["away.a"], backoff_min="50ms", backoff_max="200ms")
    receiver.stop()
    cursors = [shared.publish("away.a", {"n": n}) for n in range(5)]
    shared.daemons[1].wait_line("delivery_failed", subscriber="away")
    receiver.start()
    receiver.wait(5)
    assert receiver.cursors() == cursors


def test_a_kept_alive_connection_that_breaks_is_no_attempt_and_a_new_one_that_breaks_is_one(shared, receiver):
    shared.subscribe("cut", receiver, ["cut.a"], backoff_min="50ms")
    shared.publish("cut.a", {"n": 0})
    receiver.wait(1)
    receiver.answers(Answer(cut=True), Answer(cut=True))  # on the kept-alive connection, and on a fresh one
    shared.publish("cut.a", {"n": 1})
    assert [r.headers["X-ESS-Attempt"] for r in receiver.wait(4)] == ["1", "1", "1", "2"]


def test_connections_are_kept_alive(shared, receiver):
    shared.subscribe("alive", receiver, ["alive.a"])
    for n in range(10):
        shared.publish("alive.a", {"n": n})
    assert len({r.connection for r in receiver.wait(10)}) == 1


def test_a_key_with_null_is_a_tombstone_in_kafka_and_still_delivered(shared, receiver):
    shared.subscribe("tombstone", receiver, ["tombstone.a"])
    cursor = shared.publish("tombstone.a", None, key="k/1", id="t-1", ts="2024-05-07T14:03:11Z")
    keyless = shared.publish("tombstone.a", None)
    first, second = receiver.wait(2)
    assert first.body == (b'{"topic":"tombstone.a","cursor":%d,"prev_cursor":%d,"id":"t-1","key":"k/1","ts":"2024-05-07T14:03:11Z","data":null}'
                          % (cursor, first.json["prev_cursor"]))
    records = {m.offset(): m for m in shared.records("events")}
    assert records[cursor].value() is None and records[cursor].key() == b"tombstone.a/k/1"
    headers = dict(records[cursor].headers())
    assert (headers["ess-v"], headers["ess-topic"], headers["ess-id"], headers["ess-key"]) == (b"1", b"tombstone.a", b"t-1", b"k/1")
    assert records[keyless].key() == b"tombstone.a" and records[keyless].value().endswith(b'"data":null}')
    assert second.json["data"] is None


def test_patterns_choose_what_is_delivered(shared, receiver):
    topics = ["pattern.a", "pattern.a.b", "pattern.c", "other.pattern", "pattern"]
    shared.subscribe("one-segment", receiver.url("/one"), ["pattern.*"])
    shared.subscribe("middle", receiver.url("/middle"), ["pattern.*.b", "pattern.c"])
    shared.subscribe("exact", receiver.url("/exact"), ["pattern"])
    for topic in topics:
        shared.publish(topic, 1)
    expected = {"/one": ["pattern.a", "pattern.a.b", "pattern.c"], "/middle": ["pattern.a.b", "pattern.c"], "/exact": ["pattern"]}
    receiver.wait(6)
    for path, wanted in expected.items():
        assert [r.json["topic"] for r in receiver.requests if r.path == path] == wanted


def test_many_subscribers_each_get_everything_in_order(shared):
    receivers = [shared.receiver() for _ in range(8)]
    for n, receiver in enumerate(receivers):
        shared.subscribe(f"many-{n}", receiver, ["many.a"], wait=False)
    for n in range(8):
        shared.daemons[1].wait_line("subscriber_started", subscriber=f"many-{n}")
    cursors = [shared.publish("many.a", {"n": n}) for n in range(50)]
    for receiver in receivers:
        receiver.wait(50)
        assert receiver.cursors() == cursors
        assert [r.json["prev_cursor"] for r in receiver.requests[1:]] == cursors[:-1]


def test_metrics_count_what_was_done(shared, receiver):
    shared.subscribe("counted", receiver, ["counted.a"])
    before = shared.daemons[1].metrics()
    cursor = shared.publish("counted.a", 1)
    receiver.wait(1)
    settled = 'ess_deliveries_total{outcome="settled"}'
    wait_for(lambda: shared.daemons[1].metrics()[settled] == before[settled] + 1)
    after = shared.daemons[1].metrics()
    assert after["ess_end_to_end_seconds_count"] == before["ess_end_to_end_seconds_count"] + 1
    assert after["ess_feed_cursor"] == cursor and after['ess_subscriber_lag_events{subscriber="counted"}'] == 0
    assert after["ess_kafka_up"] == 1
    ingest = shared.daemons[0].metrics()
    assert ingest["ess_feed_cursor"] == cursor and ingest['ess_publish_total{outcome="created"}'] >= 1
    assert any(name.startswith("ess_build_info{") for name in ingest) and "process_resident_memory_bytes" in ingest
