"""Subscribers' files: dropped in, edited, broken, removed; what is refused, and that it disturbs nothing else."""
import datetime
import hashlib
import hmac
import time

import pytest

from ess import CA, Receiver, wait_for

SEED = """\
id: {id}
url: {url}
topics: ["{topic}"]
throttle: 5           # events / second
secret: "s3cr3t"      # HMAC for authenticity
"""


@pytest.fixture(scope="module")
def ingest(shared):
    shared.allow("bad_subscriber_file")
    return shared.daemons[0]


@pytest.fixture
def receiver(shared):
    return shared.receiver()


def dispatcher_of(ess):
    return next(d for d in ess.daemons if d.program == "ess-dispatcher")


def test_the_seeds_five_lines_work_within_5_s_and_so_does_an_edit_and_broken_the_old_one_stays(shared, ingest, receiver):
    topic = "seed.copay"
    path = shared.write("mmis.yml", SEED.format(id="md-mm1", url=receiver.url(), topic=topic))
    dispatcher_of(shared).wait_line("subscriber_started", timeout=5, subscriber="md-mm1")
    first = shared.publish(topic, {"ndc": "00002-8215", "copay": 25})
    assert receiver.wait(1, timeout=5)[0].cursor == first

    path.write_text(SEED.format(id="md-mm1", url=receiver.url("/edited"), topic="seed.*"))  # edited in place, as an editor may
    dispatcher_of(shared).wait_line("subscriber_changed", timeout=5, subscriber="md-mm1")
    second = shared.publish("seed.other", 1)
    edited = receiver.wait(2, timeout=5)[1]
    assert (edited.cursor, edited.path, edited.json["prev_cursor"]) == (second, "/edited", first)

    path.write_text("id: md-mm1\nurl: [\n")
    said = ingest.wait_line("bad_subscriber_file", timeout=5, file=path)["reason"]
    assert f"{path}:3: " in said and "last good version stays in force" in said
    third = shared.publish("seed.other", 2)
    assert receiver.wait(3)[2].cursor == third and receiver.requests[2].path == "/edited"


GOOD = {"id": "bad", "url": "https://127.0.0.1:1/hook", "topics": '["a.b"]', "secret": '"s3cr3t"'}


def spec(*lines, **fields):
    return "\n".join([*(f"{name}: {value}" for name, value in (GOOD | fields).items() if value is not None), *lines]) + "\n"


# text, line, what is said about it
BAD = {
    "syntax": ('id: "bad\n', 2, "end of stream"),
    "tabs": ("id: bad\n\turl: x\n", 2, "tab"),
    "empty": ("", 1, "empty"),
    "only a comment": ("# later\n", 1, "empty"),
    "a list": ("- id: bad\n", 1, "fields"),
    "a text": ("hello\n", 1, "fields"),
    "two documents": (spec("---", "id: two"), 5, "one document"),
    "not UTF-8": (spec().encode() + b"description: \xff\n", None, "UTF-8"),
    "a field twice": (spec("id: bad"), 5, "id: is given twice"),
    "an unknown field": (spec("throtle: 5"), 5, "throtle: is no field"),
    "an anchor": (spec("description: &x text"), 5, "anchors"),
    "an alias": (spec("description: *x"), 5, "alias"),
    "an unquoted wildcard": (spec(topics="[*]"), 3, "quotes"),
    "a tag": (spec("description: !!str 5"), 5, "tags"),
    "nested too deeply": (spec("headers: " + "{a: " * 32 + "b" + "}" * 32), 5, "deep"),
    "no id": (spec(id=None), 1, "id: is missing"),
    "no url": (spec(url=None), 1, "url: is missing"),
    "no topics": (spec(topics=None), 1, "topics: is missing"),
    "no secret": (spec(secret=None), 1, "secret: is missing"),
    "id is a number": (spec(id="5"), 1, "id: must be text"),
    "id with a dot": (spec(id="a.b"), 1, "id: may hold only"),
    "an id of 65": (spec(id="a" * 65), 1, "id: "),
    "plain http": (spec(url="http://vendor.example/hook"), 2, "https"),
    "another scheme": (spec(url="file:///etc/passwd"), 2, "https"),
    "no URL at all": (spec(url="vendor"), 2, "url: "),
    "credentials": (spec(url="https://me:secret@vendor.example/"), 2, "credentials"),
    "a fragment": (spec(url="https://vendor.example/#top"), 2, "fragment"),
    "a private address": (spec(url="https://10.0.0.1/hook"), 2, "egress.allow"),
    "a private address in disguise": (spec(url="https://0xa000001/hook"), 2, "egress.allow"),
    "the metadata service": (spec(url="https://169.254.169.254/latest"), 2, "egress.allow"),
    "a private address of IPv6": (spec(url="https://[fd00::1]/hook"), 2, "egress.allow"),
    "topics is text": (spec(topics="a.b"), 3, "topics: must be a list"),
    "topics is empty": (spec(topics="[]"), 3, "topics: must be a list"),
    "a bad wildcard": (spec(topics='["a.b*"]'), 3, "topics: "),
    "throttle of 0": (spec("throttle: 0"), 5, "throttle: "),
    "throttle below 0": (spec("throttle: -5"), 5, "throttle: "),
    "throttle is text": (spec('throttle: "5"'), 5, "throttle: "),
    "throttle is not a number": (spec("throttle: .nan"), 5, "throttle: "),
    "timeout without a unit": (spec("timeout: 15"), 5, "timeout: must be a duration"),
    "backoff turned round": (spec("backoff_min: 2m", "backoff_max: 1m"), 6, "backoff_max: "),
    "max_attempts of 0": (spec("max_attempts: 0"), 5, "max_attempts: "),
    "an unknown ordering": (spec("ordering: loose"), 5, "ordering: "),
    "strict and several at once": (spec("max_in_flight: 5"), 5, "max_in_flight: "),
    "a header of ours": (spec("headers: {X-ESS-Cursor: 5}"), 5, "headers: "),
    "a header with a line break": (spec('headers: {X-A: "a\\nb"}'), 5, "headers: "),
    "a secret that is not base64": (spec(secret="whsec_?"), 4, "secret: "),
    "a secret with a space behind it": (spec(secret='"s3cr3t "'), 4, "secret: must not begin or end"),
    "a secret with a line break": (spec("secret: |", "  s3cr3t", secret=None), 4, "secret: must not begin or end"),
    "secret and secret_file": (spec("secret_file: x"), 5, "secret_file: "),
    "a secret_file that is not there": (spec("secret_file: nowhere", secret=None), None, "secret_file: nowhere: No such file"),
    "from beyond the end": (spec("from: 999999999"), None, "from: 999999999 is beyond the end"),
    "from nowhere": (spec("from: somewhere"), 5, "from: "),
    "too large": (spec("description: " + "x" * 70000), None, "larger than"),
}


def written(ingest):
    return len(ingest.lines("subscriber_registered") + ingest.lines("subscriber_written"))


def test_bad_files_are_named_with_their_line_and_disturb_nobody(shared, ingest, receiver):
    shared.subscribe("undisturbed", receiver, ["undisturbed.a"])
    ingest.wait_line("subscriber_registered", subscriber="undisturbed")  # a dispatcher may have read it before
    known = written(ingest)
    paths = {}
    for number, (what, (text, _, _)) in enumerate(BAD.items()):
        paths[what] = shared.subscribers / f"bad-{number}.yaml"
        paths[what].write_bytes(text if isinstance(text, bytes) else text.encode())
    reasons = {what: ingest.wait_line("bad_subscriber_file", file=paths[what])["reason"] for what in BAD}
    assert [(what, reasons[what]) for what, (_, line, said) in BAD.items()
            if f"{paths[what]}:{line}: " not in reasons[what] and line or str(paths[what]) not in reasons[what] or said not in reasons[what]] == []
    assert written(ingest) == known
    cursor = shared.publish("undisturbed.a", 1)
    assert receiver.wait(1)[0].cursor == cursor
    for path in paths.values():
        path.unlink()


def test_the_same_complaint_is_made_once(shared, ingest):
    path = shared.write("once.yml", "id: [\n")
    ingest.wait_line("bad_subscriber_file", file=path)
    shared.write("later.yml", "id: [\n")
    ingest.wait_line("bad_subscriber_file", file=shared.subscribers / "later.yml")  # so the first was looked at again
    time.sleep(2)  # and by a scan too
    assert len(ingest.lines("bad_subscriber_file", file=path)) == 1


def test_of_two_files_with_one_id_the_one_in_force_stays_until_it_goes(shared, ingest, receiver):
    first = shared.write("twice-b.yml", SEED.format(id="twice", url=receiver.url("/b"), topic="twice.a"))
    dispatcher_of(shared).wait_line("subscriber_started", subscriber="twice")
    second = shared.write("twice-a.yml", SEED.format(id="twice", url=receiver.url("/a"), topic="twice.a"))
    assert f"twice is already defined by {first}" in ingest.wait_line("bad_subscriber_file", file=second)["reason"]
    shared.publish("twice.a", 1)
    assert receiver.wait(1)[0].path == "/b"
    first.unlink()
    dispatcher_of(shared).wait_line("subscriber_changed", subscriber="twice")
    shared.publish("twice.a", 2)
    assert receiver.wait(2)[1].path == "/a"


def test_of_two_new_files_with_one_id_the_first_by_name_is_taken(ess):
    ess.allow("bad_subscriber_file")
    receiver = ess.receiver()
    ess.write("z.yml", SEED.format(id="twin", url=receiver.url("/z"), topic="a"))
    ess.write("m.yml", SEED.format(id="twin", url=receiver.url("/m"), topic="a"))
    ingest = ess.ingest()
    assert f"twin is already defined by {ess.subscribers / 'm.yml'}" in ingest.wait_line("bad_subscriber_file", file=ess.subscribers / "z.yml")["reason"]
    ess.dispatcher().wait_line("subscriber_started", subscriber="twin")
    ess.publish("a", 1)
    assert receiver.wait(1)[0].path == "/m"


def test_a_removed_file_stops_its_subscriber_and_put_back_it_goes_on_where_it_stopped(shared, ingest, receiver):
    path = shared.subscribe("back", receiver, ["back.a"])
    first = shared.publish("back.a", 1)
    receiver.wait(1)
    text = path.read_text()
    path.unlink()
    dispatcher_of(shared).wait_line("subscriber_stopped", subscriber="back")
    second = shared.publish("back.a", 2)
    shared.write("back.yml", text)
    third = receiver.wait(2)[1]
    assert (third.cursor, third.json["prev_cursor"]) == (second, first)


def signed_with(ess, receiver, secret, topic):
    """Whether what is published now is signed with this secret."""
    before = len(receiver.requests)
    ess.publish(topic, 1)
    request = receiver.wait(before + 1)[before]
    return request.headers["X-ESS-Signature"] == hmac.new(secret, request.body, hashlib.sha256).hexdigest()


def test_an_edited_secret_signs_what_follows(shared, ingest, receiver):
    shared.subscribe("rekeyed", receiver, ["rekeyed.a"], secret="first")
    assert signed_with(shared, receiver, b"first", "rekeyed.a")
    shared.subscribe("rekeyed", receiver, ["rekeyed.a"], secret="second", wait=False)
    wait_for(lambda: signed_with(shared, receiver, b"second", "rekeyed.a"), timeout=5)


def test_a_secret_file_is_read_beside_the_yaml_and_again_when_it_changes(shared, ingest, receiver):
    secret = shared.subscribers / "vendor.secret"
    secret.write_text("one\n")
    shared.write("filed.yml", f"id: filed\nurl: {receiver.url()}\ntopics: [filed.a]\nsecret_file: vendor.secret\n")
    dispatcher_of(shared).wait_line("subscriber_started", subscriber="filed")
    assert signed_with(shared, receiver, b"one", "filed.a")
    secret.write_text("two\n")
    wait_for(lambda: signed_with(shared, receiver, b"two", "filed.a"), timeout=5)


@pytest.mark.parametrize("content", [b" s3cr3t\n", b"s3cr3t \n", b"\xef\xbb\xbfs3cr3t\n", b"s3cr3t\t\r\n"], ids=["before", "behind", "mark", "tab"])
def test_a_secret_file_with_something_invisible_around_its_secret_is_refused(shared, ingest, content):
    name = f"invisible-{len(ingest.lines())}"
    (shared.subscribers / f"{name}.secret").write_bytes(content)
    path = shared.write(f"{name}.yml", f"id: {name}\nurl: https://127.0.0.1:1/\ntopics: [a]\nsecret_file: {name}.secret\n")
    assert "must not begin or end with white space" in ingest.wait_line("bad_subscriber_file", file=path)["reason"]
    path.unlink()


def test_from_says_where_a_new_subscriber_begins(shared, ingest, receiver):
    first = shared.publish("from.a", 1)
    time.sleep(0.01)  # a time between two appends, which Kafka tells apart by milliseconds
    middle = datetime.datetime.now(datetime.timezone.utc).isoformat()
    time.sleep(0.01)
    second = shared.publish("from.a", 2)
    for name, start in (("beginning", "beginning"), ("cursor", first), ("time", middle), ("end", "end")):
        shared.subscribe(f"from-{name}", receiver.url(f"/{name}"), ["from.a"], **{"from": start})
    third = shared.publish("from.a", 3)
    receiver.wait(3 + 2 + 2 + 1)
    found = {name: [r.cursor for r in receiver.requests if r.path == f"/{name}"] for name in ("beginning", "cursor", "time", "end")}
    assert found == {"beginning": [first, second, third], "cursor": [second, third], "time": [second, third], "end": [third]}
    assert next(r for r in receiver.requests if r.path == "/cursor").json["prev_cursor"] == first


def test_from_of_a_known_subscriber_is_not_looked_at(shared, ingest, receiver):
    shared.publish("known.a", 1)
    shared.subscribe("known", receiver, ["known.a"])
    second = shared.publish("known.a", 2)
    receiver.wait(1)
    shared.subscribe("known", receiver, ["known.a"], wait=False, description="edited", **{"from": "beginning"})
    dispatcher_of(shared).wait_line("subscriber_changed", subscriber="known")
    third = shared.publish("known.a", 3)
    receiver.wait(2)
    assert receiver.cursors() == [second, third]


def test_edited_topics_count_from_where_the_lane_stands(shared, ingest, receiver):
    shared.subscribe("topics", receiver, ["topics.a"])
    first = shared.publish("topics.a", 1)
    shared.publish("topics.b", 2)
    receiver.wait(1)
    shared.subscribe("topics", receiver, ["topics.b"])
    shared.publish("topics.a", 3)
    fourth = shared.publish("topics.b", 4)
    request = receiver.wait(2)[1]
    assert (request.cursor, request.json["prev_cursor"]) == (fourth, first)


def test_secrets_are_nowhere_in_clear(shared, ingest, receiver):
    shared.subscribe("sealed", receiver, ["sealed.a"], secret="sesame-0pen", headers={"X-Api-Key": "k3y-of-the-vendor"})
    shared.publish("sealed.a", 1)
    assert receiver.wait(1)[0].headers["X-Api-Key"] == "k3y-of-the-vendor"
    records = [m for name in ("subscribers", "tokens", "events", "dlq") for m in shared.records(name)]
    assert any(m.key() == b"sealed" for m in records) and any(m.key() == b"sealed/keys" for m in records)
    places = [m.value() or b"" for m in records] + [d.text().encode() for d in shared.daemons] + [d.get("/metrics").body for d in shared.daemons]
    for place in places:
        assert b"sesame-0pen" not in place and b"k3y-of-the-vendor" not in place


# --- folders


def test_a_folder_that_is_missing_or_empty_at_the_start_removes_nothing(ess):
    ess.allow("subscribers_folder")
    receiver = ess.receiver()
    ess.subscribe("kept", receiver, ["a"])
    ingest = ess.ingest()
    dispatcher = ess.dispatcher()
    ingest.term()
    aside = ess.subscribers.rename(ess.folder / "aside")
    ingest.start()
    ingest.wait_line("subscribers_folder", file=ess.subscribers)
    ess.subscribers.mkdir()
    wait_for(lambda: "is empty" in ingest.lines("subscribers_folder", file=ess.subscribers)[-1]["reason"])
    ess.publish("a", 1)
    receiver.wait(1)
    assert not dispatcher.lines("subscriber_stopped")
    ess.subscribers.rmdir()
    aside.rename(ess.subscribers)
    ess.subscribe("second", receiver.url("/second"), ["a"])
    ess.publish("a", 2)
    receiver.wait(3)


def test_several_folders_and_none(ess):
    second, receiver = ess.folder / "more", ess.receiver()
    second.mkdir()
    (second / "more.yaml").write_text(SEED.format(id="more", url=receiver.url("/more"), topic="a") + "from: beginning\n")
    ess.write("main.yml", SEED.format(id="main", url=receiver.url("/main"), topic="a"))
    ess.ingest({"subscribers.dir": f"{ess.subscribers},{second}"})
    other = ess.ingest({"subscribers.dir": "none"})
    dispatcher = ess.dispatcher()
    for id in ("main", "more"):
        dispatcher.wait_line("subscriber_started", subscriber=id)
    ess.publish("a", 1, ingest=other)
    assert {r.path for r in receiver.wait(2)} == {"/main", "/more"}


def test_ten_files_at_once_are_ten_subscribers(shared, receiver):
    for n in range(10):
        shared.write(f"ten-{n}.yml", SEED.format(id=f"ten-{n}", url=receiver.url(f"/{n}"), topic="ten.*"))
    for n in range(10):
        dispatcher_of(shared).wait_line("subscriber_started", subscriber=f"ten-{n}")
    shared.publish("ten.b", 1)
    assert {r.path for r in receiver.wait(10)} == {f"/{n}" for n in range(10)}


# --- where webhooks may go


def failure(ess, id):
    return dispatcher_of(ess).wait_line("delivery_failed", subscriber=id)["error"]


def test_a_private_address_is_refused_at_the_socket_whatever_was_registered(ess):
    receiver = ess.receiver()
    ess.ingest()
    dispatcher = ess.dispatcher({"egress.allow": "10.9.8.0/24"})
    ess.subscribe("literal", receiver, ["a"])
    ess.subscribe("named", receiver.url(host="localhost"), ["a"])
    ess.publish("a", 1)
    for id in ("literal", "named"):
        assert "egress.allow" in failure(ess, id)
    assert receiver.requests == [] and receiver.connections == []
    dispatcher.term()
    dispatcher.options["egress.allow"] = "127.0.0.0/8"
    dispatcher.start()
    receiver.wait(2)


def test_a_certificate_must_be_trusted_and_of_the_right_name(shared, tmp_path):
    stranger = Receiver(CA(tmp_path).certificate())
    wrong_name = Receiver(shared.ca.certificate("elsewhere", "DNS:elsewhere.example"))
    shared.receivers += [stranger, wrong_name]
    shared.subscribe("stranger", stranger, ["untrusted.a"])
    shared.subscribe("wrong-name", wrong_name, ["untrusted.a"])
    shared.publish("untrusted.a", 1)
    assert "certificate" in failure(shared, "stranger") and "name" in failure(shared, "wrong-name")
    assert stranger.requests == [] and wrong_name.requests == []
