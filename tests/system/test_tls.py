"""HTTPS on ingest's own listener."""
import json
import shutil
import socket
import ssl
import subprocess

import pytest

from ess import BUILD, ENVIRONMENT, PATIENCE_S, wait_for


@pytest.fixture
def files(ess):
    """Copies that the test may change."""
    pem, key = ess.folder / "server.pem", ess.folder / "server.key"
    for source, target in zip(ess.ca.certificate(), (pem, key)):
        shutil.copy(source, target)
    return pem, key


@pytest.fixture
def https(ess, files):
    return ess.ingest({"ingest.tls_certificate": files[0], "ingest.tls_key": files[1]}, ready=False)


def connect(daemon, ca, low=ssl.TLSVersion.TLSv1_2, high=ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=ca.pem)
    context.minimum_version, context.maximum_version = low, high
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    host, port = daemon.address.rsplit(":", 1)
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout=PATIENCE_S), server_hostname="localhost")


def exchange(connection, request):
    connection.sendall(request)
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def names(daemon, ca):
    """The names of the certificate that is shown."""
    with connect(daemon, ca) as connection:
        return {value for _, value in connection.getpeercert()["subjectAltName"]}


def request(method, path, body=b""):
    return b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (method, path, len(body), body)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of old versions, which must be refused
def test_everything_is_served_over_tls_1_2_and_1_3_and_nothing_without(ess, https):
    assert https.lines("listening", scheme="https")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        def ready():
            with connect(https, ess.ca, version, version) as connection:
                return exchange(connection, request(b"GET", b"/readyz")).startswith(b"HTTP/1.1 200 ")
        wait_for(ready)
        with connect(https, ess.ca, version, version) as connection:
            body = json.dumps({"topic": "tls.a", "data": "x" * 200_000}).encode()
            assert exchange(connection, request(b"POST", b"/ess/publish", body)).startswith(b"HTTP/1.1 201 ")
        with connect(https, ess.ca, version, version) as connection:
            assert b"x" * 200_000 in exchange(connection, request(b"GET", b"/ess/replay?topics=tls.a"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(https, ess.ca, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    host, port = https.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as plain:
        try:
            assert b"HTTP" not in exchange(plain, request(b"GET", b"/healthz"))
        except ConnectionError:
            pass


def test_a_stream_comes_over_tls_as_it_happens(ess, https):
    wait_for(lambda: https.lines("ready"))
    with connect(https, ess.ca) as stream, stream.makefile("rb") as lines:
        stream.sendall(b"GET /ess/stream?topics=tls.stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert lines.readline().startswith(b"HTTP/1.1 200 ")
        for number in range(3):
            with connect(https, ess.ca) as connection:
                body = json.dumps({"topic": "tls.stream", "data": number}).encode()
                assert exchange(connection, request(b"POST", b"/ess/publish", body)).startswith(b"HTTP/1.1 201 ")
            while not (line := lines.readline()).startswith(b"data: "):
                assert line
            assert json.loads(line[6:])["data"] == number


def test_a_handshake_that_does_not_come_is_cut_off_at_the_headers_deadline(ess, files):
    https = ess.ingest({"ingest.tls_certificate": files[0], "ingest.tls_key": files[1], "ingest.header_timeout": "1s"}, ready=False)
    host, port = https.address.rsplit(":", 1)
    for first in (b"", b"\x16\x03\x01"):
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as silent:
            silent.sendall(first)
            assert silent.recv(100) == b""


def test_a_changed_certificate_is_shown_without_a_restart_and_a_bad_one_is_not(ess, files, https):
    ess.allow("bad_certificate")
    pem, key = files
    new = ess.ca.certificate("renewed", "IP:127.0.0.1,DNS:localhost,DNS:renewed.example")
    assert "renewed.example" not in names(https, ess.ca)
    with connect(https, ess.ca) as before:
        shutil.copy(new[0], pem)  # its key does not fit yet
        assert "is not the key of" in https.wait_line("bad_certificate")["reason"]
        assert "renewed.example" not in names(https, ess.ca)
        shutil.copy(new[1], key)
        wait_for(lambda: "renewed.example" in names(https, ess.ca))
        assert exchange(before, request(b"GET", b"/healthz")).startswith(b"HTTP/1.1 200 ")
    pem.write_text("not a certificate")
    assert "is not a certificate in PEM" in wait_for(lambda: https.lines("bad_certificate")[1:])[0]["reason"]
    key.unlink()
    assert "No such file" in wait_for(lambda: https.lines("bad_certificate")[2:])[0]["reason"]
    assert "renewed.example" in names(https, ess.ca)
    assert "PRIVATE KEY" not in https.text()


@pytest.mark.parametrize("change, reason", [
    (lambda pem, key: pem.unlink(), "server.pem: No such file"),
    (lambda pem, key: key.write_text("x"), "server.key: is not a private key in PEM"),
    (lambda pem, key: shutil.copy(key, pem), "server.pem: is not a certificate in PEM"),
], ids=["no certificate", "no key", "a key for a certificate"])
def test_a_bad_certificate_at_the_start_is_refused(tmp_path, ca, change, reason):
    pem, key = tmp_path / "server.pem", tmp_path / "server.key"
    for source, target in zip(ca.certificate(), (pem, key)):
        shutil.copy(source, target)
    change(pem, key)
    done = subprocess.run([BUILD / "ess-ingest", f"--ingest.tls_certificate={pem}", f"--ingest.tls_key={key}", "--ingest.listen=127.0.0.1:0"],
                          cwd=tmp_path, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and reason in done.stderr, done.stderr


def test_a_certificate_needs_its_key(tmp_path):
    done = subprocess.run([BUILD / "ess-ingest", "--ingest.tls_certificate=x.pem"], cwd=tmp_path, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "ingest.tls_key" in done.stderr, done.stderr
