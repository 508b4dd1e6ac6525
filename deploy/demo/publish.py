#!/usr/bin/env python3
"""Publishes a file of events, one JSON object a line, over one kept-alive connection, and prints a summary.

After a 503 the event is sent again with the id from the answer, so that it is not appended twice. Without any answer the id is not
known, and the event may be appended twice: a publisher can prevent that with its own `id`.
"""
import argparse
import http.client
import json
import sys
import time
import urllib.parse

TIMEOUT_S = 10
GIVE_UP_S = 60  # of an event
AWAY_RETRY_S = 0.5


class Refused(Exception):
    pass


class Publisher:
    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        self.connection = kind(self.url.hostname, self.url.port, timeout=TIMEOUT_S)
        self.retries = 0

    def post(self, event):
        """Status, body and Retry-After of one attempt; status 0: there was no answer."""
        body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
        try:
            self.connection.request("POST", self.url.path, body, {"Content-Type": "application/json"})
            response = self.connection.getresponse()
            return response.status, response.read(), response.headers.get("Retry-After")
        except (OSError, http.client.HTTPException) as wrong:
            self.connection.close()
            return 0, str(wrong).encode(), None

    def publish(self, event):
        """Sends the event until it is in Kafka. Returns the answer."""
        deadline = time.monotonic() + GIVE_UP_S
        while True:
            status, body, retry_after = self.post(event)
            if status in (200, 201):
                return json.loads(body)
            if status not in (0, 503) or time.monotonic() > deadline:
                raise Refused(f"{status or 'no answer'}: {body.decode(errors='replace').strip()}")
            self.retries += 1
            if status == 503:
                event = {**event, "id": json.loads(body)["id"]}
            time.sleep(float(retry_after) if retry_after and retry_after.isdigit() else AWAY_RETRY_S)


def main():
    parser = argparse.ArgumentParser(description="Publishes a file of events, one JSON object a line.")
    parser.add_argument("file")
    parser.add_argument("--url", default="http://127.0.0.1:8080/ess/publish")
    parser.add_argument("--rate", type=float, default=100, help="events a second at most (default 100)")
    options = parser.parse_args()
    publisher, cursors, began = Publisher(options.url), [], time.monotonic()
    with open(options.file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                cursors.append(publisher.publish(json.loads(line))["cursor"])
            except (Refused, ValueError, KeyError) as wrong:
                sys.exit(f"publish: {options.file}:{number}: {wrong}")
            time.sleep(max(0, began + number / options.rate - time.monotonic()))
    seconds = time.monotonic() - began
    retried = f", {publisher.retries} sent again" if publisher.retries else ""
    span = f", cursors {cursors[0]} to {cursors[-1]}" if cursors else ""
    print(f"publish: {len(cursors)} events in {seconds:.1f} s{span}{retried}", flush=True)


if __name__ == "__main__":
    main()
