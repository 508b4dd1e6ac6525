"""hms-ess, the client for JavaScript: its tests by Node's own runner, against a real ess-ingest."""
import json
import os
import shutil
import subprocess

import pytest

from ess import ROOT

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
