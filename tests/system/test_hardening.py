"""Hostile clients: what may be read in two ways is refused and nothing behind it is served; whoever is slow is cut off in time."""
import pathlib
import random
import re
import socket
import time

import pytest

from ess import PATIENCE_S, wait_for

BODY = b'{"topic":"h.x","data":1}'
SIZE = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)
SMUGGLED = b'{"topic":"h.smuggled","data":1}'
BEHIND = b"POST /ess/publish HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(SMUGGLED), SMUGGLED)


def post(*headers, body=b"", line=b"POST /ess/publish HTTP/1.1", host=b"Host: x"):
    return b"\r\n".join([line, *([host] if host else []), *headers]) + b"\r\n\r\n" + body


def get(*headers, line=b"GET /healthz HTTP/1.1", host=b"Host: x"):
    return post(*headers, line=line, host=host)


def chunks(body):
    return post(CHUNKED, body=body)


# Everything that must be refused with 400 (or 413, 414, 431, 505) or closed without a word, and the connection with it.
MALFORMED = {
    # how long the body is
    "length and chunks": post(SIZE, CHUNKED, body=b"0\r\n\r\n"),
    "chunks and length": post(CHUNKED, SIZE, body=b"0\r\n\r\n"),
    "two lengths": post(SIZE, b"Content-Length: 5", body=BODY),
    "two lengths that agree": post(SIZE, SIZE, body=BODY),
    "a list of lengths": post(SIZE + b", " + SIZE[16:], body=BODY),
    "a length with a sign": post(b"Content-Length: +24", body=BODY),
    "a negative length": post(b"Content-Length: -1", body=BODY),
    "a length in hex": post(b"Content-Length: 0x18", body=BODY),
    "a length with a space inside": post(b"Content-Length: 2 4", body=BODY),
    "a length of nothing": post(b"Content-Length:", body=BODY),
    "a length beyond 64 bits": post(b"Content-Length: 18446744073709551640", body=BODY),
    "a length of 26 digits": post(b"Content-Length: 99999999999999999999999999", body=BODY),
    "a length with more behind it": post(b"Content-Length: 24a", body=BODY),
    "a length behind a vertical tab": post(b"Content-Length: \x0b24", body=BODY),
    "a space before a length's colon": post(b"Content-Length : 24", body=BODY),
    "a tab before a length's colon": post(b"Content-Length\t: 24", body=BODY),
    "a folded length": post(b"Content-Length:\r\n 24", body=BODY),
    "a length in a folded line": post(b"X: y\r\n Content-Length: 24", body=BODY),
    "a length behind a bare LF": post(b"X: y\nContent-Length: 24", body=BODY),
    "a length behind a bare CR": post(b"X: y\rContent-Length: 24", body=BODY),
    # codings
    "a space before a coding's colon": post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "the coding identity": post(b"Transfer-Encoding: identity", body=BODY),
    "an unknown coding": post(b"Transfer-Encoding: cow", body=b"0\r\n\r\n"),
    "a coding that only ends with chunked": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "two codings": post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "chunked twice in a line": post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "chunked twice": post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"),
    "chunked with a parameter": post(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"),
    "chunked in quotes": post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "chunked behind a vertical tab": post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "an empty coding": post(b"Transfer-Encoding:", body=b"0\r\n\r\n"),
    "a folded coding": post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"),
    "a coding in a folded line": post(b"X: y\r\n Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunks in HTTP/1.0": post(CHUNKED, body=CHUNK + b"0\r\n\r\n", line=b"POST /ess/publish HTTP/1.0"),
    # chunks
    "a negative chunk": chunks(b"-1\r\n" + BODY),
    "a chunk's size with 0x": chunks(b"0x18\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk's size with a sign": chunks(b"+18\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk without a size": chunks(b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a space before a chunk's size": chunks(b" 18\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a space behind a chunk's size": chunks(b"18 \r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk's size beyond 64 bits": chunks(b"10000000000000018\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk's size that is no number": chunks(b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk that is longer than it says": chunks(b"18\r\n" + BODY + b"X\r\n0\r\n\r\n"),
    "a chunk without its end": chunks(b"18\r\n" + BODY + b"0\r\n\r\n"),
    "a bare LF in a chunk's extension": chunks(b"18;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a trailer without a colon": chunks(CHUNK + b"0\r\nfoo\r\n\r\n"),
    # Host
    "no Host": get(host=None),
    "two Hosts": get(b"Host: y"),
    "two Hosts that agree": get(b"Host: x"),
    "an empty Host": get(host=b"Host:"),
    "a Host with a space": get(host=b"Host: a b"),
    "a Host with a user": get(host=b"Host: a@b"),
    "a Host with a path": get(host=b"Host: a/b"),
    "a list of Hosts": get(host=b"Host: a,b"),
    "a Host with a NUL": get(host=b"Host: a\0b"),
    "a folded Host": get(host=b"Host:\r\n x"),
    # headers
    "a space before the colon": get(b"X : y"),
    "a tab before the colon": get(b"X\t: y"),
    "no colon": get(b"Xy"),
    "no name": get(b": y"),
    "a space in a name": get(b"X Y: z"),
    "a NUL in a name": get(b"X\0Y: z"),
    "a bracket in a name": get(b"X(Y: z"),
    "a name beyond ASCII": get(b"X\xc3\xa9: z"),
    "a control character in a name": get(b"X\x01: z"),
    "a NUL in a value": get(b"X: a\0b"),
    "a NUL at a value's end": get(b"X: a\0", b"Y: b"),
    "a control character in a value": get(b"X: a\x01b"),
    "a DEL in a value": get(b"X: a\x7fb"),
    "a bare CR in a value": get(b"X: a\rb"),
    "a bare LF in a value": get(b"X: a\nY: b"),
    "a bare LF before the end": get(b"X: a\n"),
    "a folded line": get(b"X: a\r\n b"),
    "a line folded by a tab": get(b"X: a\r\n\tb"),
    "a line folded with nothing": get(b"X: a\r\n "),
    "a folded first line": post(line=b"GET /healthz HTTP/1.1\r\n X: y"),
    "bare LFs only": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "a bare LF behind the request line": b"GET /healthz HTTP/1.1\nHost: x\r\n\r\n",
    "a bare LF behind the last header": b"GET /healthz HTTP/1.1\r\nHost: x\n\r\n",
    "a bare LF at the end": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\n",
    "a line that is no header at the end": b"GET /healthz HTTP/1.1\r\nHost:\n:?\n\n",
    "bare CRs only": b"GET /healthz HTTP/1.1\rHost: x\r\r",
    "a doubled CR": b"GET /healthz HTTP/1.1\r\r\nHost: x\r\n\r\n",
    "two Authorizations": get(b"Authorization: Bearer a", b"Authorization: Bearer b"),
    "two Content-Types": post(SIZE, b"Content-Type: a/b", b"Content-Type: c/d", body=BODY),
    "a large header": get(b"X: " + b"a" * 20000),
    "a thousand headers": get(*[b"X%d: y" % n for n in range(1000)]),
    # the request line
    "no version": b"GET /healthz\r\n\r\n",
    "HTTP/0.9": get(line=b"GET /healthz HTTP/0.9"),
    "HTTP/1.2": get(line=b"GET /healthz HTTP/1.2"),
    "HTTP/1.10": get(line=b"GET /healthz HTTP/1.10"),
    "HTTP/01.1": get(line=b"GET /healthz HTTP/01.1"),
    "HTTP/2.0": get(line=b"GET /healthz HTTP/2.0"),
    "HTTP/3": get(line=b"GET /healthz HTTP/3"),
    "HTTP/11.1": get(line=b"GET /healthz HTTP/11.1"),
    "HTTP/-1.1": get(line=b"GET /healthz HTTP/-1.1"),
    "http/1.1": get(line=b"GET /healthz http/1.1"),
    "HTTPS/1.1": get(line=b"GET /healthz HTTPS/1.1"),
    "a version with more behind it": get(line=b"GET /healthz HTTP/1.1x"),
    "a space behind the version": get(line=b"GET /healthz HTTP/1.1 "),
    "HTTP/2 from the start": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two spaces before the path": get(line=b"GET  /healthz HTTP/1.1"),
    "two spaces behind the path": get(line=b"GET /healthz  HTTP/1.1"),
    "tabs for spaces": get(line=b"GET\t/healthz\tHTTP/1.1"),
    "a space before the method": b" " + get(),
    "a space in the path": get(line=b"GET /health z HTTP/1.1"),
    "a NUL in the path": get(line=b"GET /healthz\0 HTTP/1.1"),
    "an encoded NUL in the path": get(line=b"GET /healthz%00 HTTP/1.1"),
    "an encoded slash in the path": get(line=b"GET /ess%2fsubscribers HTTP/1.1"),
    "a control character in the path": get(line=b"GET /healthz\x01 HTTP/1.1"),
    "a DEL in the path": get(line=b"GET /healthz\x7f HTTP/1.1"),
    "a query beyond ASCII": get(line=b"GET /healthz?a=\xc3\xa9 HTTP/1.1"),
    "a bad percent": get(line=b"GET /healthz%zz HTTP/1.1"),
    "half a percent": get(line=b"GET /healthz?a=%4 HTTP/1.1"),
    "a fragment": get(line=b"GET /healthz#x HTTP/1.1"),
    "a path without its slash": get(line=b"GET healthz HTTP/1.1"),
    "a star": get(line=b"GET * HTTP/1.1"),
    "a URL with a user": get(line=b"GET http://u@x/healthz HTTP/1.1"),
    "a tunnel": get(line=b"CONNECT x:443 HTTP/1.1"),
    "a method in small letters": get(line=b"get /healthz HTTP/1.1"),
    "a method with a control character": get(line=b"GE\x01T /healthz HTTP/1.1"),
    "a method with a bracket": get(line=b"G[T /healthz HTTP/1.1"),
    "no method": get(line=b" /healthz HTTP/1.1"),
    "a large method": get(line=b"G" * 20000 + b" /healthz HTTP/1.1"),
    "a large URL": get(line=b"GET /healthz?" + b"a" * 20000 + b" HTTP/1.1"),
    "one word": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32 + b"\r\n\r\n",
}

# What is well-formed though rare: served, and what is behind it too.
WELL_FORMED = {
    "a length": (post(SIZE, body=BODY), 201),
    "a length with spaces around": (post(b"Content-Length: \t 24", body=BODY), 201),
    "a length with zeros before it": (post(b"Content-Length: 0024", body=BODY), 201),
    "chunks": (chunks(CHUNK + b"0\r\n\r\n"), 201),
    "small chunks": (chunks(b"".join(b"1\r\n%c\r\n" % c for c in BODY) + b"0\r\n\r\n"), 201),
    "chunked in capitals": (post(b"transfer-encoding: CHUNKED", body=CHUNK + b"0\r\n\r\n"), 201),
    "a trailer": (chunks(CHUNK + b"0\r\nX: y\r\n\r\n"), 201),
    "a body that nobody needs": (get(SIZE) + BODY, 200),
    "a Host with a port": (get(host=b"Host: [::1]:8080"), 200),
    "a Host with spaces around": (get(host=b"Host: \t x:80 \t "), 200),
    "an empty value": (get(b"X:", b"Y: ", b"Z: z"), 200),
    "a value with spaces around": (get(b"X: \t a b \t ", b"Y:z"), 200),
    "a value beyond ASCII": (get(b"X: \xc3\xa9\xff"), 200),
    "a whole URL": (get(line=b"GET http://x/healthz HTTP/1.1"), 200),
    "an encoded path": (get(line=b"GET /h%65althz HTTP/1.1"), 200),
    "a long URL": (get(line=b"GET /healthz?" + b"a" * 10000 + b" HTTP/1.1"), 400),
    "100 headers": (get(*[b"X%d: y" % n for n in range(100)]), 200),
    "an empty line before it": (b"\r\n" + get(), 200), # libmicrohttpd 1.0 closes at a second one; RFC 9112 asks for one
    "a wish to upgrade": (get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), 200),
}


def host_and_port(daemon):
    host, port = daemon.address.rsplit(":", 1)
    return host, int(port)


def send(daemon, data, pieces=None, timeout=20):
    """What comes back, and whether the connection was closed then."""
    with socket.create_connection(host_and_port(daemon), timeout=timeout) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = b""
        try:
            for piece in pieces or [data]:
                connection.sendall(piece)
            while len(piece := connection.recv(65536)):
                answer += piece
        except TimeoutError:
            return answer, False
        except (ConnectionResetError, BrokenPipeError):
            pass
        return answer, True


def statuses(answer):
    return [int(status) for status in re.findall(rb"(?:^|\n)HTTP/1\.1 (\d\d\d) ", answer)]


@pytest.fixture(scope="module")
def ingest(shared):
    return shared.daemons[0]


@pytest.mark.parametrize("name", MALFORMED)
def test_what_may_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_served(ingest, name):
    answer, closed = send(ingest, MALFORMED[name] + BEHIND)
    assert closed and set(statuses(answer)) <= {400, 413, 414, 431, 505}, answer
    assert ingest.replay(topics="h.smuggled").json["events"] == []


@pytest.mark.parametrize("name", WELL_FORMED)
def test_what_is_well_formed_is_served_and_what_is_behind_it_too(ingest, name):
    request, status = WELL_FORMED[name]
    answer, closed = send(ingest, request + request + get(b"Connection: close"))
    assert closed and statuses(answer) == [status, status, 200], answer


def test_a_chunks_extension_is_passed_over_or_its_request_is_refused(ingest):
    """libmicrohttpd 1.0.1 takes the LF that ends such a line for data, and then refuses the chunk as too long."""
    request = chunks(b"18;a=b\r\n" + BODY + b"\r\n0\r\n\r\n")
    answer, closed = send(ingest, request + get(b"Connection: close"))
    assert closed and statuses(answer) in ([201, 200], [400]), answer


@pytest.mark.parametrize("name", WELL_FORMED)
def test_it_does_not_matter_in_which_pieces_a_request_comes(ingest, name):
    request, status = WELL_FORMED[name]
    whole = request + get(b"Connection: close")
    dice = random.Random(name)
    for step in (1, 50):
        pieces, at = [], 0
        while at < len(whole) and len(pieces) < 400:
            size = dice.randint(1, step)
            pieces.append(whole[at:at + size])
            at += size
        answer, closed = send(ingest, None, pieces + [whole[at:]])
        assert closed and statuses(answer) == [status, 200], answer


def test_no_answer_allows_other_origins(ingest):
    for method, path in (("GET", "/healthz"), ("GET", "/ess/replay"), ("POST", "/ess/publish"), ("OPTIONS", "/ess/publish"), ("GET", "/nowhere")):
        answer = ingest.request(method, path, None, {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"})
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert answer.headers["X-Request-Id"]


def test_without_access_tokens_no_foreign_web_page_may_call(ess):
    ingest = ess.ingest({"ingest.hosts": "ess.example"})

    def status(method="GET", path="/ess/replay", **headers):
        return ingest.request(method, path, None, {name.replace("_", "-"): value for name, value in headers.items()}).status
    own = ingest.address
    for method, path in (("GET", "/ess/replay"), ("POST", "/ess/publish"), ("POST", "/register"), ("GET", "/metrics"), ("DELETE", "/ess/subscribers/a")):
        for headers in ({"Host": "evil.example"}, {"Host": f"rebound.evil.example:{own.split(':')[1]}"}, {"Origin": "https://evil.example"},
                        {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
            assert status(method, path, **headers) == 403, (method, path, headers)
    for headers in ({}, {"Host": "localhost"}, {"Host": "ingest:8080"}, {"Host": "ess.example"}, {"Origin": f"http://{own}"},
                    {"Sec_Fetch_Site": "same-origin"}):
        assert status(**headers) == 200, headers
    assert status(path="/healthz", Host="probe.example") == 200
    assert "ingest.hosts" in ingest.request("GET", "/ess/replay", None, {"Host": "evil.example"}).json["detail"]


def test_without_access_tokens_no_foreign_web_page_reads_a_dispatchers_metrics(ess):
    dispatcher = ess.dispatcher({"dispatcher.hosts": "ess.example"}, ready=False)

    def answer(path="/metrics", **headers):
        return dispatcher.request("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}):
        assert answer(**headers).status == 403, headers
    for headers in ({}, {"Host": "localhost"}, {"Host": "dispatcher:8081"}, {"Host": "ess.example"}):
        assert answer(**headers).status == 200, headers
    assert answer("/healthz", Host="probe.example").status == 200
    assert "dispatcher.hosts" in answer(Host="evil.example").json["detail"]


def test_a_given_request_id_is_kept_and_a_strange_one_is_not(ingest):
    def answered(given):
        return ingest.request("GET", "/healthz", None, {"X-Request-Id": given}).headers["X-Request-Id"]
    assert answered("deploy-7.a_B") == "deploy-7.a_B" and answered("a" * 64) == "a" * 64
    for strange in ("a b", "a\tb", "é", "a" * 65, "<script>", ""):
        assert re.fullmatch("[0-9a-f]{32}", answered(strange.encode("latin-1", "replace"))), strange


# --- those who are slow, and those who are many


class Drip:
    """A connection that sends a byte every 2 s. `until` is when it was seen closed, on time.monotonic()."""

    def __init__(self, daemon, source, first, then):
        self.socket = socket.create_connection(host_and_port(daemon), timeout=PATIENCE_S, source_address=(source, 0))
        self.since, self.until, self.next, self.then = time.monotonic(), None, 0, then
        self.socket.sendall(first)
        self.socket.setblocking(False)

    def go_on(self):
        try:
            if time.monotonic() >= self.next:
                self.next = time.monotonic() + 2
                self.socket.send(self.then)
            if self.socket.recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.socket.close()
        self.until = time.monotonic()


def test_2000_who_drip_are_all_closed_at_their_deadline_and_others_go_on_being_answered(ess):
    ingest = ess.ingest({"ingest.header_timeout": "6s", "ingest.body_timeout": "9s"})
    kinds = [(6, b"GET /healthz HTTP/1.1\r\n", b"X"),                                                    # in the headers
             (6, b"GE", b"T"),                                                                           # in the method
             (9, b"POST /ess/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n", b" "),       # in the body
             (9, b"POST /ess/publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"0")]  # in a chunk's size
    drips = [(kinds[n % 4][0], Drip(ingest, f"127.0.0.{2 + n // 4 % 4}", *kinds[n % 4][1:])) for n in range(2000)]
    published, deadline = 0, time.monotonic() + 60
    while any(drip.until is None for _, drip in drips):
        assert time.monotonic() < deadline, f"{sum(drip.until is None for _, drip in drips)} are still open"
        assert ess.publish("h.honest", published) > 0
        published += 1
        for _, drip in drips:
            if drip.until is None:
                drip.go_on()
    too_early = [(limit, drip.until - drip.since) for limit, drip in drips if drip.until - drip.since < limit - 1]
    assert not too_early and published > 10


def test_a_second_request_that_drips_is_cut_off_too(ess):
    ingest = ess.ingest({"ingest.header_timeout": "1s"})
    drip = Drip(ingest, "127.0.0.1", get() + b"GET /healthz HTTP/1.1\r\n", b"X")
    wait_for(lambda: drip.go_on() or drip.until)


def test_a_second_request_that_drips_from_its_first_byte_on_is_cut_off_too(ess):
    ingest = ess.ingest({"ingest.header_timeout": "1s"})
    drip = Drip(ingest, "127.0.0.1", get(), b"G")
    wait_for(lambda: drip.go_on() or drip.until, 30)  # an idle one may stay for a minute


def test_a_kept_connection_may_be_idle_for_longer_than_headers_may_take(ess):
    ingest = ess.ingest({"ingest.header_timeout": "1s"})
    with socket.create_connection(host_and_port(ingest), timeout=PATIENCE_S) as idle:
        for _ in range(3):
            idle.sendall(get())
            assert statuses(idle.recv(65536)) == [200]
        idle.settimeout(3)
        with pytest.raises(TimeoutError):
            idle.recv(1)


@pytest.mark.parametrize("line, headers, status", [
    (b"POST /ess/publish", [b"X: y"], 413), (b"POST /nowhere", [], 404), (b"PATCH /ess/publish", [], 405),
    (b"POST /ess/publish", [b"Content-Length: 3"], 400), (b"POST /register", [], 413),
], ids=lambda value: str(value))
def test_who_writes_first_and_reads_then_has_the_answer_to_what_was_refused(ingest, line, headers, status):
    size = 9 * 1024 * 1024 if b"X: y" in headers else 900 * 1024
    request = b"\r\n".join([line + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % size, *headers]) + b"\r\n\r\n"
    for _ in range(5):
        with socket.create_connection(host_and_port(ingest), timeout=20) as connection:
            connection.sendall(request)
            for _ in range(size // 16384):
                connection.sendall(b" " * 16384)
            connection.sendall(b" " * (size % 16384))
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            assert statuses(answer) == [status], answer


def test_who_goes_on_writing_after_a_refusal_is_cut_off(ingest):
    began, sent = time.monotonic(), 0
    with socket.create_connection(host_and_port(ingest), timeout=20) as connection, pytest.raises(OSError):
        connection.sendall(post(b"Content-Length: 1000000000", line=b"POST /nowhere HTTP/1.1"))
        while time.monotonic() - began < 60:
            sent += connection.send(b" " * 65536)
    assert sent < 100 * 1024 * 1024


def test_one_address_gets_no_more_connections_than_it_may_and_others_get_theirs(ess):
    ingest = ess.ingest({"ingest.max_connections_per_address": 10, "ingest.max_connections": 15})
    held = [socket.create_connection(host_and_port(ingest), timeout=PATIENCE_S, source_address=("127.0.0.2", 0)) for _ in range(10)]
    wait_for(lambda: ingest.request("GET", "/healthz").status == 200)
    with socket.create_connection(host_and_port(ingest), timeout=PATIENCE_S, source_address=("127.0.0.2", 0)) as refused:
        try:
            refused.sendall(get())
            assert refused.recv(100) == b""
        except ConnectionError:
            pass
    held[0].sendall(get())
    assert held[0].recv(100).startswith(b"HTTP/1.1 200 ")
    for connection in held:
        connection.close()
    assert ingest.request("GET", "/healthz").status == 200


def test_a_connection_beyond_all_waits_until_another_ends(ess):
    ingest = ess.ingest({"ingest.max_connections": 4, "ingest.max_connections_per_address": 0, "ingest.header_timeout": "2s"})
    held = [socket.create_connection(host_and_port(ingest), timeout=PATIENCE_S) for _ in range(8)]
    assert ingest.request("GET", "/healthz").status == 200  # once the deadline has ended those
    for connection in held:
        connection.close()


def test_no_core_is_ever_dumped(ess):
    for daemon in (ess.ingest(), ess.dispatcher()):
        limits = pathlib.Path(f"/proc/{daemon.process.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
