"""The API's description is true: schemathesis makes requests from it, good and bad ones, and judges the answers by it."""
import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

from conftest import running_on_shared
from ess import ENVIRONMENT, PATIENCE_S, ROOT, wait_for
from test_auth import ENDPOINTS, OPEN, auth_file, bearer, token, write_auth
from test_signatures import new_key, signing, write_keys

SETTINGS = pathlib.Path(__file__).parent / "schemathesis"


@pytest.fixture(scope="module")
def described(tmp_path_factory, broker, ca):
    with running_on_shared(tmp_path_factory.mktemp("described"), broker, ca) as ess:
        write_keys(ess, new_key())
        yield ess.ingest({"auth.file": write_auth(ess, auth_file({"admin": ["admin"]})), **signing(ess)})


def test_the_description_is_served_and_has_every_endpoint_with_its_protection(described):
    answer = described.get("/openapi.json")
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    assert answer.json == json.loads((ROOT / "ingest/api/openapi.json").read_text())
    assert answer.json["openapi"].startswith("3.1.") and f"ess {answer.json['info']['version']}" in version()
    operations = {(method.upper(), path): operation for path, item in answer.json["paths"].items() for method, operation in item.items()
                  if method != "parameters"}
    assert set(operations) == set(ENDPOINTS)
    assert {endpoint for endpoint, operation in operations.items() if operation.get("security") == []} == \
        {endpoint for endpoint, (_, rule) in ENDPOINTS.items() if rule == OPEN}


def version():
    done = subprocess.run([ROOT / os.environ.get("ESS_BUILD", "build") / "ess-ingest", "--version"], capture_output=True, text=True, timeout=30)
    return done.stdout.replace("ess-ingest", "ess")


def test_schemathesis_finds_nothing(described, tmp_path):
    words = [pathlib.Path(sys.executable).parent / "st", "--config-file", SETTINGS / "schemathesis.toml", "run",
             f"http://{described.address}/openapi.json", "-H", f"Authorization: Bearer {token('admin')}", "--exclude-path", "/ess/stream",
             "--request-timeout", str(PATIENCE_S), "--seed", "1", "--no-shrink", "--warnings", "off"]
    environment = {**ENVIRONMENT, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(SETTINGS)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0 and "No issues found" in done.stdout, done.stdout[-10000:] + done.stderr[-3000:]


def test_the_stream_is_as_described(described):
    """It has no end, so schemathesis would wait for it."""
    host, port = described.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection, connection.makefile("rb") as lines:
        connection.sendall(f"GET /ess/stream?topics=a,b.* HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token('admin')}\r\n\r\n".encode())
        head = [lines.readline().strip().lower() for _ in range(12)]
        assert head[0] == b"http/1.1 200 ok" and b"content-type: text/event-stream" in head
        assert any(line.startswith(b"x-request-id: ") for line in head)
    for query in ("topics=a..b", "cursor=-1", "cursor=999999999999999999", "limit=1", "cursor=1&cursor=1"):
        answer = wait_for(lambda: described.request("GET", f"/ess/stream?{query}", None, bearer("admin")))
        assert answer.status == 400 and answer.json["field"] == query.split("=")[0], (query, answer)
