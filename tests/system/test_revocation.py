"""Access tokens that are taken back while a request that they allowed is under way."""
import contextlib
import json
import socket
import time

import pytest

from conftest import running_on_shared
from ess import PATIENCE_S, wait_for
from test_auth import auth_file, bearer, call, publish, register, token, write_auth

TOKENS = {"admin": ["admin"], "reader": ["read:drug.*"], "vendor": ["register:drug.*"]}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, broker, ca):
    """An ingest with access tokens."""
    with running_on_shared(tmp_path_factory.mktemp("revocation"), broker, ca) as ess:
        yield ess.ingest({"auth.file": write_auth(ess, auth_file(TOKENS, {}))})


@contextlib.contextmanager
def parked(ingest, method, path, secret, rest=b"\n"):
    """A request of which the last bytes are still to come; `finish()` sends them and gives the status line."""
    host, port = ingest.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {secret}", f"Content-Length: {len(rest)}", "", ""]
        connection.sendall("\r\n".join(lines).encode())
        # Answered behind it, since there is one loop: the headers were read, and the request was admitted.
        assert ingest.get("/healthz").status == 200

        def finish():
            connection.sendall(rest)
            return int(connection.makefile("rb").readline().split()[1])
        yield finish


def renew(ingest, id, secret):
    answer = call(ingest, "POST", f"/ess/subscribers/{id}/token", secret=secret)
    assert answer.status == 202, answer
    return answer.json["token"]


@pytest.mark.parametrize("path", ["/ess/stream", "/ess/poll?wait=1", "/ess/replay"])
def test_a_read_whose_token_was_renewed_before_its_last_byte_is_refused_and_harms_nobody(guarded, path):
    id, own = register(guarded)
    with parked(guarded, "GET", path, own) as finish:
        renew(guarded, id, own)
        assert finish() == 401
    assert guarded.get("/healthz").status == 200


def test_a_renewed_token_cannot_be_renewed_by_a_request_that_it_had_parked(guarded):
    id, own = register(guarded)
    with parked(guarded, "POST", f"/ess/subscribers/{id}/token", own, b"{}") as finish:
        new = renew(guarded, id, own)
        assert finish() == 401
    assert call(guarded, "GET", f"/ess/subscribers/{id}", secret=new).status == 200


def test_a_parked_request_does_not_reach_the_next_registration_of_its_id(guarded):
    id, own = register(guarded)
    with parked(guarded, "POST", f"/ess/subscribers/{id}/pause", own, b"{}") as finish:
        assert call(guarded, "DELETE", f"/ess/subscribers/{id}", "admin").status == 202
        spec = {"id": id, "url": "https://vendor.example/hook", "topics": ["drug.copay"]}
        assert wait_for(lambda: (answer := call(guarded, "POST", "/register", "admin", spec)).status == 201 and answer)
        assert finish() == 401
    assert call(guarded, "GET", f"/ess/subscribers/{id}", "admin").json["status"]["state"] == "active"


def test_a_poll_that_waits_is_told_nothing_once_its_token_is_renewed(guarded):
    id, own = register(guarded)
    host, port = guarded.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as poll:
        poll.sendall(f"GET /ess/poll?wait=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {own}\r\n\r\n".encode())
        wait_for(lambda: b"ess_readers 1\n" in call(guarded, "GET", "/metrics", "admin").body)
        renew(guarded, id, own)
        assert publish(guarded, "drug.copay", "admin").status == 201
        assert int(poll.makefile("rb").readline().split()[1]) == 401


def test_ndjson_ends_when_its_token_is_taken_back(ess):
    ingest = ess.ingest({"auth.file": write_auth(ess, auth_file(TOKENS, {}))})
    big = "x" * 250000
    for _ in range(160):
        body = json.dumps({"topic": "drug.big", "data": big})
        assert ingest.request("POST", "/ess/publish", body, bearer("admin")).status == 201
    host, port = ingest.address.rsplit(":", 1)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.settimeout(PATIENCE_S)
        slow.connect((host, int(port)))
        headers = f"Host: x\r\nAuthorization: Bearer {token('reader')}\r\nAccept: application/x-ndjson\r\n"
        slow.sendall(f"GET /ess/replay HTTP/1.1\r\n{headers}\r\n".encode())
        answer, began = slow.recv(65536), time.monotonic()
        assert answer.startswith(b"HTTP/1.1 200")
        write_auth(ess, auth_file({"admin": ["admin"]}, {}))
        wait_for(lambda: ingest.request("GET", "/ess/poll?wait=0", None, bearer("reader")).status == 401)
        wait_for(lambda: time.monotonic() > began + 1.5)  # it is asked once a second
        whole, piece = len(answer), b" "
        while piece:
            try:
                piece = slow.recv(65536)
            except ConnectionResetError:
                piece = b""
            whole += len(piece)
    assert whole < 160 * len(big) / 2
    assert ingest.wait_line("stream_cut", path="/ess/replay")["reason"] == "the access token is no longer in force"
