"""Errors. Each message is for people, and says what to do next."""
from __future__ import annotations

import json
import socket
import ssl
from typing import Any, Callable, Mapping, Optional


class EssError(Exception):
    """`status` is the HTTP status of the answer; 0: no answer. `problem` has the members of the answer's body (RFC 9457); `field`, `index`, `id`
    and `cursor` are attributes too. `retryable`: the same call may succeed later, but not before `retry_after` seconds."""

    def __init__(self, message: str, *, status: int = 0, problem: Optional[Mapping[str, Any]] = None, retryable: bool = False,
                 retry_after: float = 0) -> None:
        super().__init__(message)
        self.status, self.problem, self.retryable, self.retry_after = status, dict(problem or {}), retryable, retry_after
        self.field: Optional[str] = self.problem.get("field")
        self.index: Optional[int] = self.problem.get("index")
        self.id: Optional[str] = self.problem.get("id")
        self.cursor: Optional[int] = self.problem.get("cursor")


class VerificationError(EssError):
    """A webhook that cannot be trusted; the message says why. Answer it with 401."""


# 502 and 504 come from a proxy: the ingest behind it ended or did not answer, and may have taken the event.
RETRYABLE = frozenset((429, 502, 503, 504))

_ADVICE = {
    401: "give an access token: ESS_TOKEN, or Client(token=…)",
    403: "ask an operator for a token with that scope",
    413: "share large data by a link",
}


def _problem(body: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {"detail": body[:200].decode("utf-8", "replace")}


def _seconds(text: Optional[str]) -> float:
    return float(text) if text and text.isascii() and text.isdigit() else 0


def error_of_answer(url: str, status: int, reason: str, header: Callable[[str], Optional[str]], body: bytes) -> EssError:
    """The error for an answer that is not 2xx."""
    problem = _problem(body)
    place = header("Location") if 300 <= status < 400 else None
    advice = f"it points to {place}, where nothing is sent; is ESS_URL right?" if place else _ADVICE.get(status)
    said = problem.get("detail") or problem.get("title") or reason
    return EssError(f"{url}: {status} {said}" + (f"; {advice}" if advice else ""), status=status, problem=problem,
                    retryable=status in RETRYABLE, retry_after=_seconds(header("Retry-After")))


def error_of_network(url: str, cause: Exception, timeout: float) -> EssError:
    """The error for a connection that failed, or a time-out. It is retryable, unless the server's certificate is not trusted."""
    retryable = True
    if isinstance(cause, (socket.timeout, TimeoutError)):
        said = f"no answer within {timeout:g} s; is ess-ingest overloaded, or Kafka away?"
    elif isinstance(cause, ConnectionRefusedError):
        said = "connection refused; is ess-ingest running there? Set ESS_URL, or Client(url=…)"
    elif isinstance(cause, socket.gaierror):
        said = "the host is not known; check ESS_URL, or Client(url=…)"
    elif isinstance(cause, ssl.SSLCertVerificationError):
        said, retryable = f"its certificate is not trusted ({cause.verify_message}); give its CA by Client(tls=…)", False
    else:
        said = f"the connection failed ({cause or type(cause).__name__}); call again, with the same id for a publish"
    return EssError(f"{url}: {said}", retryable=retryable)
