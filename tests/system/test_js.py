"""hms-ess, the client for JavaScript: its tests by Node's own runner, against a real ess-ingest."""
import json
import os
import shutil
import subprocess

import pytest

from ess import ROOT, wait_for

CLIENT = ROOT / "clients/js"


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
