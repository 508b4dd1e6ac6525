"""Publishing and reading: against servers on loopback that fail in every way, and against a real ess-ingest where ESS_URL names one."""
import collections
import contextlib
import http.server
import json
import os
import socket
import threading
import time
import unittest
from unittest import mock

import hms_ess
from hms_ess import Client, EssError, client as client_module

Answer = collections.namedtuple("Answer", "status headers body")
TAKEN = Answer(201, {}, None)  # with the event's own id
UNAVAILABLE = Answer(503, {}, {"title": "Service Unavailable"})
CUT, SILENT = "cut", "silent"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = self.server
        server.requests.append((self.path, self.headers, body))
        answer = server.answers.pop(0) if server.answers else TAKEN
        if answer == SILENT:
            server.released.wait(30)
        if answer in (CUT, SILENT):
            self.close_connection = True
            return
        payload = {"cursor": 7, "id": json.loads(body)["id"]} if answer.body is None else answer.body
        text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        self.close_connection |= server.closes

    do_GET = do_POST = handle_any

    def log_message(self, format, *args):
        pass


@contextlib.contextmanager
def flaky(*answers, closes=False):
    """A server that gives these answers, and then takes what comes. `closes`: each connection after its answer, without a word."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.requests, server.closes, server.released = list(answers), [], closes, threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Failing(unittest.TestCase):
    def test_503_a_proxy_that_gives_up_and_lost_connections_are_tried_again_with_the_same_id(self):
        proxy = [Answer(status, {}, b"<html>") for status in (502, 504, 429)]
        with flaky(UNAVAILABLE, CUT, *proxy, UNAVAILABLE) as server, Client(server.url) as client:
            published = client.publish("a", 1)
            self.assertEqual(published.cursor, 7)
            self.assertEqual(len(server.requests), 7)
            self.assertEqual({json.loads(body)["id"] for _, _, body in server.requests}, {published.id})
            self.assertEqual({headers["X-ESS-Id"] for _, headers, _ in server.requests}, {published.id})

    def test_retry_after_is_kept_to_and_one_beyond_a_minute_is_reported(self):
        waits = []
        with mock.patch.object(client_module.time, "sleep", waits.append):
            with flaky(UNAVAILABLE._replace(headers={"Retry-After": "3"})) as server, Client(server.url) as client:
                client.publish("a", 1)
            self.assertEqual(waits, [3])
            with flaky(UNAVAILABLE._replace(headers={"Retry-After": "3600"})) as server, Client(server.url) as client:
                with self.assertRaises(EssError) as caught:
                    client.publish("a", 1, id="mine")
            self.assertEqual((caught.exception.retry_after, caught.exception.id, len(waits)), (3600, "mine", 1))

    def test_retries_are_bounded_and_the_error_has_the_id_to_send_again(self):
        with flaky(*[UNAVAILABLE] * 9) as server, Client(server.url, retries=2) as client:
            with self.assertRaises(EssError) as caught:
                client.publish("a", 1)
            error = caught.exception
            self.assertEqual((len(server.requests), error.status, error.retryable), (3, 503, True))
            self.assertEqual(error.id, json.loads(server.requests[0][2])["id"])

    def test_a_connection_that_the_server_has_closed_is_no_failure(self):
        with flaky(closes=True) as server, Client(server.url, retries=0) as client:
            for _ in range(5):
                client.publish("a", 1)
            self.assertEqual(len({json.loads(body)["id"] for _, _, body in server.requests}), 5)

    def test_the_header_names_the_event_also_one_with_a_cursor_and_of_a_batch_the_first(self):
        with flaky(TAKEN, Answer(201, {}, {"cursor": 1, "id": "x"}), Answer(201, {}, {"cursor": 1, "id": "x"}),
                   Answer(201, {}, {"results": []})) as server, Client(server.url) as client:
            client.publish("a.b", 1, id="plain")
            client.publish("a.b", 1, cursor=5)
            client.publish("a", None, id="not \n printable")
            client.publish_batch([{"topic": "a", "data": 1, "id": "x"}, {"topic": "a", "data": 1, "id": "y"}])
            self.assertEqual([headers["X-ESS-Id"] for _, headers, _ in server.requests], ["plain", "a/b:5", None, "x"])
            self.assertEqual(json.loads(server.requests[2][2]), {"topic": "a", "data": None, "id": "not \n printable"})

    def test_nothing_is_sent_where_a_redirect_points(self):
        with flaky() as elsewhere, flaky(Answer(307, {"Location": f"{elsewhere.url}/x"}, {})) as server, Client(server.url, "t0ken") as client:
            with self.assertRaisesRegex(EssError, elsewhere.url) as caught:
                client.publish("a", 1)
            self.assertEqual((elsewhere.requests, caught.exception.retryable), ([], False))

    def test_errors_say_what_to_do_next(self):
        def said(url, words, *, retryable, **options):
            with Client(url, retries=0, **options) as client, self.assertRaisesRegex(EssError, words) as caught:
                client.publish("a", 1)
            self.assertEqual(caught.exception.retryable, retryable)
        said(f"http://127.0.0.1:{closed_port()}", "is ess-ingest running there. Set ESS_URL", retryable=True)
        with flaky(SILENT) as server:
            said(server.url, "no answer within 0.1 s", retryable=True, timeout=0.1)
        with flaky(Answer(401, {}, {"title": "Unauthorized"})) as server:
            said(server.url, "401 Unauthorized; give an access token", retryable=False)
        with flaky(Answer(200, {}, b"<html>hello")) as server:
            said(server.url, "is it ESS that listens there", retryable=False)
        with mock.patch.dict(os.environ, {"ESS_URL": ""}), self.assertRaisesRegex(ValueError, "must be such as http://127"):
            Client("127.0.0.1:8080")

    def test_a_replay_that_stands_still_ends(self):
        page = Answer(200, {}, {"events": [], "cursor": 5, "more": True})
        with flaky(page, page, page) as server, Client(server.url) as client, self.assertRaisesRegex(EssError, "stands still at cursor 5"):
            list(client.replay())

    def test_what_is_no_event_is_refused_before_it_is_sent(self):
        client = Client(f"http://127.0.0.1:{closed_port()}")
        for batch in ([], [{"topic": "a", "data": n} for n in range(1001)], {"topic": "a", "data": 1}, "text"):
            self.assertRaisesRegex(ValueError, "1 to 1000", client.publish_batch, batch)
        self.assertRaisesRegex(ValueError, "an event must be such as", client.publish_batch, [{"topic": "a"}])
        self.assertRaises(ValueError, client.publish, "a", float("nan"))
        self.assertRaises(TypeError, client.publish, "a", object())


@unittest.skipUnless(os.environ.get("ESS_URL"), "ESS_URL names no ess-ingest")
class Real(unittest.TestCase):
    def setUp(self):
        self.client, self.topic = Client(), f"python.p{os.getpid()}"
        self.addCleanup(self.client.close)

    def test_an_event_is_published_once_and_read_back(self):
        first = hms_ess.publish(self.topic, {"copay": 25.5, "name": "Zoë"}, key="k", id=f"once-{time.time_ns()}")
        again = hms_ess.publish(self.topic, {"copay": 25.5, "name": "Zoë"}, key="k", id=first.id)
        self.assertEqual(again, (first.cursor, first.id, True))
        event, = self.client.replay(first.cursor - 1, topics=[self.topic])
        self.assertEqual((event["data"], event["key"], event["id"]), ({"copay": 25.5, "name": "Zoë"}, "k", first.id))
        with self.assertRaises(EssError) as caught:
            hms_ess.publish(self.topic, "other", id=first.id)
        self.assertEqual((caught.exception.status, caught.exception.cursor), (409, first.cursor))

    def test_a_batch_gives_results_in_order_and_a_replay_reads_it_in_pages(self):
        results = self.client.publish_batch([{"topic": self.topic, "data": n} for n in range(5)])
        self.assertEqual(sorted(results), results)
        events = list(self.client.replay(results[0].cursor - 1, results[3].cursor, self.topic, limit=2))
        self.assertEqual([event["data"] for event in events], [0, 1, 2, 3])
        self.assertEqual(events[1]["prev_cursor"], events[0]["cursor"])

    def test_a_filter_selects_by_content(self):
        results = self.client.publish_batch([{"topic": self.topic, "data": {"state": state}} for state in ("MD", "VA", "MD")])
        begin, md = results[0].cursor - 1, {"data": {"state": ["MD"]}}
        self.assertEqual([event["cursor"] for event in self.client.replay(begin, topics=self.topic, filter=md)], [results[0].cursor, results[2].cursor])
        polled = self.client.poll(begin, self.topic, filter=md, stop=iter((False, True)).__next__)
        self.assertEqual([event["cursor"] for event in polled], [results[0].cursor, results[2].cursor])

    def test_poll_waits_for_what_comes_and_ends_when_it_is_to_stop(self):
        begin = self.client.publish(self.topic, "before").cursor
        events, ended = self.client.poll(begin, self.topic, wait=5), threading.Event()
        self.client.publish(self.topic, "first")
        self.assertEqual(next(events)["data"], "first")
        later = threading.Timer(0.2, self.client.publish, (self.topic, "second"))
        later.start()
        self.assertEqual(next(events)["data"], "second")
        later.join()
        ended.set()
        self.assertEqual(list(self.client.poll(begin, self.topic, stop=ended.is_set)), [])
        from_the_end = self.client.poll(topics="python.nobody", wait=0, stop=iter((False, False, True)).__next__)
        self.assertEqual(list(from_the_end), [])

    def test_a_pulled_subscriber_is_consumed_each_event_until_it_is_acknowledged_without_a_gap(self):
        topic = f"{self.topic}.pulled"
        registered = self.client._call("POST", "/register", json.dumps({"topics": [topic]}).encode())
        id, published = registered["id"], []
        for n in range(4):
            published.append(self.client.publish(topic, n).cursor)
            self.client.publish(self.topic, "between")
        page = self.client.next(id, limit=2)
        self.assertEqual([event["cursor"] for event in page.events], published[:2])
        self.assertTrue(page.more)
        self.assertEqual(self.client.ack(id, published[0]), published[0])
        self.assertEqual(self.client.ack(id, 0), published[0])
        gaps, taken = hms_ess.GapDetector(published[0], fetch_missing=lambda gap: self.fail(f"a gap: {gap}")), []
        for event in self.client.consume(id, limit=2, wait=5):
            gaps.take(event, lambda one: taken.append(one["cursor"]))
            if len(taken) == 3:
                break
        self.assertEqual(taken, published[1:])
        self.assertEqual([event["cursor"] for event in self.client.next(id).events], published[3:])  # the last page was not done
        self.assertEqual(list(self.client.consume(id, stop=lambda: True)), [])
        with self.assertRaises(EssError) as caught:
            self.client.ack(id, published[3] + 10**6)
        self.assertEqual((caught.exception.status, caught.exception.field), (400, "cursor"))
        with self.assertRaises(ValueError):
            self.client.next(id, wait=61)

    def test_a_refusal_names_what_is_to_blame(self):
        with self.assertRaises(EssError) as caught:
            self.client.publish("no good", 1)
        self.assertEqual((caught.exception.status, caught.exception.field, caught.exception.retryable), (400, "topic", False))
        with self.assertRaises(EssError) as caught:
            self.client.publish_batch([{"topic": self.topic, "data": 1}, {"topic": "", "data": 1}])
        self.assertEqual(caught.exception.index, 1)


if __name__ == "__main__":
    unittest.main()
