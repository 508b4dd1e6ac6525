"""What operators and vendors do meanwhile: commands at moments that nobody chose for them. Each answer must be one that a client can
act on; a command that an ingest could not take is dropped."""
import http.client
import json
import threading
import time

import load
from ess import wait_for

TAKEN, REFUSED = (200, 201, 202), (404, 409, 429, 503)
SILENT_S, PAUSED_S, HEALED_S = (1, 20), (0.5, 15), 120
REWIND_FAR = 100  # further back than any event that waits


class Operators(threading.Thread):
    """Acts until it is stopped. What it has changed for a while (a pause, a silence) it puts right in `heal`."""

    def __init__(self, ess, ingests, subscribers, passing, names, rng, pause):
        super().__init__(daemon=True)
        self.ess, self.ingests, self.subscribers, self.passing, self.names, self.rng = ess, ingests, subscribers, passing, names, rng
        self.pause, self.done, self.failure, self.due = pause, {}, None, []
        self.rewinds = [s for s in subscribers if s.rewound]
        self._end, self._calm = threading.Event(), threading.Event()
        self._busy = threading.Lock()
        self.start()

    def run(self):
        acts = [self.replay, self.replay, self.redrive, self.rewind, self.pause_one, self.test, self.end_job, self.replace_passing,
                self.delete_passing, self.silence, self.silence, self.move_name, self.resume, self.skip_passing, self.change_filter]
        try:
            while not self._end.wait(self.rng.uniform(*self.pause)):
                with self._busy:
                    self._put_right(time.monotonic())
                    if not self._calm.is_set():
                        self.rng.choice(acts)()
        except Exception as failure:
            self.failure = failure

    def _put_right(self, now):
        for at, act in list(self.due):
            if at <= now:
                self.due.remove((at, act))
                act()

    def heal(self):
        """Puts right all that was changed for a while, and does nothing more until go_on(). A command whose answer was lost may be in
        force: so each subscriber is registered, and resumed, whatever was answered."""
        self._calm.set()
        with self._busy:
            self._put_right(float("inf"))
            self.due.clear()
            for subscriber in self.subscribers + self.passing:
                subscriber.silent = False
                wait_for(lambda: self._is_registered(subscriber) and self._command(subscriber, "resume") is not None, HEALED_S,
                         lambda: f"{subscriber.id} cannot be resumed: {self._status(subscriber)}")
        if self.failure:
            raise self.failure

    def _is_registered(self, subscriber):
        if self._status(subscriber):
            return True
        if subscriber in self.passing:
            self._call("POST", "/register", subscriber.spec())
        return False

    def go_on(self):
        self._calm.clear()

    def stop(self):
        self._end.set()
        self.join()
        if self.failure:
            raise self.failure

    # --- what they do

    def _call(self, method, path, body=None):
        """The answer of an ingest that took it; None: it was refused, or no ingest answered."""
        for ingest in self.rng.sample(self.ingests, len(self.ingests)):
            try:
                status, answer = load.call(ingest, method, path, body)
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                continue
            assert status in TAKEN + REFUSED, f"{method} {path} {body}: {status} {answer}"
            if status in TAKEN:
                return answer or {}
        return None

    def _command(self, subscriber, command, body=None):
        answer = self._call("POST", f"/ess/subscribers/{subscriber.id}/{command}", body or {})
        if answer is not None:
            self.done[command] = self.done.get(command, 0) + 1
        return answer

    def _status(self, subscriber):
        answer = self._call("GET", f"/ess/subscribers/{subscriber.id}")
        return (answer or {}).get("status") or {}

    def _any(self):
        return self.rng.choice(self.subscribers + self.passing)

    def replay(self):
        subscriber = self._any()
        high = self._status(subscriber).get("cursor", 0)
        if high > 1:
            low = self.rng.randrange(max(0, high - 300), high)
            self._command(subscriber, "replay", {"from": low, "to": min(high, low + self.rng.randrange(1, 80))})

    def redrive(self):
        self._command(self._any(), "redrive")

    def rewind(self):
        subscriber = self.rng.choice(self.rewinds)
        cursor = self._status(subscriber).get("cursor", 0)
        if cursor > 2 * REWIND_FAR:
            self._command(subscriber, "rewind", {"cursor": cursor - REWIND_FAR - self.rng.randrange(REWIND_FAR)})

    def pause_one(self):
        subscriber = self._any()
        if self._command(subscriber, "pause") is not None:
            self.due.append((time.monotonic() + self.rng.uniform(*PAUSED_S), lambda: self._command(subscriber, "resume")))

    def resume(self):
        subscriber = self._any()
        if not self.due:
            self._command(subscriber, "resume")

    def test(self):
        self._command(self._any(), "test")

    def end_job(self):
        subscriber = self._any()
        for job in self._status(subscriber).get("jobs", []):
            if self._call("DELETE", f"/ess/subscribers/{subscriber.id}/jobs/{job['job']}") is not None:
                self.done["end job"] = self.done.get("end job", 0) + 1
                return

    def replace_passing(self):
        subscriber = self.rng.choice(self.passing)
        subscriber.fields["throttle"] = self.rng.choice([20, 40, 200])  # above what is published: else the backlog of a round outlasts its rest
        self._call("PUT", f"/ess/subscribers/{subscriber.id}", subscriber.spec())

    def change_filter(self):
        subscriber = self.rng.choice([s for s in self.subscribers if s.changing])
        subscriber.change_filter(self.rng)
        if self._call("PUT", f"/ess/subscribers/{subscriber.id}", subscriber.spec()) is not None:
            self.done["filter changed"] = self.done.get("filter changed", 0) + 1

    def skip_passing(self):
        self._command(self.rng.choice(self.passing), "skip")

    def delete_passing(self):
        subscriber = self.rng.choice(self.passing)
        if self._call("DELETE", f"/ess/subscribers/{subscriber.id}") is None:
            return
        self.done["delete"] = self.done.get("delete", 0) + 1
        again = lambda: self._call("POST", "/register", subscriber.spec())
        self.due.append((time.monotonic() + self.rng.uniform(0, 3), again))

    def silence(self):
        subscriber = self._any()
        subscriber.silent = True
        self.due.append((time.monotonic() + self.rng.uniform(*SILENT_S), lambda: setattr(subscriber, "silent", False)))
        self.done["silence"] = self.done.get("silence", 0) + 1

    def move_name(self):
        name = self.rng.choice(list(self.names.answers))
        self.names.answers[name] = [self.rng.choice(["127.0.0.1", "127.0.0.2", "127.0.0.3"])]
        self.done["name moved"] = self.done.get("name moved", 0) + 1
