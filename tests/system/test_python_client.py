"""hms-ess, the client for Python: its own tests against a real ess-ingest, and real webhooks for its receiver's half."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest
import standardwebhooks

from ess import ROOT, Answer, wait_for
from snippets import snippets

PACKAGE = ROOT / "clients/python"
DOCUMENT = "clients/python/README.md"
sys.path.insert(0, str(PACKAGE / "src"))
import hms_ess  # noqa: E402

PYTHONS = [sys.executable, *(f"python3.{minor}" for minor in range(9, 15))]


def run(ingest, *words, python=sys.executable, cwd=None):
    environment = {**os.environ, "ESS_URL": f"http://{ingest.address}", "PYTHONPATH": str(PACKAGE / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([python, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def runs(python):
    return shutil.which(python) and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


def test_its_own_tests_pass_against_a_real_ingest_with_every_python_there_is(ess):
    ingest = ess.ingest()
    for python in filter(runs, PYTHONS):
        said = run(ingest, "-W", "error::ResourceWarning", "-m", "unittest", "discover", PACKAGE / "tests", python=python)
        assert "OK" in said and "skipped" not in said and "Warning" not in said, said


def test_the_good_vectors_are_also_good_to_the_standard_webhooks_library():
    vectors = json.loads((ROOT / "clients/vectors.json").read_text())["signatures"]
    good = [vector for vector in vectors if not vector["error"]]
    assert len(good) >= 10
    for vector in good:
        id, timestamp, signatures = ({name.lower(): value for name, value in vector["headers"].items()}[f"webhook-{name}"]
                                     for name in ("id", "timestamp", "signature"))
        at = standardwebhooks.webhooks.datetime.fromtimestamp(int(timestamp), tz=standardwebhooks.webhooks.timezone.utc)
        keys = [secret if secret.startswith("whsec_") else secret.encode() for secret in vector["secrets"]]
        made = {standardwebhooks.Webhook(key).sign(id, at, vector["body"]) for key in keys}
        assert made & set(signatures.split(" ")), vector["name"]


class Vendor:
    """A subscriber whose endpoint is written with hms-ess. `loses` events: answers 200 and forgets them, as a vendor's crash would."""

    def __init__(self, ess, ingest, id, topic, **fields):
        self.ingest, self.id, self.topic, self.receiver = ingest, id, topic, ess.receiver()
        self.client = hms_ess.Client(f"http://{ingest.address}")
        self.secrets, self.handled, self.loses, self.fetched, self.gaps = [], [], lambda body: False, [], None
        self.receiver.answer = self.on_webhook
        made = self.post({"id": id, "url": self.receiver.url(), "topics": [topic], **fields}, "/register")
        self.secrets.append(made["whsec"])
        self.gaps = hms_ess.GapDetector(made["cursor"], fetch_missing=self.fetch)

    def post(self, members, path):
        answer = self.ingest.post(json.dumps(members), path)
        assert answer.status in (201, 202), answer
        return answer.json

    def command(self, name, **members):
        """Returns when it is in force."""
        answer = self.post(members, f"/ess/subscribers/{self.id}/{name}")
        wait_for(lambda: self.ingest.status(self.id)["generation"] >= answer["generation"])
        return answer

    def fetch(self, gap):
        self.fetched.append(gap)
        return self.client.replay(gap.since, gap.until, self.topic)

    def on_webhook(self, request):
        wait_for(lambda: self.gaps)  # a handshake may come before the answer to its registration
        try:
            body = hms_ess.verify(request.body, request.headers, self.secrets)
        except hms_ess.VerificationError:
            return Answer(401)
        if not self.loses(body):
            self.gaps.take(body, lambda one: self.handled.append(one["data"]), replay="X-ESS-Replay" in request.headers)
        return Answer(200)

    def publish(self, *data):
        return [self.client.publish(self.topic, one).cursor for one in data]

    def wait_handled(self, *data):
        wait_for(lambda: len(self.handled) >= len(data), told=lambda: self.handled)
        assert self.handled == list(data)


def test_what_an_endpoint_lost_is_noticed_fetched_and_handled_in_order(ess):
    ingest = ess.ingest()
    ess.dispatcher()
    vendor = Vendor(ess, ingest, "vendor", "drug.copay")
    vendor.loses = lambda event: event["data"] in (2, 3)
    cursors = vendor.publish(1, 2, 3)
    ess.publish("other", 0)
    cursors += vendor.publish(4, 5)
    vendor.wait_handled(1, 2, 3, 4, 5)
    assert vendor.fetched == [(cursors[0], cursors[2])] and vendor.gaps.cursor == cursors[4]
    vendor.loses = lambda event: False
    vendor.command("rewind", cursor=cursors[1])  # repeats of 3, 4 and 5
    vendor.publish(6)
    vendor.wait_handled(1, 2, 3, 4, 5, 6)
    vendor.command("replay", **{"from": cursors[0], "to": cursors[1]})  # somebody asks for 2 again
    vendor.wait_handled(1, 2, 3, 4, 5, 6, 2)
    vendor.publish(7)
    vendor.wait_handled(1, 2, 3, 4, 5, 6, 2, 7)
    assert len(vendor.fetched) == 1


def test_a_test_delivery_and_a_redriven_dead_letter_leave_the_stream_alone(ess):
    ingest = ess.ingest()
    ess.dispatcher()
    vendor = Vendor(ess, ingest, "vendor", "drug.copay")
    take = vendor.receiver.answer
    vendor.receiver.answer = lambda request: Answer(400) if request.json["data"] == "poison" else take(request)
    vendor.publish("first", "poison")
    wait_for(lambda: ingest.status("vendor")["dead_lettered"] == 1)
    vendor.receiver.answer = take
    vendor.command("test", data="a test")
    vendor.wait_handled("first", "a test")
    vendor.command("redrive")
    vendor.wait_handled("first", "a test", "poison")
    vendor.publish("last")  # the dead letter lies between, as a gap
    vendor.wait_handled("first", "a test", "poison", "poison", "last")


def test_a_handshake_batches_and_a_heartbeat_are_taken_and_the_heartbeat_shows_what_was_lost(ess):
    ingest = ess.ingest()
    ess.dispatcher()
    asked = {"batch": {"max_events": 3, "max_wait": "60s"}, "heartbeat": "10s", "handshake": True}
    vendors = [Vendor(ess, ingest, format, "drug.copay", format=format, **asked) for format in ("ess", "cloudevents")]
    for vendor in vendors:
        wait_for(lambda: ingest.status(vendor.id)["state"] == "active")
        vendor.loses = lambda body: '"data": 6' in json.dumps(body)  # the second batch
    cursors = [one.cursor for one in vendors[0].client.publish_batch([{"topic": "drug.copay", "data": n} for n in range(1, 7)])]
    other = ess.publish("other", 0)
    for vendor in vendors:
        vendor.wait_handled(1, 2, 3, 4, 5, 6)
        wait_for(lambda: vendor.gaps.cursor >= other)
        assert vendor.fetched == [(cursors[2], cursors[5])]
    vendors[0].client.publish_batch([{"topic": "drug.copay", "data": n} for n in (7, 8, 9)])
    for vendor in vendors:
        vendor.wait_handled(*range(1, 10))
        assert len(vendor.fetched) == 1 and "handshake" in vendor.receiver.requests[0].json


def test_a_rotation_loses_nothing_while_both_secrets_are_known(ess):
    ingest = ess.ingest()
    ess.dispatcher()
    vendor = Vendor(ess, ingest, "vendor", "a")
    vendor.publish("before")
    vendor.wait_handled("before")
    rotated = vendor.command("rotate", overlap="1h")
    vendor.publish("signed by both")
    vendor.wait_handled("before", "signed by both")
    vendor.secrets = [rotated["whsec"]]
    vendor.publish("the new one fits")
    vendor.wait_handled("before", "signed by both", "the new one fits")
    vendor.command("rotate", overlap="0")
    vendor.publish("signed by another")
    last = vendor.receiver.wait(4)[3]
    with pytest.raises(hms_ess.VerificationError, match="is it the secret of this subscriber"):
        hms_ess.verify(last.body, last.headers, vendor.secrets)
    assert "signed by another" not in vendor.handled


RECEIVER = """
import json
given = json.loads(open("webhook.json").read())
last_handled, secret, handled = given["last"], "s3cr3t", []
def handle(event):
    handled.append(event["data"])
"""


def test_the_examples_of_its_readme_do_what_they_say(ess, tmp_path):
    ingest, receiver = ess.ingest(), ess.receiver()
    ess.dispatcher()
    ess.subscribe("md-mm1", receiver, ["drug.*"])
    publish, read, consume, receive = (snippet.text for snippet in snippets(DOCUMENT, "python"))
    assert len([line for line in publish.splitlines() if line]) <= 5 and len([line for line in receive.splitlines() if line]) <= 5
    first = run(ingest, "-c", publish)
    assert first == "cursor 1\n"
    assert run(ingest, "-c", read) == "2 {'ndc': '00002-8215', 'copay': 25}\n"
    assert ingest.post('{"id":"md-batch","topics":["drug.*"],"from":"beginning"}', "/register").status == 201
    assert run(ingest, "-c", f"def handle(event):\n    print(event['cursor'])\n    raise SystemExit\n{consume}") == "2\n"
    ess.publish("drug.copay", "last")
    last = receiver.wait(2)[1]
    given = {"last": 1, "body": last.body.decode(), "headers": dict(last.headers)}
    (tmp_path / "webhook.json").write_text(json.dumps(given))
    call = "on_webhook(given['body'].encode(), given['headers'])\nprint(handled)\n"
    assert run(ingest, "-c", RECEIVER + receive + call, cwd=tmp_path) == "[{'ndc': '00002-8215', 'copay': 25}, 'last']\n"


def test_a_wheel_holds_what_is_published_and_no_tests(tmp_path):
    copy = tmp_path / "python"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--disable-pip-version-check", "--wheel-dir", tmp_path, copy]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    wheel, = tmp_path.glob("hms_ess-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"hms_ess/{path.name}" for path in pathlib.Path(PACKAGE / "src/hms_ess").iterdir() if path.is_file()} <= names
    assert any(name.endswith("/LICENSE") for name in names) and not any("test" in name for name in names)
