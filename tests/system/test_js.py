"""hms-ess, the client for JavaScript: its tests by Node's own runner, against a real ess-ingest."""
import json
import os
import shutil
import subprocess

import pytest

from ess import ROOT, wait_for
from snippets import snippets
from vendors import Vendor

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


@pytest.fixture
def endpoint(ess, tmp_path):
    """Makes vendors, and ends their processes."""
    example, = (snippet.text for snippet in snippets(DOCUMENT, "js") if "new GapDetector" in snippet.text)
    program, vendors = tmp_path / "endpoint.mjs", []
    program.write_text(ENDPOINT.replace("EXAMPLE", example.replace("'hms-ess'", f"'{CLIENT}/src/index.js'")))
    ess.ingest()
    ess.dispatcher()

    def make(id, **fields):
        vendors.append(Vendor(ess, ["node", program], lambda made: {"ESS_SECRET": made["whsec"]}, id, "drug.*", **fields))
        return vendors[-1]
    yield make
    for vendor in vendors:
        vendor.end()


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
        vendor.wait_handled(range(1, 7))
    publish(7, 8, 9)
    for vendor in vendors:
        vendor.wait_handled(range(1, 10))
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
