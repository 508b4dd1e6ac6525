"""The form of a delivery: CloudEvents, read by the public SDKs, and content: id, so that no data leaves."""
import json
import shutil
import subprocess

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event

from aws import Aws, Front
from ess import Answer, wait_for
from test_sns import register as register_sns

CLOUD = {"format": "cloudevents"}
SECRET = "123-45-6789"


def digits(cursor):
    return f"{cursor:020}"


def read(request):
    """The event, by the SDK for Python."""
    return from_structured_event(HTTPMessage(dict(request.headers), request.body))


def feed(ess):
    return ess.daemons[0].lines("ready")[0]["feed"]


def test_the_sdk_for_python_reads_every_attribute(shared, make):
    subscriber = make(["cloud.*"], **CLOUD)
    before = shared.publish("cloud.a", {"copay": 25}, key="00002-8215", id="copay-1", ts="2024-05-07T14:03:11.25+02:00", cursor=77)
    cursor = shared.publish("cloud.b", [1], id="of-its-own")
    first, second = subscriber.receiver.wait(2)
    event = read(first)
    assert first.headers["Content-Type"] == "application/cloudevents+json" and first.headers["X-ESS-Cursor"] == str(before)
    assert (event.get_specversion(), event.get_id(), event.get_source()) == ("1.0", "copay-1", f"ess/{feed(shared)}")
    assert (event.get_type(), event.get_subject(), event.get_datacontenttype()) == ("cloud.a", "00002-8215", "application/json")
    assert event.get_time().isoformat() == "2024-05-07T14:03:11.250000+02:00"
    assert event.get_extension("sequence") == digits(before) and event.get_extension("esssourcecursor") == "77"
    assert event.get_data() == {"copay": 25}
    event = read(second)
    assert event.get_subject() is None and event.get_data() == [1]
    assert event.get_extension("sequence") == digits(cursor) and event.get_extension("essprevcursor") == digits(before)


@pytest.mark.parametrize("data", ["25.00", "9007199254740993123456789", '{"b":1,"a":{ "data" : [1e400, -0] }}', '"\\u00e9 \\/"', "null"])
def test_data_is_copied_byte_for_byte(shared, make, data):
    topic = f"bytes.n{abs(hash(data))}"
    subscriber = make([topic], **CLOUD)
    assert shared.daemons[0].post(f'{{"topic":"{topic}","key":"k","data":{data}}}'.encode()).status == 201
    body = subscriber.receiver.wait(1)[0].body
    assert body.endswith(f'"datacontenttype":"application/json","data":{data}}}'.encode()) and json.loads(body)["subject"] == "k"


@pytest.mark.parametrize("key, subject", [('a"b\\c/d', 'a"b\\c/d'), ("é 😀 %41", "é 😀 %41"), ("tab\tline\n", "tab%09line%0A"), ("k" * 256, "k" * 256)])
def test_a_key_is_the_subject(shared, make, key, subject):
    topic = f"keys.n{abs(hash(key))}"
    subscriber = make([topic], **CLOUD)
    shared.publish(topic, 1, key=key)
    assert read(subscriber.receiver.wait(1)[0]).get_subject() == subject


def test_a_record_of_another_program_becomes_a_valid_cloudevent(shared, make):
    subscriber = make(["strange"], **CLOUD)
    headers = {"ess-v": "1", "ess-topic": "strange", "ess-id": "x", "ess-feed": feed(shared)}
    shared.append("events", "strange", '{"topic":"strange","id":42,"key":{"a":1},"ts":"never","more":[1],"specversion":"9","data":{"n":1}}',
                  headers=list(headers.items()))
    request = subscriber.receiver.wait(1)[0]
    assert {name: value for name, value in read(request).get_attributes().items() if name not in ("sequence", "essprevcursor", "time")} == {
        "specversion": "1.0", "id": "42", "source": f"ess/{feed(shared)}", "type": "strange", "datacontenttype": "application/json"}


def test_a_test_delivery_has_no_sequence(shared, make):
    subscriber = make(["tested"], **CLOUD)
    generation = subscriber.call("test", {"topic": "tested", "data": {"hello": "world"}})
    event = read(subscriber.receiver.wait(1)[0])
    assert event.get_id() == f"ess-test-{generation}" and event.get_data() == {"hello": "world"}
    assert not {"sequence", "essprevcursor"} & set(event.get_attributes())


def test_with_content_id_no_data_leaves_in_either_format(shared, make):
    own, cloud = make(["private"], content="id"), make(["private"], content="id", **CLOUD)
    cursor = shared.publish("private", {"ssn": SECRET}, key="k", id="private-1")
    own.call("test", {"topic": "private", "data": {"ssn": SECRET}})
    requests = own.receiver.wait(2) + cloud.receiver.wait(1)
    assert not any(SECRET.encode() in request.body for request in requests)
    assert {name: value for name, value in requests[0].json.items() if name not in ("prev_cursor", "ts")} == {
        "topic": "private", "cursor": cursor, "id": "private-1", "key": "k"}
    assert requests[0].headers["Content-Type"] == "application/json"
    event = read(requests[2])
    assert event.get_data() is None and event.get_datacontenttype() is None and b'"data' not in requests[2].body
    assert event.get_extension("sequence") == digits(cursor)
    replayed = shared.daemons[0].replay(cursor - 1, topics="private").json["events"]
    assert replayed[0]["id"] == event.get_id() and replayed[0]["data"] == {"ssn": SECRET}


def test_a_dead_letter_keeps_esss_own_form_and_its_redrive_the_subscribers(shared, make):
    subscriber = make(["dead"], content="id", **CLOUD)
    subscriber.receiver.answers(422)
    cursor = shared.publish("dead", {"ssn": SECRET}, id="dead-1")
    path = f"/ess/subscribers/{subscriber.id}/dead-letters"
    letter = wait_for(lambda: shared.daemons[0].get(path).json["dead_letters"])[0]
    assert letter["event"]["data"] == {"ssn": SECRET} and letter["event"]["cursor"] == letter["cursor"] == cursor
    subscriber.call("redrive", {})
    again = subscriber.receiver.wait(2)[1]
    event = read(again)
    assert event.get_id() == "dead-1" and event.get_extension("sequence") == digits(cursor)
    assert event.get_extension("essprevcursor") is None and SECRET.encode() not in again.body and again.headers["X-ESS-Replay"]


def test_a_retry_has_the_same_bytes_and_a_signature_that_fits(shared, make):
    subscriber = make(["again"], backoff_min="20ms", backoff_max="50ms", **CLOUD)
    subscriber.receiver.answers(503, 500)
    shared.publish("again", {"n": 1})
    requests = subscriber.receiver.wait(3)
    assert len({request.body for request in requests}) == 1 and [request.headers["X-ESS-Attempt"] for request in requests] == ["1", "2", "3"]


def test_a_put_changes_the_form_of_what_waits(shared, make):
    subscriber = make(["changed"], backoff_min="20ms", backoff_max="50ms", max_attempts=1000)
    subscriber.receiver.answer = lambda request: Answer(200 if "cloudevents" in request.headers["Content-Type"] else 500)
    cursor = shared.publish("changed", {"ssn": SECRET})
    subscriber.receiver.wait(1)
    subscriber.replace(format="cloudevents", content="id")
    request = wait_for(lambda: [one for one in subscriber.receiver.requests if "cloudevents" in one.headers["Content-Type"]])[0]
    assert read(request).get_extension("sequence") == digits(cursor) and SECRET.encode() not in request.body
    shown = subscriber.show()
    assert (shown["format"], shown["content"]) == ("cloudevents", "id")
    subscriber.replace(format=None, content=None)
    assert not {"format", "content"} & set(subscriber.show())
    wait_for(lambda: subscriber.status()["cursor"] >= cursor)


def test_a_file_may_have_them_and_a_bad_one_is_named_with_its_line(shared):
    receiver = shared.receiver()
    shared.subscribe("filed", receiver, ["filed"], format="cloudevents", content="id")
    shared.publish("filed", {"ssn": SECRET})
    assert read(receiver.wait(1)[0]).get_type() == "filed"
    shared.allow("bad_subscriber_file")
    shared.write("bad.yml", f"id: bad\nurl: {receiver.url()}\ntopics: [a]\nsecret: x\nformat: xml\n")
    line = shared.daemons[0].wait_line("bad_subscriber_file")
    assert "bad.yml:5: format: must be ess or cloudevents" in line["reason"]


@pytest.mark.parametrize("field, value, reason", [("format", "CloudEvents", "must be ess or cloudevents"), ("content", None, "must be full or id")])
def test_a_bad_value_is_refused_with_its_field(shared, field, value, reason):
    answer = shared.daemons[0].post(json.dumps({"url": shared.receiver().url(), "topics": ["a"], field: value}), "/register")
    assert answer.status == 400 and answer.json["field"] == field and reason in answer.json["detail"]


def test_a_topic_of_sns_gets_the_same_form(tmp_path_factory, shared):
    aws = Aws(tmp_path_factory.mktemp("aws"))
    try:
        topic = aws.topic("cloud.fifo")
        register_sns(shared, "cloud-sns", topic, Front(aws, shared.receiver()), ["notified"], content="id", **CLOUD)
        cursor = shared.publish("notified", {"ssn": SECRET}, key="k")
        message = topic.wait(1)[0]
        assert json.loads(message["Body"]) | {"time": ""} == {
            "specversion": "1.0", "id": message["MessageAttributes"]["ess-id"]["StringValue"], "source": f"ess/{feed(shared)}",
            "type": "notified", "subject": "k", "time": "", "sequence": digits(cursor),
            "essprevcursor": digits(int(message["MessageAttributes"]["ess-prev-cursor"]["StringValue"]))}
        assert message["Attributes"]["MessageGroupId"] == "k"
    finally:
        aws.stop()


READ = """
import { HTTP } from 'cloudevents'
const shown = ({ headers, body }) => {
  const event = HTTP.toEvent({ headers, body })
  return { ...event, time: event.time, strict: event.validate() }
}
console.log(JSON.stringify(JSON.parse(process.argv[2]).map(shown)))
"""


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not on this machine")
def test_the_sdk_for_javascript_reads_them(shared, make, tmp_path):
    words = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", tmp_path, "cloudevents@8.0.3"]
    subprocess.run(words, check=True, timeout=120)
    program = tmp_path / "read.mjs"
    program.write_text(READ)
    full, by_id = make(["js"], **CLOUD), make(["js"], content="id", **CLOUD)
    before = shared.publish("js", {"copay": 25}, key="00002-8215", ts="2024-05-07T14:03:11.250Z", id="js-1")
    cursor = shared.publish("js", None, key="00002-8215", id="js-2")
    requests = full.receiver.wait(2) + by_id.receiver.wait(2)
    asked = [{"headers": dict(request.headers), "body": request.body.decode()} for request in requests]
    done = subprocess.run(["node", program, json.dumps(asked)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    events = json.loads(done.stdout)
    assert all(event["strict"] is True and event["source"] == f"ess/{feed(shared)}" and event["type"] == "js" for event in events)
    assert [event["id"] for event in events] == ["js-1", "js-2"] * 2 and events[0]["time"] == "2024-05-07T14:03:11.250Z"
    assert events[0]["data"] == {"copay": 25} and events[1].get("data") is None and events[2].get("data") is None
    assert [event["sequence"] for event in events[:2]] == [digits(before), digits(cursor)] and events[1]["essprevcursor"] == digits(before)
