"""The receiver's half, without a server: the test vectors that all clients share, and what is Python's own."""
import json
import pathlib
import threading
import unittest

from hms_ess import EssError, Gap, GapDetector, VerificationError, verify

VECTORS = json.loads((pathlib.Path(__file__).resolve().parents[2] / "vectors.json").read_text(encoding="utf-8"))
SAYS = {"header": "header webhook-[a-z]+ is missing", "timestamp": "away from this clock", "signature": "signature does not fit",
        "secret": "secret is (missing|damaged)", "body": "no JSON"}


class Verify(unittest.TestCase):
    def test_every_vector_is_judged_as_it_says(self):
        for vector in VECTORS["signatures"]:
            with self.subTest(vector["name"]):
                call = {"tolerance": vector.get("tolerance", 300), "now": vector["now"]}
                given = (vector["body"].encode(), vector["headers"], vector["secrets"])
                if not vector["error"]:
                    self.assertEqual(verify(*given, **call), json.loads(vector["body"]))
                    continue
                kind = ValueError if vector["error"] == "secret" else VerificationError
                self.assertRaisesRegex(kind, SAYS[vector["error"]], verify, *given, **call)

    def test_a_signature_by_public_key_alone_is_never_good(self):
        """The standard library has no Ed25519."""
        for vector in (one for one in VECTORS["public_key_signatures"] if one["error"] in (None, "signature")):
            with self.subTest(vector["name"]):
                given = (vector["body"].encode(), vector["headers"], "another secret")
                self.assertRaisesRegex(VerificationError, SAYS["signature"], verify, *given, now=vector["now"])

    def test_every_kind_of_body_headers_and_secret_is_taken(self):
        good = VECTORS["signatures"][0]
        body, headers, secret = good["body"].encode(), good["headers"], good["secrets"][0]
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        for raw in (body, bytearray(body), memoryview(body), body.decode()):
            for those in (headers, list(headers.items()), pairs):
                self.assertEqual(verify(raw, those, secret, now=good["now"])["cursor"], 2)
        with self.assertRaisesRegex(TypeError, "raw bytes as they came, before any parsing, not dict"):
            verify(json.loads(body), headers, secret, now=good["now"])
        with self.assertRaisesRegex(ValueError, "secret is missing"):
            verify(body, headers, None, now=good["now"])
        with self.assertRaises(EssError):  # by the real clock it is years old
            verify(body, headers, secret)


def cursor_of(event):
    return event.get("cursor", int(event["sequence"]) if "sequence" in event else None)


class Failure(Exception):
    pass


class Receiver:
    """A receiver in front of one story's detector."""

    def __init__(self, cursor):
        self.gaps = GapDetector(cursor, fetch_missing=self.fetch)
        self.step, self.asked, self.handled = {}, None, []

    def fetch(self, gap):
        self.asked = gap
        if self.step.get("fetch_fails"):
            raise Failure
        yield from self.step["fetched"]

    def handle(self, event):
        if "fails_at" in self.step and cursor_of(event) == self.step["fails_at"]:
            raise Failure
        self.handled.append(cursor_of(event))

    def take(self, step):
        """Whether it failed."""
        self.step, self.asked, self.handled = step, None, []
        try:
            self.gaps.take(json.loads(step["body"]) if "body" in step else step["event"], self.handle, replay=step.get("replay", False))
        except Failure:
            return True
        return False


class Gaps(unittest.TestCase):
    def test_every_story_goes_as_it_says(self):
        for story in VECTORS["gaps"]:
            receiver = Receiver(story["cursor"])
            for number, step in enumerate(story["steps"]):
                with self.subTest(story["name"], step=number):
                    failed = receiver.take(step)
                    self.assertEqual(failed, "fails_at" in step or step.get("fetch_fails", False))
                    self.assertEqual(receiver.asked, Gap(**step["gap"]) if "gap" in step else None)
                    self.assertEqual((receiver.handled, receiver.gaps.cursor), (step["handled"], step["cursor"]))

    def test_a_repeat_that_comes_while_the_first_is_handled_waits_and_is_dropped(self):
        begun, may_end, handled = threading.Event(), threading.Event(), []

        def slow(event):
            handled.append(event["cursor"])
            begun.set()
            may_end.wait(30)
        gaps = GapDetector(5, fetch_missing=lambda gap: ())
        threads = [threading.Thread(target=gaps.take, args=({"cursor": 6, "prev_cursor": 5}, slow)) for _ in range(2)]
        threads[0].start()
        self.assertTrue(begun.wait(30))
        threads[1].start()
        may_end.set()
        for thread in threads:
            thread.join(30)
        self.assertEqual((handled, gaps.cursor), ([6], 6))


if __name__ == "__main__":
    unittest.main()
