#!/usr/bin/env python3
"""A subscriber of the demo: takes webhooks by HTTPS, verifies each one and prints a line about it.

The answer is 200 for every path, unless the file of --answers holds another status, optionally followed by the only path to get it.
/slow answers after 50 ms, like a legacy machine that needs a throttle.
Secrets come from the same folders of YAML files that ess-ingest watches.
"""
import argparse
import base64
import datetime
import hashlib
import hmac
import http.server
import json
import pathlib
import re
import signal
import socketserver
import ssl
import sys
import threading
import time

SLOW_S = 0.05
IDLE_S = 300
HANDSHAKE_S = 10
BODY_BYTES_MAX = 2 * 1024 * 1024
TIMESTAMP_TOLERANCE_S = 300  # Standard Webhooks: a stranger may have recorded an older attempt and send it again


def scalar(text):
    """The value of a YAML line like `id: "x"  # why`. Enough for an id and a secret; Debian's Python has no YAML parser."""
    quoted = re.match(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*(#.*)?$""", text)
    if not quoted:
        return re.sub(r"\s+#.*", "", text).strip()
    if text[0] == "'":
        return quoted[1][1:-1].replace("''", "'")
    try:
        return json.loads(quoted[1])
    except ValueError:
        return None


def signing_key(secret):
    """A whsec_ secret is base64 of the key; any other secret is the key itself."""
    if secret.startswith("whsec_"):
        return base64.b64decode(secret.removeprefix("whsec_"))
    return secret.encode()


class Keys:
    """Signing keys by subscriber. Read again when a signature is wrong, because the secret may have been edited."""

    def __init__(self, folders, secrets):
        self.folders = folders
        self.others = [signing_key(secret) for secret in secrets]
        self.keys = {}

    def read(self):
        keys = {}
        for path in sorted(path for folder in self.folders for path in folder.glob("*.y*ml")):
            try:
                found = dict(re.findall(r"^(id|secret):[ \t]*(.+?)[ \t\r]*$", path.read_text(), re.M))
                keys.setdefault(scalar(found["id"]), signing_key(scalar(found["secret"])))
            except (OSError, ValueError, KeyError, AttributeError):
                continue  # half written or bad: ess-ingest reports the error
        self.keys = keys

    def get(self, subscriber):
        """The subscriber's key, or the keys of --secret for a subscriber registered by HTTP, which no file defines."""
        return [self.keys[subscriber]] if subscriber in self.keys else self.others


def verify(key, headers, body):
    """The name of the header that is wrong; None when both signatures are right."""
    expected = hmac.new(key, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, headers.get("X-ESS-Signature", "")):
        return "X-ESS-Signature"
    sent = headers.get("webhook-timestamp", "")
    signed = f"{headers.get('webhook-id', '')}.{sent}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    if not any(hmac.compare_digest(expected, one) for one in headers.get("webhook-signature", "").split(" ")):
        return "webhook-signature"
    if not sent.isdigit() or abs(time.time() - int(sent)) > TIMESTAMP_TOLERANCE_S:
        return "webhook-timestamp"
    return None


def milliseconds_since(ts, now):
    try:
        then = datetime.datetime.fromisoformat(ts.upper())  # RFC 3339 allows t and z
        return f"{(now - then.timestamp()) * 1000:6.0f} ms"
    except (ValueError, AttributeError):
        return "     ? ms"


class Desk:
    """Checks webhooks and prints a line for each, one at a time, so that lines stay in the order of arrival."""

    def __init__(self, keys):
        self.keys = keys
        self.newest = {}  # cursor by subscriber
        self.lock = threading.Lock()

    def signature(self, subscriber, headers, body):
        for attempt in (1, 2):
            wrong = [verify(key, headers, body) for key in self.keys.get(subscriber)]
            if None in wrong:
                return "signature ok"
            if attempt == 1:
                self.keys.read()
        return f"SIGNATURE WRONG ({wrong[0]})" if wrong else "signature unknown (none of the files has its secret)"

    def sequence(self, subscriber, event):
        """prev_cursor is the previous event of this subscriber's stream, so it must be the newest cursor that has arrived."""
        cursor, previous, newest = event["cursor"], event["prev_cursor"], self.newest.get(subscriber)
        if newest is not None and cursor <= newest:
            return "repeat"
        self.newest[subscriber] = cursor
        if newest is None or previous == newest:
            return None
        if previous > newest:
            return f"GAP (nothing came between {newest} and {cursor}, but prev_cursor is {previous})"
        return f"ODD prev_cursor {previous}, below {newest} which came before"

    def take(self, headers, body, now, status):
        subscriber = headers.get("X-ESS-Subscriber", "?")
        job, attempt = headers.get("X-ESS-Replay"), headers.get("X-ESS-Attempt", "1")
        with self.lock:
            notes = [self.signature(subscriber, headers, body)]
            try:
                event = json.loads(body)
                topic, cursor = event["topic"], event.get("cursor", "test")
                notes.append(milliseconds_since(event.get("ts"), now))
                taken = status == 200 and "cursor" in event
                notes.append(f"replay {job}" if job else self.sequence(subscriber, event) if taken else None)
            except (ValueError, TypeError, KeyError, AttributeError) as wrong:
                topic, cursor = headers.get("X-ESS-Topic", "?"), headers.get("X-ESS-Cursor", "?")
                notes.append(f"BODY WRONG ({wrong!r})")
            notes.append(f"attempt {attempt}" if attempt != "1" else None)
            notes.append(f"answered {status}" if status != 200 else None)
            when = datetime.datetime.fromtimestamp(now).strftime("%H:%M:%S.%f")[:-3]
            show(f"{when}  {subscriber:<13} {topic:<22} cursor {cursor:<6} {'  '.join(note for note in notes if note)}")


def show(line):
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except OSError:
        pass  # the terminal is gone; deploy/demo/run ends this program


def status_for(path, answers):
    """The status to answer, from the file of --answers."""
    try:
        words = answers.read_text().split()
        status = int(words[0])
    except (OSError, ValueError, IndexError, AttributeError):
        return 200
    return status if 200 <= status <= 599 and words[1:] in ([], [path]) else 200


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_S

    def answer(self, status, text=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if status != 200:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self):
        now = time.time()
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self.answer(413 if length.isdigit() else 411)
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return
        status = status_for(self.path, self.server.answers)
        self.server.desk.take(self.headers, body, now, status)
        if self.path == "/slow":
            time.sleep(SLOW_S)
        self.answer(status)

    def do_GET(self):
        self.answer(200, "the demo's receiver: send webhooks by POST\n")

    def log_message(self, format, *args):
        pass  # Desk.take prints the line


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def finish_request(self, request, client_address):
        """The TLS handshake runs in the connection's own thread, so that a stalled handshake holds up no other connection."""
        request.settimeout(HANDSHAKE_S)
        with self.tls.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def handle_error(self, request, client_address):
        """A broken connection is ignored, because the sender repeats. Anything else is a bug here and prints its trace."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description="Takes webhooks by HTTPS, verifies them and prints a line for each.")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any")
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--secrets", type=pathlib.Path, action="append", required=True, help="a folder of subscribers' YAML files; may be repeated")
    parser.add_argument("--secret", action="append", default=[], help="secret of subscribers that no file defines; may be repeated")
    parser.add_argument("--answers", type=pathlib.Path, help="a file with the status to answer, such as: 503 /hook/copay")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server = Server((options.address, options.port), Handler)
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(options.certificate, options.key)
    except OSError as wrong:
        sys.exit(f"receiver: {options.address}:{options.port}, certificate {options.certificate}: {wrong}")
    keys = Keys(options.secrets, options.secret)
    keys.read()
    server.desk, server.answers = Desk(keys), options.answers
    show(f"receiver: listening on https://{options.address}:{server.server_address[1]}")
    server.serve_forever()


if __name__ == "__main__":
    main()
