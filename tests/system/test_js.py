"""hms-ess, the client for JavaScript: its tests by Node's own runner, against a real ess-ingest."""
import http.client
import json
import os
import shutil
import subprocess

import pytest

from ess import ROOT, Answer, wait_for
from snippets import snippets

CLIENT = ROOT / "clients/js"
DOCUMENT = "clients/js/README.md"


def test_the_javascript_client_keeps_its_promises(ess):
    ingest = ess.ingest()
    environment = {**os.environ, "ESS_URL": f"http://{ingest.address}"}
    done = subprocess.run(["node", "--test", CLIENT / "test"], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not on this machine")
def test_npm_pack_takes_what_is_published_and_no_tests(tmp_path):
    words = ["npm", "pack", "--json", "--pack-destination", tmp_path]
    done = subprocess.run(words, cwd=CLIENT, capture_output=True, text=True, timeout=120, check=True)
    files = {file["path"] for file in json.loads(done.stdout)[0]["files"]}
    assert {"package.json", "README.md", "LICENSE", "src/index.js", "src/index.d.ts"} <= files
    assert not any(file.startswith("test/") for file in files)


# The README's example, behind Node's own server.
ENDPOINT = """
import http from 'node:http'
const lastHandled = Number(process.env.LAST_HANDLED)
const handle = async (event) => console.log(event.data)

EXAMPLE
const server = http.createServer(async (request, response) => {
  const parts = []
  for await (const part of request) parts.push(part)
  try {
    await onWebhook(Buffer.concat(parts), request.headers)
    response.statusCode = 204
  } catch (error) {
    console.log(error)
    response.statusCode = 503
  }
  response.end()
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
"""


class Vendor:
    """A subscriber with an endpoint in Node, behind a receiver that ends TLS and hands on. `loses`: answers 200 and hands nothing on."""

    def __init__(self, ess, ingest, program, id, **fields):
        self.id, self.receiver, self.loses, self.port = id, ess.receiver(), lambda body: False, 0
        self.receiver.answer = self.hand_on
        made = ingest.post(json.dumps({"id": id, "url": self.receiver.url(), "topics": ["drug.*"], **fields}), "/register").json
        environment = {**os.environ, "ESS_URL": f"http://{ingest.address}", "ESS_SECRET": made["whsec"], "LAST_HANDLED": str(made["cursor"])}
        self.said = ess.folder / f"{id}.out"
        with open(self.said, "wb") as out:
            self.process = subprocess.Popen(["node", program], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.port = int(wait_for(self.lines)[0])

    def lines(self):
        return [line.strip() for line in self.said.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def hand_on(self, request):
        if self.loses(request.json):
            return Answer(200)
        connection = http.client.HTTPConnection("127.0.0.1", wait_for(lambda: self.port), timeout=60)
        try:
            connection.request("POST", "/", request.body, {name: value for name, value in request.headers.items() if name.lower() != "host"})
            return Answer(connection.getresponse().status)
        finally:
            connection.close()

    def wait_handled(self, *data):
        wait_for(lambda: len(self.lines()) > len(data), told=self.lines)
        assert self.lines()[1:] == [str(one) for one in data]


@pytest.fixture
def endpoint(ess, tmp_path):
    """Makes vendors, and ends their processes."""
    example, = (snippet.text for snippet in snippets(DOCUMENT, "js") if "new GapDetector" in snippet.text)
    program, ingest, vendors = tmp_path / "endpoint.mjs", ess.ingest(), []
    program.write_text(ENDPOINT.replace("EXAMPLE", example.replace("'hms-ess'", f"'{CLIENT}/src/index.js'")))
    ess.dispatcher()

    def make(id, **fields):
        vendors.append(Vendor(ess, ingest, program, id, **fields))
        return vendors[-1]
    yield make
    for vendor in vendors:
        vendor.process.kill()
        vendor.process.wait()


def test_a_handshake_batches_and_a_heartbeat_are_taken_and_the_heartbeat_shows_what_was_lost(ess, endpoint):
    asked = {"batch": {"max_events": 3, "max_wait": "60s"}, "heartbeat": "10s", "handshake": True}
    vendors, ingest = [endpoint(format, format=format, **asked) for format in ("ess", "cloudevents")], ess.daemons[0]

    def publish(*data):
        assert ingest.post(json.dumps([{"topic": "drug.copay", "data": n} for n in data])).status == 201
    for vendor in vendors:
        wait_for(lambda: ingest.status(vendor.id)["state"] == "active")
        vendor.loses = lambda body: '"data": 6' in json.dumps(body)  # the second batch
    publish(*range(1, 7))
    for vendor in vendors:
        vendor.wait_handled(1, 2, 3, 4, 5, 6)
    publish(7, 8, 9)
    for vendor in vendors:
        vendor.wait_handled(*range(1, 10))
        assert "handshake" in vendor.receiver.requests[0].json


VERIFY = """
import { Webhook } from 'standardwebhooks'
const verifies = ({ secret, body, headers }) => {
  try {
    new Webhook(secret).verify(body, headers)
    return true
  } catch {
    return false
  }
}
console.log(JSON.stringify(JSON.parse(process.argv[2]).map(verifies)))
"""


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not on this machine")
def test_during_a_rotation_both_secrets_verify_with_npms_library_and_afterwards_the_new_one_only(ess, tmp_path):
    subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", tmp_path, "standardwebhooks@1.0.0"], check=True, timeout=120)
    program = tmp_path / "verify.mjs"
    program.write_text(VERIFY)
    ingest, receiver = ess.ingest(), ess.receiver()
    ess.dispatcher()
    old = ingest.post(json.dumps({"id": "rotated", "url": receiver.url(), "topics": ["a"]}), "/register").json["whsec"]

    def rotate(overlap):
        answer = ingest.post(json.dumps({"overlap": overlap}), "/ess/subscribers/rotated/rotate").json
        wait_for(lambda: ingest.status("rotated")["generation"] >= answer["generation"])
        return answer["whsec"]

    def verified(*secrets):
        count = len(receiver.requests)
        ess.publish("a", count)
        request = receiver.wait(count + 1)[count]
        asked = [{"secret": secret, "body": request.body.decode(), "headers": dict(request.headers)} for secret in secrets]
        done = subprocess.run(["node", program, json.dumps(asked)], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)
    new = rotate("1h")
    assert verified(old, new) == [True, True]
    assert verified(old, new, rotate("0")) == [False, False, True]
