"""The PII filter: what its rules take out of an event is stored nowhere, and the rest stays as it was sent."""
import hashlib
import hmac
import json
import time

import pytest

from ess import ROOT, wait_for

RULES = """\
hash_key: a key of the file
rules:
  - name: patients
    topics: ["appointment.*"]
    paths: [patient.ssn, "patients[*].dob"]
    action: drop
  - name: members
    topics: ["appointment.*"]
    paths: [member.id]
    action: hash
  - name: forms
    topics: ["*"]
    detect: [ssn, email, phone, card]
    action: mask
"""
PLANTED = ["123-45-6789", "987 65 4321", "ann.o-neil@example.org", "(555) 867-5309", "4111 1111 1111 1111", "1971-02-03", "M-77-1234"]


@pytest.fixture
def rules(ess):
    path = ess.folder / "pii.yml"
    path.write_text(RULES)
    return path


def hashed(text):
    return hmac.new(b"a key of the file", text.encode(), hashlib.sha256).hexdigest()


def sent(**data):
    return json.dumps({"topic": "appointment.made", "data": data})


def stored(ess):
    return [json.loads(record.value())["data"] for record in ess.records("events")[1:]]


def test_planted_values_are_found_nowhere(ess, rules):
    ingest, receiver = ess.ingest({"pii.file": rules}), ess.receiver()
    dispatcher = ess.dispatcher()
    ess.subscribe("md-mm1", receiver, ["*"])
    bodies = [
        sent(patient={"ssn": "123-45-6789", "n": 1}, patients=[{"dob": "1971-02-03"}, [{"dob": ["1971-02-03"], "x": 2}]]),
        sent(patient=[{"ssn": 123456789}], member={"id": "M-77-1234"}, note="mail ann.o-neil@example.org or (555) 867-5309, ok?"),
        '{"topic":"appointment.made","data":{"p\\u0061tient":{"s\\u0073n":"987 65 4321","k":"\\u0031\\u00323-45-6789 4111 1111 1111 1111"}}}',
        json.dumps({"topic": "other", "data": "987 65 4321", "key": "k", "id": "form"}),
    ]
    answers = [ingest.post(body) for body in bodies]
    answers.append(ingest.post("[" + ",".join(bodies) + "]"))
    answers.append(ingest.post("\n".join(bodies[:3]), **{"Content-Type": "application/x-ndjson"}))
    # refused ones, too
    answers.append(ingest.post(sent(patient={"ssn": "123-45-6789"}, x=1)[:-1]))
    answers.append(ingest.post(json.dumps({"topic": "other", "data": "mail ann.o-neil@example.org", "id": "form"})))
    assert [answer.status for answer in answers] == [201] * 6 + [400, 409], answers
    webhooks = receiver.wait(10)
    answers += [ingest.replay(), ingest.get("/ess/poll?cursor=0"), ingest.get("/metrics"), dispatcher.get("/metrics"), ingest.get("/ess/subscribers/md-mm1")]
    seen = [answer.body for answer in answers] + [webhook.body for webhook in webhooks] + [d.log.read_bytes() for d in (ingest, dispatcher)]
    for name in ("events", "subscribers", "tokens", "dlq"):
        for record in ess.records(name):
            seen += [record.key() or b"", record.value() or b"", *(value for _, value in record.headers() or [])]
    for planted in PLANTED:
        found = [text for text in seen if planted.encode() in text or json.dumps(planted)[1:-1].encode() in text]
        assert not found, (planted, found)
    first = [{"patient": {"n": 1}, "patients": [{}, [{"x": 2}]]},
             {"patient": [{}], "member": {"id": hashed("M-77-1234")}, "note": "mail *** or ***, ok?"}, {"patient": {"k": "*** ***"}}, "***"]
    assert stored(ess) == first + first[:3] + first[:3]


def test_test_deliveries_are_filtered_too(ess, rules):
    ingest, receiver = ess.ingest({"pii.file": rules}), ess.receiver()
    ess.dispatcher()
    ess.subscribe("md-mm1", receiver, ["appointment.made"])
    data = {"patient": {"ssn": 1}, "patients": {"dob": "1971-02-03"}, "x": "call (555) 867-5309", "4111 1111 1111 1111": 1}
    answer = ingest.post(json.dumps({"data": data}), "/ess/subscribers/md-mm1/test")
    assert answer.status == 202, answer
    assert receiver.wait(1)[0].json["data"] == {"patient": {}, "patients": {}, "x": "call ***"}
    values = [record.value() or b"" for record in ess.records("subscribers")] + [ingest.log.read_bytes()]
    assert not any(planted in value for value in values for planted in (b"1971-02-03", b"867-5309", b"4111 1111"))
    assert ingest.wait_line("pii_filtered")["id"] == "test"


def test_the_sample_of_the_documents_is_taken(ess):
    text = (ROOT / "docs/pii.md").read_text()
    path = ess.folder / "sample.yml"
    path.write_text(text.split("```yaml\n")[1].split("```")[0])
    ingest = ess.ingest({"pii.file": path})
    data = {"patient": {"ssn": "x", "name": "y"}, "memberId": "M1", "note": "call 555-867-5309", "card": 4111111111111111}
    assert ingest.post(sent(**data)).status == 201
    key = path.read_text().split('"')[1]
    member = hmac.new(key.encode(), b"M1", hashlib.sha256).hexdigest()
    assert stored(ess) == [{"patient": {"name": "y"}, "memberId": member, "note": "call ***", "card": "***"}]


def test_a_filtered_event_leaves_a_line_in_the_log_and_a_count(ess, rules):
    ingest = ess.ingest({"pii.file": rules})
    assert ingest.metrics()['ess_pii_filtered_total{rule="forms"}'] == 0
    ingest.post(json.dumps({"topic": "appointment.made", "id": "one", "data": {"patient": {"ssn": 1}, "a": {"b": ["x", "123-45-6789"]}}}))
    ingest.post(json.dumps({"topic": "appointment.made", "id": "two", "data": {"harmless": "x"}}))
    [line] = ingest.lines("pii_filtered")
    assert line["id"] == "one" and line["topic"] == "appointment.made" and line["values"] == "2"
    assert line["rule"] == "patients,forms" and line["path"] == "patient.ssn,a.b[1]"
    metrics = ingest.metrics()
    assert metrics['ess_pii_filtered_total{rule="patients"}'] == metrics['ess_pii_filtered_total{rule="forms"}'] == 1
    assert metrics['ess_pii_filtered_total{rule="members"}'] == 0


def test_a_repeat_is_noticed_by_what_was_stored(ess, rules):
    ingest = ess.ingest({"pii.file": rules})
    first = ingest.post(json.dumps({"topic": "a", "id": "x", "data": "ssn 123-45-6789"})).json
    for again in ("ssn 123-45-6789", "ssn 987-65-4321", "ssn ***"):
        assert ingest.post(json.dumps({"topic": "a", "id": "x", "data": again})).json == {**first, "duplicate": True}
    assert ingest.post(json.dumps({"topic": "a", "id": "x", "data": "no ssn"})).status == 409
    assert ingest.metrics()['ess_pii_filtered_total{rule="forms"}'] == 1


def test_a_repeat_after_the_rules_have_changed_is_a_repeat(ess, rules):
    ingest = ess.ingest({"pii.file": rules})
    event = json.dumps({"topic": "a", "id": "x", "data": "ssn 123-45-6789, mail ann@example.org"})
    first = ingest.post(event).json
    rules.write_text(RULES.replace("[ssn, email, phone, card]", "[ssn]"))
    wait_for(lambda: len(ingest.lines("pii_file_read")) == 1)
    assert ingest.post(event).json == {**first, "duplicate": True}
    ingest.options.pop("pii.file")
    ingest.restart()
    assert ingest.post(event).json == {**first, "duplicate": True}
    assert ingest.post(json.dumps({"topic": "a", "id": "y", "data": 1})).status == 201
    assert ingest.post(json.dumps({"topic": "a", "id": "y", "data": 2})).status == 409


def test_a_tombstone_stays_one_and_data_that_is_dropped_leaves_none(ess, rules):
    rules.write_text(RULES.replace("action: mask", "action: drop"))
    ingest = ess.ingest({"pii.file": rules})
    assert ingest.post(json.dumps({"topic": "a", "key": "k", "data": None})).status == 201
    assert ingest.post(json.dumps({"topic": "a", "key": "l", "data": "123-45-6789"})).status == 201
    tombstone, dropped = ess.records("events")[1:]
    assert tombstone.value() is None and json.loads(dropped.value())["data"] is None
    assert [e["data"] for e in ingest.replay().json["events"]] == [None, None]


def test_what_grows_too_large_by_hashes_is_refused(ess, rules):
    rules.write_text(RULES.replace("action: mask", "action: hash"))
    ingest = ess.ingest({"pii.file": rules})
    response = ingest.post(json.dumps([{"topic": "a", "data": 1}, {"topic": "a", "data": "123-45-6789 " * 20000}]))
    assert response.status == 413 and response.json["index"] == 1 and response.json["field"] == "data", response
    assert stored(ess) == []


def test_changed_rules_are_in_force_within_5_seconds_and_a_bad_file_changes_nothing(ess, rules):
    ess.allow("bad_pii_file")
    ingest = ess.ingest({"pii.file": rules})

    def masked():
        data = {"a": "123-45-6789", "b": "x@example.com", "c": "y"}
        cursor = ingest.post(json.dumps({"topic": "a", "data": data})).json["cursor"]
        found = ingest.replay(cursor - 1).json["events"][0]["data"]
        return [name for name in data if found.get(name) != data[name]]

    def change(how, expected):
        how()
        began = time.monotonic()
        wait_for(lambda: masked() == expected)
        assert time.monotonic() - began < 5

    def replace(text):
        aside = rules.with_suffix(".new")
        aside.write_text(text)
        aside.rename(rules)

    assert masked() == ["a", "b"]
    change(lambda: rules.write_text(RULES.replace("[ssn, email, phone, card]", "[ssn]")), ["a"])
    change(lambda: replace('rules: [{name: c, topics: [a], paths: [c], action: drop}]\n'), ["c"])
    rules.write_text("rules:\n- name: c\n  topics: [a]\n  paths: [c]\n  action: erase\n")
    line = ingest.wait_line("bad_pii_file")
    assert line["reason"] == f"{rules}:5: rules[0].action: must be drop, mask or hash"
    assert masked() == ["c"]
    rules.unlink()
    wait_for(lambda: len(ingest.lines("bad_pii_file")) == 2)
    assert masked() == ["c"]
    change(lambda: replace(RULES), ["a", "b"])
    assert ingest.metrics()['ess_pii_filtered_total{rule="c"}'] >= 3


@pytest.mark.parametrize("text, reason", [
    ("rules:\n- name: a\n  topics: [x]\n  detect: [dna]\n  action: mask\n", ":4: rules[0].detect[0]: must be ssn, email, phone or card"),
    ("rules: [\n", ":2: "), (None, ": No such file or directory")])
def test_a_bad_file_at_the_start_refuses_to_run(ess, text, reason):
    path = ess.folder / "bad.yml"
    if text:
        path.write_text(text)
    ess.allow("bad_option")
    ingest = ess.ingest({"pii.file": path}, start=False)
    try:
        ingest.start(ready=False)
    except AssertionError:
        pass
    assert ingest.wait_exit() == 2
    assert ingest.lines("bad_option")[0]["reason"].startswith(f"{path}{reason}")
