"""A subscriber that is a topic of AWS SNS: what arrives in a queue behind it, in which order, and what each of SNS's answers leads to."""
import collections
import json
import os
import threading

import pytest
from standardwebhooks import Webhook

import ess as words
from aws import KEY, Aws, Front, attributes, error, form
from conftest import running_on_shared
from ess import Answer, wait_for

EVENTS = int(os.environ.get("SNS_EVENTS", 400))  # through a kill


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    aws = Aws(tmp_path_factory.mktemp("aws"))
    yield aws
    aws.stop()


@pytest.fixture
def front(shared, aws):
    return Front(aws, shared.receiver())


def spec_of(id, topic, front, topics, **fields):
    sns = {"topic_arn": topic if isinstance(topic, str) else topic.arn, "endpoint": front.endpoint, **KEY, **fields.pop("sns", {})}
    return {"id": id, "topics": topics, "backoff_min": "20ms", "backoff_max": "50ms", "sns": sns, **fields}


def register(ess, id, topic, front, topics, **fields):
    answer = ess.daemons[0].post(json.dumps(spec_of(id, topic, front, topics, **fields)), "/register")
    assert answer.status == 201, answer
    return answer.json


def shown(ess, id):
    return ess.daemons[0].get(f"/ess/subscribers/{id}").json


def status(ess, id):
    return ess.daemons[0].status(id)


def command(ess, id, name, **body):
    return ess.daemons[0].command(id, name, body)


def last_error(ess, id, part):
    return wait_for(lambda: part in status(ess, id).get("last_error", ""), told=lambda: status(ess, id))


def test_an_event_arrives_in_the_queue_with_its_attributes_and_a_signature_that_verifies(shared, aws, front):
    topic = aws.topic("plain")
    made = register(shared, "plain", topic, front, ["plain.*"])
    first = shared.publish("plain.a", {"copay": "25 €", "sign": "a+b&c=d%"})
    second = shared.publish("plain.b", {"copay": 26}, id="of-its-own")
    messages = sorted(topic.wait(2), key=lambda m: json.loads(m["Body"])["cursor"])
    bodies = [json.loads(message["Body"]) for message in messages]
    assert [body["cursor"] for body in bodies] == [first, second]
    assert bodies[0]["data"] == {"copay": "25 €", "sign": "a+b&c=d%"}
    for message, body in zip(messages, bodies):
        found = attributes(message)
        assert {name: value for name, value in found.items() if name not in ("ess-signature", "ess-timestamp")} == {
            "ess-topic": body["topic"], "ess-cursor": str(body["cursor"]), "ess-prev-cursor": str(body["prev_cursor"]), "ess-id": body["id"]}
        Webhook(made["whsec"]).verify(message["Body"], {"webhook-id": found["ess-id"], "webhook-timestamp": found["ess-timestamp"],
                                                        "webhook-signature": found["ess-signature"]})
    assert attributes(messages[1])["ess-id"] == "of-its-own" and bodies[1]["prev_cursor"] == first


def test_a_fifo_topic_keeps_each_keys_order_and_takes_an_event_once(shared, aws, front):
    topic = aws.topic("ordered.fifo")
    register(shared, "ordered", topic, front, ["ordered"])
    lost = [True]

    def answer(request):
        """The answer to the third is lost, though SNS has it."""
        taken = front.answer(request)
        return Answer(cut=True) if len(front.receiver.requests) == 3 and lost.pop() else taken

    front.receiver.answer = answer
    cursors = [shared.publish("ordered", {"n": n}, key=f"key {n % 2}" if n < 6 else "key-2") for n in range(9)]
    cursors.append(shared.publish("ordered", {"n": 9}))
    messages = topic.wait(10)
    wait_for(lambda: status(shared, "ordered")["cursor"] >= cursors[-1])
    assert [json.loads(message["Body"])["cursor"] for message in topic.receive()] == cursors, "one is there twice, or out of order"
    assert len(front.receiver.requests) == 11
    groups = [message["Attributes"]["MessageGroupId"] for message in messages]
    assert len(set(groups)) == 4 and groups[0] == groups[2] and groups[0].startswith("sha256-") and groups[6:] == ["key-2"] * 3 + ["ordered"]


def test_a_replay_and_a_redrive_get_through_the_deduplication(shared, aws, front):
    topic = aws.topic("again.fifo")
    register(shared, "again", topic, front, ["again"])
    front.first(error(400, "InvalidParameter", "Invalid parameter: Message Reason: not taken"))
    cursors = [shared.publish("again", {"n": n}) for n in range(3)]
    topic.wait(2)
    wait_for(lambda: status(shared, "again")["dead_lettered"] == 1)
    letter = shared.daemons[0].get("/ess/subscribers/again/dead-letters").json["dead_letters"][0]
    assert letter["cursor"] == cursors[0] and letter["reason"] == "refused" and letter["status"] == 400
    assert letter["error"] == "InvalidParameter: Invalid parameter: Message Reason: not taken"
    redriven = command(shared, "again", "redrive")["generation"]
    assert attributes(topic.wait(3)[2])["ess-replay"] == str(redriven)
    job = command(shared, "again", "replay", **{"from": cursors[0] - 1, "to": cursors[2]})["generation"]
    replayed = topic.wait(6)[3:]
    assert [json.loads(message["Body"])["cursor"] for message in replayed] == cursors
    assert {attributes(message)["ess-replay"] for message in replayed} == {str(job)}
    command(shared, "again", "test", topic="again", data={"is": "a test"})
    test = topic.wait(7)[6]
    assert json.loads(test["Body"])["data"] == {"is": "a test"} and "ess-cursor" not in attributes(test)


def test_throttling_pauses_the_endpoint_and_costs_nothing(shared, aws, front):
    topic = aws.topic("throttled")
    register(shared, "throttled", topic, front, ["throttled"])
    front.first(error(400, "Throttling", "Rate exceeded"), error(429, "ThrottledException", "Rate exceeded"), Answer(503))
    cursors = [shared.publish("throttled", {"n": n}) for n in range(3)]
    assert sorted(json.loads(message["Body"])["cursor"] for message in topic.wait(3)) == cursors
    wait_for(lambda: status(shared, "throttled")["cursor"] >= cursors[-1])
    attempts = shared.daemons[0].get("/ess/subscribers/throttled/attempts").json["attempts"][::-1]
    assert [attempt["status"] for attempt in attempts] == [400, 429, 503]
    assert attempts[0]["error"] == "Throttling: SNS asks for a pause" and "error" not in attempts[2]
    assert status(shared, "throttled")["dead_lettered"] == 0


def test_a_missing_topic_is_named_and_its_event_arrives_once_it_is_there(shared, aws, front):
    register(shared, "missing", "arn:aws:sns:us-east-1:123456789012:missing", front, ["missing"], exhausted="wait", max_attempts=1000)
    cursor = shared.publish("missing", {"n": 1})
    last_error(shared, "missing", "NotFound: the topic does not exist")
    front.receiver.answer = lambda request: Answer(503)  # until the queue has subscribed
    topic = aws.topic("missing")
    front.receiver.answer = front.answer
    assert json.loads(topic.wait(1)[0]["Body"])["cursor"] == cursor


@pytest.mark.parametrize("wrong,code", [({"access_key_id": "AKIAOTHER"}, "InvalidClientTokenId"), ({"secret_access_key": "guessed"}, "SignatureDoesNotMatch")])
def test_wrong_credentials_are_named_and_new_ones_are_used_at_once(shared, aws, front, wrong, code):
    name = code.lower()
    topic = aws.topic(name)
    register(shared, name, topic, front, [name], sns=wrong, backoff_min="1h", backoff_max="1h")
    cursor = shared.publish(name, {"n": 1})
    last_error(shared, name, f"{code}: ")
    fields = spec_of(name, topic, front, [name])
    answer = shared.daemons[0].request("PUT", f"/ess/subscribers/{name}", json.dumps(fields))
    assert answer.status == 202, answer
    assert json.loads(topic.wait(1)[0]["Body"])["cursor"] == cursor


def test_an_expired_session_token_is_named_until_a_new_one_is_given(shared, aws, front):
    topic = aws.topic("session")
    front.token = "FwoGZ/the+token=="
    register(shared, "session", topic, front, ["session"], sns={"session_token": front.token})
    shared.publish("session", {"n": 1})
    topic.wait(1)
    old, front.token = front.token, "a-new-token"
    front.receiver.answer = lambda request: error(403, "ExpiredToken", "The security token included in the request is expired") \
        if request.headers["x-amz-security-token"] == old else front.answer(request)
    cursor = shared.publish("session", {"n": 2})
    last_error(shared, "session", "ExpiredToken: the session token has expired")
    assert status(shared, "session")["dead_lettered"] == 0
    fields = spec_of("session", topic, front, ["session"], sns={"session_token": front.token})
    assert shared.daemons[0].request("PUT", "/ess/subscribers/session", json.dumps(fields)).status == 202
    assert json.loads(topic.wait(2)[1]["Body"])["cursor"] == cursor


def test_an_event_above_256_kib_with_its_attributes_is_dead_lettered_unsent(shared, aws, front):
    topic = aws.topic("large")
    register(shared, "large", topic, front, ["large"])
    fits = shared.publish("large", "x" * (255 * 1024))
    large = shared.publish("large", "x" * (256 * 1024 - 10))
    after = shared.publish("large", "small")
    wait_for(lambda: status(shared, "large")["cursor"] >= after)
    assert sorted(json.loads(message["Body"])["cursor"] for message in topic.wait(2)) == [fits, after]
    letter = shared.daemons[0].get("/ess/subscribers/large/dead-letters").json["dead_letters"][0]
    assert letter["cursor"] == large and letter["reason"] == "refused"
    assert "bytes with its attributes; SNS takes 262144" in letter["error"]
    assert len(front.receiver.requests) == 2


def test_secrets_are_shown_by_name_sealed_in_kafka_and_kept_by_put(shared, aws, front):
    topic = aws.topic("kept")
    front.token = "the-session-token"
    register(shared, "kept", topic, front, ["kept"], sns={"session_token": front.token})
    fields = shown(shared, "kept")
    assert fields["sns"] == {"topic_arn": topic.arn, "endpoint": front.endpoint, "access_key_id": KEY["access_key_id"],
                             "secrets": ["secret_access_key", "session_token"]}
    secrets = [KEY["secret_access_key"].encode(), front.token.encode()]
    for message in shared.records("subscribers"):
        assert not any(secret in (message.value() or b"") for secret in secrets)
    answer = shared.daemons[0].request("PUT", "/ess/subscribers/kept", json.dumps({**fields, "throttle": 100}))
    assert answer.status == 202, answer
    wait_for(lambda: shown(shared, "kept").get("throttle") == 100)
    assert shown(shared, "kept")["sns"] == fields["sns"]
    shared.publish("kept", {"n": 1})
    topic.wait(1)
    for text in (daemon.text() for daemon in shared.daemons):
        assert not any(secret.decode() in text for secret in secrets)
    other = shared.receiver()
    for sns in ({"endpoint": other.url("")}, {"topic_arn": topic.arn.replace("123456789012", "999999999999")}):
        answer = shared.daemons[0].request("PUT", "/ess/subscribers/kept", json.dumps({**fields, "sns": {**fields["sns"], **sns}, "secret": "new"}))
        assert answer.status == 400 and answer.json["field"] == "sns", answer
    assert not other.requests


BAD = [
    ({"url": "https://vendor.example/hook"}, {}, "sns", "must not stand beside url"),
    ({"headers": {"x": "y"}}, {}, "headers", "must not stand beside sns"),
    ({}, {"topic_arn": "drugs"}, "sns.topic_arn", "must be as in arn:aws:sns:us-east-1:123456789012:topic"),
    ({}, {"topic_arn": "arn:aws-iso:sns:us-iso-east-1:123456789012:t"}, "sns.topic_arn", "is of the partition \"aws-iso\""),
    ({}, {"topic_arn": "arn:aws:sqs:us-east-1:123456789012:t"}, "sns.topic_arn", "is of the service \"sqs\", not of sns"),
    ({}, {"topic_arn": "arn:aws:sns:cn-north-1:123456789012:t"}, "sns.topic_arn", "has a region of another partition"),
    ({}, {"topic_arn": "arn:aws:sns:us-east-1:1234:t"}, "sns.topic_arn", "has no account of 12 digits"),
    ({}, {"topic_arn": "arn:aws:sns:us-east-1:123456789012:t:5ea3"}, "sns.topic_arn", "names a subscription"),
    ({}, {"region": "cn-north-1"}, "sns.region", "is of another partition than topic_arn"),
    ({}, {"endpoint": "http://127.0.0.1:1"}, "sns.endpoint", "must begin with https://"),
    ({}, {"endpoint": "https://10.0.0.1"}, "sns.endpoint", "is not a public address"),
    ({}, {"endpoint": "https://sns.example/path"}, "sns.endpoint", "must have no path"),
    ({}, {"secret_access_key": None}, "sns.secret_access_key", "must be text"),
    ({}, {"session_token": "a b"}, "sns.session_token", "may hold only printable ASCII"),
    ({}, {"batch": 5}, "sns.batch", "is no field of sns"),
]


@pytest.mark.parametrize("fields,sns,field,reason", BAD, ids=[f"{case[2]}-{n}" for n, case in enumerate(BAD)])
def test_a_bad_spec_is_refused_with_its_place(shared, front, fields, sns, field, reason):
    spec = spec_of("bad", "arn:aws:sns:us-east-1:123456789012:t", front, ["bad"], sns=sns, **fields)
    answer = shared.daemons[0].post(json.dumps(spec), "/register")
    assert answer.status == 400 and answer.json["field"] == field and reason in answer.json["detail"], answer
    assert KEY["secret_access_key"] not in answer.body.decode()
    assert shared.daemons[0].get("/ess/subscribers/bad").status == 404


def test_a_file_and_the_dispatchers_own_credentials(tmp_path_factory, broker, ca, aws, monkeypatch):
    with running_on_shared(tmp_path_factory.mktemp("own"), broker, ca) as ess:
        front, topic = Front(aws, ess.receiver()), aws.topic("own")
        monkeypatch.delitem(words.ENVIRONMENT, "AWS_ACCESS_KEY_ID", raising=False)
        ess.ingest()
        dispatcher = ess.dispatcher()
        file = f"id: own\ntopics: [own]\nsecret: s3cr3t\nbackoff_max: 1s\nsns:\n  topic_arn: {topic.arn}\n  endpoint: %s\n"
        ess.write("own.yml", file % "http://127.0.0.1:1")
        line = ess.daemons[0].wait_line("bad_subscriber_file")
        assert ":7: sns.endpoint: must begin with https://" in line["reason"]
        ess.allow("bad_subscriber_file")
        ess.write("own.yml", file % front.endpoint)
        wait_for(lambda: ess._settled("own"))
        cursor = ess.publish("own", {"n": 1})
        last_error(ess, "own", "no AWS credentials: give the subscriber its own, or set AWS_ACCESS_KEY_ID")
        assert not front.receiver.requests
        dispatcher.term()
        front.token = "of-the-environment"
        for name, value in (("ACCESS_KEY_ID", KEY["access_key_id"]), ("SECRET_ACCESS_KEY", KEY["secret_access_key"]), ("SESSION_TOKEN", front.token)):
            monkeypatch.setitem(words.ENVIRONMENT, f"AWS_{name}", value)
        dispatcher.start()
        assert json.loads(topic.wait(1)[0]["Body"])["cursor"] == cursor


def test_a_webhook_becomes_a_topic_and_back(shared, aws, front):
    topic, hook = aws.topic("both"), shared.receiver()
    hook.answer = lambda request: Answer(503)
    put = {"id": "both", "topics": ["both"], "secret": "s3cr3t", "backoff_min": "1h", "backoff_max": "1h"}
    assert shared.daemons[0].post(json.dumps({**put, "url": hook.url()}), "/register").status == 201
    first = shared.publish("both", {"n": 1})
    hook.wait(1)
    sns = spec_of("both", topic, front, ["both"], secret="s3cr3t")
    assert shared.daemons[0].request("PUT", "/ess/subscribers/both", json.dumps(sns)).status == 202
    assert json.loads(topic.wait(1)[0]["Body"])["cursor"] == first
    front.receiver.answer = lambda request: Answer(hang=True)
    second = shared.publish("both", {"n": 2})
    front.receiver.wait(2)
    hook.answer = lambda request: Answer()
    assert shared.daemons[0].request("PUT", "/ess/subscribers/both", json.dumps({**put, "url": hook.url()})).status == 202
    front.receiver.release()
    wait_for(lambda: second in hook.cursors())


def test_a_rotation_signs_with_both_secrets(shared, aws, front):
    topic = aws.topic("rotated")
    old = register(shared, "rotated", topic, front, ["rotated"])["whsec"]
    new = command(shared, "rotated", "rotate", overlap="1h")
    wait_for(lambda: status(shared, "rotated")["generation"] >= new["generation"])
    shared.publish("rotated", {"n": 1})
    message = topic.wait(1)[0]
    found = attributes(message)
    headers = {"webhook-id": found["ess-id"], "webhook-timestamp": found["ess-timestamp"], "webhook-signature": found["ess-signature"]}
    for secret in (old, new["whsec"]):
        Webhook(secret).verify(message["Body"], headers)


@pytest.mark.timeout(180 + EVENTS // 5)
@pytest.mark.parametrize("name", ["killed", "killed.fifo"])
def test_none_is_missing_after_a_kill_in_the_middle(ess, aws, name):
    """FIFO: in order, each once, though some were sent twice. Else: each at least once, and never more often than it was sent.

    moto is slow with a long queue, so it is emptied while it fills; but then moto forgets the deduplication ids, which SQS keeps for five
    minutes."""
    patience, emptied = 60 + EVENTS // 10, EVENTS > 1000
    ess.ingest()
    dispatcher = ess.dispatcher()
    front, topic = Front(aws, ess.receiver()), aws.topic(name)
    register(ess, "killed", topic, front, ["killed"], ordering="strict" if name.endswith(".fifo") else "none")
    cursors = []
    publisher = threading.Thread(target=lambda: cursors.extend(ess.publish("killed", {"n": n}, key=f"key-{n % 7}") for n in range(EVENTS)), daemon=True)
    publisher.start()
    wait_for(lambda: (not emptied or topic.receive()) and len(front.receiver.requests) >= EVENTS // 2, patience)
    dispatcher.kill9()
    assert len(front.receiver.requests) < EVENTS, "it was not in the middle"
    publisher.join()
    dispatcher.start()
    wait_for(lambda: (not emptied or topic.receive()) and status(ess, "killed")["cursor"] >= cursors[-1], patience, lambda: status(ess, "killed"))
    sent = collections.Counter(json.loads(form(request)["Message"])["cursor"] for request in front.receiver.requests)
    found = [json.loads(message["Body"])["cursor"] for message in topic.receive()]
    print(f"{name}: events={EVENTS} requests={sent.total()} in_the_queue={len(found)} twice={len(found) - len(set(found))}")
    assert set(found) == set(cursors)
    if name.endswith(".fifo"):
        ids = dict.fromkeys(message["Attributes"]["MessageDeduplicationId"] for message in topic.messages)
        assert [int(id.rsplit("-", 1)[1]) for id in ids] == cursors
        assert emptied or found == cursors
        times = collections.defaultdict(list)
        for request in front.receiver.requests:
            times[form(request)["MessageDeduplicationId"]].append(request.at)
        assert len(times) == EVENTS and all(at[-1] - at[0] < 300 for at in times.values())
    assert collections.Counter(found) <= sent


# --- batches


def entries(request):
    """The messages of a PublishBatch."""
    fields, found = form(request), []
    assert fields["Action"] == "PublishBatch"
    while (body := fields.get(f"PublishBatchRequestEntries.member.{len(found) + 1}.Message")) is not None:
        found.append(json.loads(body))
    return found


def data_of(found):
    return [event["data"] for event in found]


def paused(ess, id, topic, front, topics, **fields):
    register(ess, id, topic, front, topics, **fields)
    generation = command(ess, id, "pause")["generation"]
    wait_for(lambda: status(ess, id)["generation"] >= generation)


def resume(ess, id):
    """Once the dispatcher has read all that was published: so the first batch is full."""
    end = ess.daemons[0].metrics()["ess_feed_cursor"]
    wait_for(lambda: ess.daemons[1].metrics()["ess_feed_cursor"] >= end)
    command(ess, id, "resume")


def partly(taken, failed):
    """The answer to a PublishBatch that took some entries; failed: {entry: code}."""
    some = "".join(f"<member><Id>{entry}</Id><MessageId>m-{entry}</MessageId></member>" for entry in taken)
    rest = "".join(f"<member><Id>{entry}</Id><Code>{code}</Code><Message>words</Message><SenderFault>true</SenderFault></member>"
                   for entry, code in failed.items())
    body = (f'<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Successful>{some}</Successful>'
            f"<Failed>{rest}</Failed></PublishBatchResult></PublishBatchResponse>")
    return Answer(200, {"Content-Type": "text/xml"}, body.encode())


def test_a_batch_of_events_is_a_publish_batch_and_each_arrives_signed(shared, aws, front):
    topic = aws.topic("many")
    paused(shared, "many", topic, front, ["many"], batch={"max_events": 100})
    cursors = [shared.publish("many", n, id=f'many"{n}') for n in range(25)]
    resume(shared, "many")
    messages = sorted(topic.wait(25), key=lambda m: json.loads(m["Body"])["cursor"])
    assert [json.loads(message["Body"])["cursor"] for message in messages] == cursors
    assert [len(entries(request)) for request in front.receiver.requests] == [10, 10, 5]
    for n, message in enumerate(messages):
        found = attributes(message)
        assert (found["ess-cursor"], found["ess-id"], found["ess-topic"]) == (str(cursors[n]), f'many"{n}', "many")
    wait_for(lambda: status(shared, "many")["delivered"] == 25)


def test_entries_that_fail_are_treated_each_by_its_code(shared, aws, front):
    topic = aws.topic("partly")
    paused(shared, "partly", topic, front, ["partly"], batch={})
    front.first(partly([0, 2, 4], {1: "InvalidParameter", 3: "InternalError", 5: "InternalError"}), partly([0], {1: "Throttled"}))
    cursors = [shared.publish("partly", n) for n in range(6)]
    resume(shared, "partly")
    wait_for(lambda: status(shared, "partly")["delivered"] == 5)
    assert [data_of(entries(request)) for request in front.receiver.requests] == [[0, 1, 2, 3, 4, 5], [3, 5], [5]]
    letter, = [json.loads(m.value()) for m in shared.records("dlq") if m.key() == b"partly"]
    assert (letter["cursor"], letter["reason"], letter["event"]["data"]) == (cursors[1], "refused", 1)
    assert letter["error"].startswith("InvalidParameter")
    assert status(shared, "partly")["dead_lettered"] == 1


def test_a_request_to_a_fifo_topic_ends_before_the_second_event_of_a_group(shared, aws, front):
    topic = aws.topic("groups.fifo")
    paused(shared, "groups", topic, front, ["groups"], batch={})
    cursors = [shared.publish("groups", n, key=f"k{n % 3}" if n < 9 else "k0") for n in range(12)]
    resume(shared, "groups")
    topic.wait(12)
    assert [json.loads(message["Body"])["cursor"] for message in topic.receive()] == cursors
    wait_for(lambda: status(shared, "groups")["delivered"] == 12)
    assert [data_of(entries(request)) for request in front.receiver.requests] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9], [10], [11]]


def test_fifo_order_holds_over_entries_that_fail_and_answers_that_are_lost(shared, aws, front):
    topic = aws.topic("rough.fifo")
    paused(shared, "rough", topic, front, ["rough"], batch={}, ordering="key", max_attempts=1000)
    turn = [0]

    def answer(request):
        """Of every third request the answer is lost, though SNS has taken it; of every third nothing is taken."""
        turn[0] += 1
        if turn[0] % 3 == 1:
            return error(500, "InternalFailure", "again")
        taken = front.answer(request)
        return Answer(cut=True) if turn[0] % 3 == 0 else taken

    front.receiver.answer = answer
    for n in range(60):
        shared.publish("rough", n, key=f"k{n % 7}")
    resume(shared, "rough")
    wait_for(lambda: status(shared, "rough")["delivered"] == 60)
    found = [json.loads(message["Body"]) for message in topic.wait(60)]
    for key in range(7):
        assert [event["data"] for event in found if event["key"] == f"k{key}"] == list(range(key, 60, 7))


def test_an_event_too_large_for_sns_is_the_only_one_of_its_batch_that_is_given_up(shared, aws, front):
    topic = aws.topic("toolarge")
    paused(shared, "toolarge", topic, front, ["toolarge"], batch={"max_bytes": "4MiB"})
    sizes = [10, 90000, 255 * 1024, 90000, 90000, 10]
    cursors = [shared.publish("toolarge", "x" * size) for size in sizes]
    resume(shared, "toolarge")
    wait_for(lambda: status(shared, "toolarge")["delivered"] + status(shared, "toolarge")["dead_lettered"] == 6)
    found = {json.loads(message["Body"])["cursor"] for message in topic.wait(5)}
    lost = [json.loads(m.value())["cursor"] for m in shared.records("dlq") if m.key() == b"toolarge"]
    assert found | set(lost) == set(cursors) and len(lost) <= 1
    assert all(sum(len(json.dumps(e)) for e in entries(request)) <= 256 * 1024 for request in front.receiver.requests if len(entries(request)) > 1)
