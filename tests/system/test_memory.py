"""Memory: those who take their answers slowly, or send bodies and never end them, hold no more than ingest.buffers."""
import contextlib
import http.client
import json
import pathlib
import re
import socket

import pytest

from ess import PATIENCE_S, SANITIZED, wait_for
from test_auth import auth_file, bearer, register, token, write_auth

MIB = 1024 * 1024


def resident(daemon):
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text())[1]) * 1024


def connect(ingest):
    host, port = ingest.address.rsplit(":", 1)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.settimeout(PATIENCE_S)
    slow.connect((host, int(port)))
    return slow


def fill(ess, megabytes):
    for _ in range(4 * megabytes):
        ess.publish("m.big", "x" * 250000)


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_many_who_read_slowly_hold_no_more_than_the_buffers_and_others_are_served(ess, accept):
    ingest = ess.ingest({"ingest.buffers": "32MiB", "feed.cache": "16MiB"})
    fill(ess, 10)
    assert ingest.replay(limit=100).status == 200
    before = resident(ingest)
    with contextlib.ExitStack() as held:
        readers = [held.enter_context(contextlib.closing(connect(ingest))) for _ in range(80)]
        for reader in readers:
            reader.sendall(f"GET /ess/replay?limit=10000 HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n".encode())
        statuses = {int(reader.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL).split()[1]) for reader in readers}
        assert statuses <= {200, 503}
        assert SANITIZED or resident(ingest) - before < (32 + 24) * MIB
        assert ess.publish("m.small", 1) and ingest.get("/readyz").status == 200
    wait_for(lambda: ingest.metrics()["ess_http_buffer_bytes"] < MIB)
    assert len(ingest.replay(limit=20).json["events"]) >= 10  # as at the beginning


def test_a_page_that_was_shortened_is_gone_on_from(ess):
    ingest = ess.ingest({"ingest.buffers": "16MiB"})
    fill(ess, 3)
    found, cursor, more, pages = 0, 0, True, 0
    while more:
        page = ingest.replay(cursor).json
        found, cursor, more, pages = found + len(page["events"]), page["cursor"], page["more"], pages + 1
    assert found == 12 and pages > 1


def test_bodies_that_never_end_hold_no_more_than_the_buffers(ess):
    ingest = ess.ingest({"ingest.buffers": "16MiB"})
    with contextlib.ExitStack() as held:
        for _ in range(3):  # whoever has sent all but the last byte
            parked = held.enter_context(contextlib.closing(connect(ingest)))
            parked.sendall(b"POST /ess/publish HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (4 * MIB) + b"[".ljust(4 * MIB - 1))
        wait_for(lambda: ingest.metrics()["ess_http_buffer_bytes"] >= 12 * MIB)
        answer = ingest.post(b"[".ljust(7 * MIB))
        assert answer.status == 503 and answer.headers["Retry-After"] == "1"
        assert ingest.replay().status == 503
        chunked = held.enter_context(contextlib.closing(connect(ingest)))
        chunked.sendall(b"POST /ess/publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(7):
            chunked.sendall(b"%x\r\n" % MIB + b"[" * MIB + b"\r\n")
        chunked.sendall(b"0\r\n\r\n")
        assert chunked.recv(100).startswith(b"HTTP/1.1 503 ")
    wait_for(lambda: ingest.metrics()["ess_http_buffer_bytes"] < MIB)
    assert ess.publish("m.small", 1) and ingest.replay().status == 200


def test_one_access_token_has_no_more_reads_at_once_than_it_may(ess):
    names = {"admin": ["admin"], "reader": ["read:*"]}
    ingest = ess.ingest({"auth.file": write_auth(ess, auth_file(names, {})), "ingest.max_reads_per_token": 3})
    _, own = register(ingest)
    for secret in (token("reader"), own):
        authorization = {"Authorization": f"Bearer {secret}"}
        with contextlib.ExitStack() as held:
            for _ in range(3):
                stream = held.enter_context(contextlib.closing(connect(ingest)))
                stream.sendall(f"GET /ess/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n\r\n".encode())
                assert stream.recv(12).startswith(b"HTTP/1.1 200")
            for path in ("/ess/replay", "/ess/poll?wait=0", "/ess/stream"):
                answer = ingest.request("GET", path, None, authorization)
                assert answer.status == 429 and answer.headers["Retry-After"] == "1" and answer.json["title"] == "Too Many Requests"
            assert ingest.request("GET", "/ess/replay", None, bearer("admin")).status == 200
        wait_for(lambda: ingest.request("GET", "/ess/replay", None, authorization).status == 200)


@pytest.mark.parametrize("frame", [(b"Content-Length: 4000000\r\n\r\n", b""), (b"Transfer-Encoding: chunked\r\n\r\n3d0900\r\n", b"\r\n0\r\n\r\n")])
def test_an_event_that_cannot_be_legal_any_more_is_not_kept_while_its_body_comes(ess, frame):
    ingest = ess.ingest({"ingest.max_event": "64KiB"})
    body = b'{"topic":"m.big","data":"'.ljust(4000000, b"x")
    with contextlib.closing(connect(ingest)) as publisher:
        publisher.sendall(b"POST /ess/publish HTTP/1.1\r\nHost: x\r\n" + frame[0] + body[:3000000])
        assert ingest.metrics()["ess_http_buffer_bytes"] < 256 * 1024
        publisher.sendall(body[3000000:] + frame[1])
        answer = http.client.HTTPResponse(publisher)
        answer.begin()
        assert answer.status == 413 and json.load(answer)["field"] == "data"


def test_of_an_array_more_is_taken_than_of_one_event(ess):
    ingest = ess.ingest({"ingest.max_event": "64KiB"})
    events = [{"topic": "m.many", "data": "x" * 60000} for _ in range(20)]
    assert ingest.post(json.dumps(events)).status == 201
    lines = "\n".join(json.dumps(event) for event in events)
    assert ingest.post(lines, **{"Content-Type": "application/x-ndjson"}).status == 201
