"""HTTP/1.1 to one server, over connections that are kept alive. Never follows a redirect."""
from __future__ import annotations

import http.client
import json
import ssl
from collections import deque
from typing import Any, Deque, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from .errors import EssError, error_of_answer, error_of_network

ANSWER_BYTES_MAX = 32 << 20  # ESS answers with 8 MiB at most
IDLE_MAX = 16                # idle connections to keep


class Http:
    """May be used by several threads: each request has a connection to itself."""

    def __init__(self, url: str, tls: Optional[ssl.SSLContext]) -> None:
        self._idle: Deque[http.client.HTTPConnection] = deque()
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
            raise ValueError(f"the url must be such as http://127.0.0.1:8080, without credentials or a query: {parts.scheme}://{parts.hostname}")
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._shown = url.rstrip("/")

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:  # another thread took it
                return

    def _kept(self, timeout: float) -> Optional[http.client.HTTPConnection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            return None
        if connection.sock:
            connection.sock.settimeout(timeout)
        return connection

    def _new(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)

    def _exchange(self, connection: http.client.HTTPConnection, method: str, path: str, body: Optional[bytes],
                  headers: Mapping[str, str]) -> Tuple[http.client.HTTPResponse, bytes]:
        connection.request(method, self._base + path, body, dict(headers))
        response = connection.getresponse()
        answer = response.read(ANSWER_BYTES_MAX + 1)
        if len(answer) > ANSWER_BYTES_MAX:
            raise http.client.HTTPException(f"the answer is longer than {ANSWER_BYTES_MAX} bytes")
        return response, answer

    def _answered(self, connection: http.client.HTTPConnection, *request: Any) -> Tuple[http.client.HTTPResponse, bytes]:
        """Makes a request on the connection. Keeps the connection afterwards, if the answer was read to its end."""
        try:
            response, answer = self._exchange(connection, *request)
        except BaseException:
            connection.close()
            raise
        if response.will_close or len(self._idle) >= IDLE_MAX:
            connection.close()
        else:
            self._idle.append(connection)
        return response, answer

    def _request(self, timeout: float, *request: Any) -> Tuple[http.client.HTTPResponse, bytes]:
        kept = self._kept(timeout)
        if kept:
            try:
                return self._answered(kept, *request)
            except ConnectionError:  # the server has closed the idle connection
                self.close()
        return self._answered(self._new(timeout), *request)

    def call(self, method: str, path: str, body: Optional[bytes], headers: Mapping[str, str], timeout: float) -> Any:
        """Returns the JSON of a 2xx answer, and raises an EssError otherwise. `timeout` limits each wait, in seconds. Only for requests that
        may be sent twice."""
        url = self._shown + path
        try:
            response, answer = self._request(timeout, method, path, body, headers)
        except (OSError, http.client.HTTPException) as cause:
            raise error_of_network(url, cause, timeout) from cause
        if not 200 <= response.status < 300:
            raise error_of_answer(url, response.status, response.reason, response.headers.get, answer)
        try:
            return json.loads(answer)
        except ValueError as cause:
            raise EssError(f"{url}: the answer is no JSON; is it ESS that listens there?", status=response.status) from cause
