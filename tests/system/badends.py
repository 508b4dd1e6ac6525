"""Endpoints that misbehave on purpose, on loopback, a thread a connection. Each way is a method that gets the connection."""
import re
import socket
import ssl
import struct
import threading
import time

from listener import Listener


class BadEnd(Listener):
    """`way` is one of the methods below. Keeps the cursor and attempt of each whole request."""

    def __init__(self, certificate, way):
        self.requests, self.unasked, self.hung_up = [], False, threading.Event()
        self.serve = getattr(self, way)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(*certificate)
        super().__init__()
        self.url = f"https://127.0.0.1:{self.port}/hook"

    def _request(self, connection):
        """The TLS connection, once its request is there: whoever closes with some of it unread resets the connection."""
        tls = self._tls.wrap_socket(connection, server_side=True)
        came = b""
        while not (whole := re.match(rb"(?is).*content-length: (\d+).*?\r\n\r\n", came)) or len(came) < whole.end() + int(whole[1]):
            piece = tls.recv(65536)
            if not piece:
                raise OSError("it was closed in the middle of a request")
            came += piece
        self.requests.append(tuple(int(re.search(rb"(?i)\r\nx-ess-%s: (\d+)" % name, came)[1]) for name in (b"cursor", b"attempt")))
        return tls

    def _wait(self):
        while self._open:
            time.sleep(0.1)

    def says_nothing_in_the_handshake(self, connection):
        connection.recv(1)
        self._wait()

    def says_nothing_to_a_request(self, connection):
        tls = self._request(connection)
        self._wait()
        tls.close()

    def drips(self, connection):
        tls = self._request(connection)
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000:
            if not self._open:
                return
            tls.sendall(bytes([byte]))
            time.sleep(1)

    def resets(self, connection):
        self._request(connection).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def sends_endless_headers(self, connection):
        tls = self._request(connection)
        tls.sendall(b"HTTP/1.1 200 OK\r\n")
        while self._open:
            tls.sendall(b"X-More: %s\r\n" % (b"x" * 1000))

    def sends_an_endless_body(self, connection):
        tls = self._request(connection)
        tls.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while self._open:
            tls.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    def redirects(self, connection):
        tls = self._request(connection)
        tls.sendall(b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n")

    def speaks_no_tls(self, connection):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        connection.recv(65536)

    def closes_when_a_second_request_comes(self, connection):
        """What looks alive until it is used."""
        tls = self._request(connection)
        self._answer(tls, b"")
        tls.recv(1)

    def sends_an_answer_that_nobody_asked_for(self, connection):
        """`hung_up` is set once the client has closed its connection for that."""
        tls = self._request(connection)
        self._answer(tls, b"")
        if self.unasked:
            return self._wait()
        self.unasked = True
        self._answer(tls, b"")
        try:
            tls.recv(1)
        except OSError:
            pass
        self.hung_up.set()
        self._wait()

    def ends_a_body_too_early(self, connection):
        self._request(connection).sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")

    def ends_in_its_headers(self, connection):
        """At its first request; the next ones are answered."""
        tls = self._request(connection)
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Le" if len(self.requests) == 1 else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def ends_without_close_notify(self, connection):
        self._request(connection).sendall(b"HTTP/1.0 200 OK\r\n\r\nthank you")

    def _answer(self, tls, body):
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
