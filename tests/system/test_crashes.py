"""kill -9 of all dispatchers right after commands were given: each is applied once in the end, whatever the kill came between.

Dispatchers are held by SIGSTOP while commands of every kind are given to many subscribers; they wake, and are killed when they have
applied none, a few, or all of them. Each kind has a story below: what goes before its command, and what must have come of it.
"""
import collections
import concurrent.futures
import json
import random
import re
import signal
import time

import pytest
import standardwebhooks

from ess import Answer, wait_for

EACH = 5  # subscribers of each story
APPLIED_BEFORE_KILL = [None, 3, 15, 30]  # a round each, so that every command is given 20 times; None: they do not even wake
RECOVERED_S = 60  # a session of the group is 10 s; only a failing test ever waits that long
HERITAGE = ["paused", "job", "disabled", "rewound"]


class World:
    """Two ingests, two dispatchers, and one receiver for all: each subscriber has a path of its own."""

    def __init__(self, ess):
        self.ess, self.ingests, self.dispatchers = ess, [ess.ingest(), ess.ingest({"subscribers.dir": "none"})], [ess.dispatcher(), ess.dispatcher()]
        self.receiver, self.got, self.rules, self.cursors = ess.receiver(), collections.defaultdict(list), {}, []
        self.receiver.answer = self.answer
        self.pool = concurrent.futures.ThreadPoolExecutor(16)
        self.round = 0

    def answer(self, request):
        id = request.path.split("/")[1]
        self.got[id].append(request)
        return self.rules.get(id, lambda request: Answer())(request)

    def publish(self, data):
        self.cursors.append(self.ess.publish("crash.a", data))
        return self.cursors[-1]

    def call(self, method, path, body=None):
        """To either ingest. Its answer, which must be 2xx."""
        answer = random.choice(self.ingests).request(method, path, json.dumps(body) if body is not None else None)
        assert answer.status in (201, 202), (method, path, answer)
        return answer.json

    def each(self, what, stories):
        """`what` of each of them, at once."""
        return list(self.pool.map(what, stories))

    def signal(self, number):
        for dispatcher in self.dispatchers:
            dispatcher.signal(number)

    def applied(self):
        return [line for dispatcher in self.dispatchers for line in dispatcher.lines("command_applied")]

    def kill(self):
        for dispatcher in self.dispatchers:
            dispatcher.kill9()

    def restart(self):
        for dispatcher in self.dispatchers:
            dispatcher.start(ready=False)
        for dispatcher in self.dispatchers:
            dispatcher.wait_ready(RECOVERED_S)


class Story:
    """A subscriber, and what is told of it in each round."""

    silent = False  # what is published afterwards does not come

    def __init__(self, world, number):
        self.world, self.number, self.id = world, number, f"{type(self).__name__.lower()}-{number}"
        self.generation, self.registrations = -1, 0
        self.register()

    def register(self, **fields):
        self.registrations += 1
        self.registration = self.world.call("POST", "/register", {
            "id": self.id, "url": self.world.receiver.url(f"/{self.id}"), "topics": ["crash.*"], "backoff_min": "50ms", "backoff_max": "100ms",
            "max_attempts": 1000, "headers": {"X-Registration": str(self.registrations)}, **fields})

    def command(self, name, body=None, method="POST"):
        answer = self.world.call(method, f"/ess/subscribers/{self.id}/{name}", body)
        self.generation = answer["generation"]
        return answer

    def done(self, name, body=None, method="POST"):
        """A command that is in force."""
        answer = self.command(name, body, method)
        self.wait(lambda status: status["generation"] >= self.generation)
        return answer

    def status(self):
        answer = self.world.ingests[0].get(f"/ess/subscribers/{self.id}")
        return answer.json["status"] if answer.status == 200 else {"gone": True}

    def wait(self, condition):
        return wait_for(lambda: (status := self.status()) and condition(status) and status, RECOVERED_S, lambda: f"{self.id}: {self.status()}")

    @property
    def requests(self):
        return [r for r in list(self.world.got[self.id]) if r.headers["X-Registration"] == str(self.registrations)]

    def counts(self, since=0, replay=None):
        """How often each cursor came."""
        return collections.Counter(r.cursor for r in self.requests[since:] if "X-ESS-Cursor" in r.headers and r.headers["X-ESS-Replay"] == replay)

    def wait_counts(self, wanted, most=2, **which):
        """Until just these cursors came, each once, or once more for the kill."""
        wait_for(lambda: set(self.counts(**which)) >= set(wanted), RECOVERED_S,
                 lambda: f"{self.id} lacks {sorted(set(wanted) - set(self.counts(**which)))}: {self.status()}")
        counts = self.counts(**which)
        assert set(counts) == set(wanted) and max(counts.values()) <= most, f"{self.id}: {counts}, wanted {wanted}"

    # what each kind tells

    def prepare(self):
        """Brings it where its command makes a difference."""

    def settled(self):
        """What came before is in the log, so that a kill repeats none of it."""
        self.wait(lambda status: status["cursor"] >= self.world.cursors[-1])

    def give(self):
        """The command."""

    def check(self):
        """What came of it, after the kill."""
        self.wait(lambda status: status["generation"] >= self.generation)

    def check_marker(self, cursor):
        """And of an event that was published after that."""
        wait_for(lambda: self.counts()[cursor], RECOVERED_S, lambda: f"{self.id} lacks {cursor}: {self.status()}")


class Pause(Story):
    silent = True

    def prepare(self):
        if self.status()["state"] == "paused":
            self.done("resume")
        self.wait(lambda status: status["state"] == "active")

    def give(self):
        self.command("pause")

    def check(self):
        super().check()
        assert self.status()["state"] == "paused"

    def check_marker(self, cursor):
        assert not self.counts()[cursor]


class Resume(Story):

    def prepare(self):
        self.done("pause")

    def settled(self):
        assert not self.counts()[self.world.cursors[-1]]

    def give(self):
        self.command("resume")

    def check(self):
        super().check()
        self.check_marker(self.world.cursors[-1])
        assert self.status()["state"] == "active"


class Rewind(Story):

    def give(self):
        self.since, self.to = len(self.requests), self.world.cursors[3]
        self.command("rewind", {"cursor": self.to})

    def check(self):
        super().check()
        self.wait_counts(self.world.cursors[4:], since=self.since)


class Replay(Story):

    def give(self):
        self.command("replay", {"from": self.world.cursors[2], "to": self.world.cursors[8]})

    def check(self):
        super().check()
        self.wait_counts(self.world.cursors[3:9], replay=str(self.generation))
        self.wait(lambda status: status["jobs"] == [])


class EndJob(Story):

    def prepare(self):
        self.world.rules[self.id] = lambda request: Answer(503 if "X-ESS-Replay" in request.headers else 200)
        self.job = self.done("replay", {"from": 0, "to": self.world.cursors[4]})["generation"]
        wait_for(lambda: self.counts(replay=str(self.job)))

    def give(self):
        self.command(f"jobs/{self.job}", method="DELETE")

    def check(self):
        super().check()
        assert self.status()["jobs"] == []
        self.since = len(self.requests)

    def check_marker(self, cursor):
        super().check_marker(cursor)
        assert not self.counts(since=self.since, replay=str(self.job))


class Redrive(Story):
    """Of dead letters since the last redrive: there is one more in each round."""


    def prepare(self):
        refused = lambda request: request.json["data"] == "refused" and "X-ESS-Replay" not in request.headers
        self.world.rules[self.id] = lambda request: Answer(400 if refused(request) else 200)

    def settled(self):
        self.wait(lambda status: status["dead_lettered"] == self.world.round)

    def give(self):
        self.letter = self.world.cursors[-1]
        self.command("redrive", {})

    def check(self):
        super().check()
        self.wait_counts([self.letter], replay=str(self.generation))
        self.wait(lambda status: status["jobs"] == [])


class Rotate(Story):

    def prepare(self):
        self.old = self.registration["whsec"]

    def give(self):
        self.registration = self.command("rotate", {"overlap": "1h"})

    def check_marker(self, cursor):
        super().check_marker(cursor)
        request = next(r for r in self.requests if r.cursor == cursor)
        for secret in (self.old, self.registration["whsec"]):
            standardwebhooks.Webhook(secret).verify(request.body, dict(request.headers))


class Token(Story):

    def give(self):
        assert self.command("token")["token"] != self.registration["token"]


class Probe(Story):
    """A test delivery."""

    def tests(self):
        return collections.Counter(r.headers["webhook-id"] for r in self.requests if "X-ESS-Cursor" not in r.headers)

    def give(self):
        self.before = self.tests()
        self.command("test", {"data": {"hello": 1}})

    def check(self):
        super().check()
        wait_for(lambda: self.tests()[f"ess-test-{self.generation}"], RECOVERED_S)
        assert not set(self.tests()) - set(self.before) - {f"ess-test-{self.generation}"}


class Put(Story):

    def give(self):
        fields = {name: value for name, value in self.world.ingests[0].get(f"/ess/subscribers/{self.id}").json.items() if name != "status"}
        fields["url"] = self.world.receiver.url(f"/{self.id}/{self.world.round}")
        self.generation = self.world.call("PUT", f"/ess/subscribers/{self.id}", fields)["generation"]

    def check_marker(self, cursor):
        super().check_marker(cursor)
        assert {r.path for r in self.requests if r.cursor == cursor} == {f"/{self.id}/{self.world.round}"}


class Delete(Story):
    silent = True

    def prepare(self):
        if self.status().get("gone"):
            self.register()

    def give(self):
        self.world.call("DELETE", f"/ess/subscribers/{self.id}")

    def check(self):
        assert self.status().get("gone")

    def check_marker(self, cursor):
        assert not self.counts()[cursor]


class Again(Story):
    """Deleted, and registered again under the same id: both before the kill, or one before and one after it."""

    def prepare(self):
        self.heritage = HERITAGE[(self.number + self.world.round) % len(HERITAGE)]
        if self.heritage == "paused":
            self.done("pause")
        elif self.heritage == "job":
            self.world.rules[self.id] = lambda request: Answer(503 if "X-ESS-Replay" in request.headers else 200)
            self.done("replay", {"from": 0, "to": self.world.cursors[5]})
        elif self.heritage == "disabled":
            self.world.rules[self.id] = lambda request: Answer(410)
            self.done("rewind", {"cursor": 0})
            self.wait(lambda status: status["state"] == "disabled")

    def settled(self):
        if self.heritage in ("job", "rewound"):
            super().settled()

    def give(self):
        if self.heritage == "rewound":
            self.command("rewind", {"cursor": 0})
        self.world.call("DELETE", f"/ess/subscribers/{self.id}")
        if self.early():
            self.register_again()

    def early(self):
        return (self.number + self.world.round // 2) % 2 == 0

    def register_again(self):
        wait_for(lambda: all(i.get(f"/ess/subscribers/{self.id}").status == 404 for i in self.world.ingests))
        self.world.rules.pop(self.id, None)
        self.generation = -1
        self.register(**{"from": self.world.cursors[3]})

    def check(self):
        if not self.early():
            self.register_again()
        self.wait(lambda status: status.get("delivered") == len(self.world.cursors) - 4)
        self.wait_counts(self.world.cursors[4:])
        status = self.status()
        assert status["state"] == "active" and status["jobs"] == [] and status["dead_lettered"] == 0, status


ONE_SHOT = [Resume, Rewind, Replay, EndJob, Redrive, Probe]  # commands that are applied; the others are specs, keys and wanted states
STORIES = [*ONE_SHOT, Pause, Rotate, Token, Put, Delete, Again]


def commands_left(ess):
    """Commands that are still in the log."""
    newest = {record.key(): record.value() for record in ess.records("subscribers") if b"/cmd/" in record.key()}
    return [key for key, value in newest.items() if value]


def killed_after(world, applied):
    """Wakes the dispatchers, and kills them when they have applied so many commands more."""
    if applied is not None:
        target = len(world.applied()) + applied
        world.signal(signal.SIGCONT)
        wait_for(lambda: len(world.applied()) >= target)
    world.kill()


@pytest.mark.timeout(300)
def test_every_command_is_applied_once_though_the_dispatchers_are_killed_as_soon_as_it_is_given(ess):
    world = World(ess)
    stories = world.each(lambda make: make[0](world, make[1]), [(kind, n) for kind in STORIES for n in range(EACH)])
    wait_for(lambda: all(len(i.get("/ess/subscribers").json["subscribers"]) == len(stories) for i in world.ingests))
    for n in range(12):
        world.publish(n)
    for applied in APPLIED_BEFORE_KILL:
        world.round += 1
        world.each(lambda story: story.prepare(), stories)
        world.publish("refused")
        world.each(lambda story: story.settled(), stories)
        world.signal(signal.SIGSTOP)
        world.each(lambda story: story.give(), random.sample(stories, len(stories)))
        killed_after(world, applied)
        world.restart()
        world.each(lambda story: story.check(), stories)
        marker = world.publish("marker")
        for silent in (False, True):
            world.each(lambda story: story.check_marker(marker), [story for story in stories if story.silent == silent])

    # Whatever was applied is done for good: another kill brings none of it back.
    wait_for(lambda: not commands_left(ess), told=lambda: commands_left(ess))
    loud = [story for story in stories if not story.silent]
    world.each(lambda story: Story.settled(story), loud)
    world.kill()
    before = {story.id: len(world.got[story.id]) for story in stories}
    applied = len(world.applied())
    world.restart()
    last = world.publish("last")
    world.each(lambda story: story.check_marker(last), loud)
    assert {story.id: len(world.got[story.id]) - before[story.id] for story in stories} == {story.id: not story.silent for story in stories}
    assert len(world.applied()) == applied
    assert max(collections.Counter((line["subscriber"], line["generation"]) for line in world.applied()).values()) <= 2


def pad(ess, id, records=4):
    """So much that what comes after it in the partition of a subscriber's records is read after its token."""
    partition = next(record.partition() for record in ess.records("subscribers") if record.key() == id.encode())
    for n in range(records):
        ess.append("subscribers", f"\0pad-{n}", b"x" * 900_000, partition)


def test_the_deletion_of_one_that_had_its_id_takes_no_token_from_who_has_it_now(ess):
    ingest, dispatcher, receiver = ess.ingest(), ess.dispatcher(), ess.receiver()
    registration = json.dumps({"id": "again", "url": receiver.url(), "topics": ["a"], "from": "beginning"})
    assert ingest.post(registration, "/register").status == 201
    pad(ess, "again")
    cursors = [ess.publish("a", n) for n in range(3)]
    receiver.wait(3)
    assert ingest.request("DELETE", "/ess/subscribers/again").status == 202
    assert ingest.post(registration, "/register").status == 201
    receiver.wait(6)
    wait_for(lambda: ingest.status("again").get("cursor") == cursors[-1])
    dispatcher.restart()
    cursors.append(ess.publish("a", "last"))
    wait_for(lambda: receiver.cursors()[-1] == cursors[-1])
    assert receiver.cursors() == cursors[:3] + cursors


def test_commands_to_one_that_is_deleted_before_they_are_read_leave_the_log_with_it(ess):
    ingest, dispatcher, receiver = ess.ingest(), ess.dispatcher(), ess.receiver()
    for id in ("gone", "again"):
        registration = json.dumps({"id": id, "url": receiver.url(), "topics": ["a"]})
        assert ingest.post(registration, "/register").status == 201
    for id in ("gone", "again"):
        dispatcher.wait_line("subscriber_started", subscriber=id)
    dispatcher.term()
    for id in ("gone", "again"):
        assert ingest.request("POST", f"/ess/subscribers/{id}/rewind", '{"cursor":0}').status == 202
        assert ingest.request("DELETE", f"/ess/subscribers/{id}").status == 202
    assert ingest.post(registration, "/register").status == 201
    assert len(commands_left(ess)) == 2
    dispatcher.start()
    wait_for(lambda: not commands_left(ess), told=lambda: commands_left(ess))
    wait_for(lambda: not tokens_left(ess, "gone"))


def test_commands_of_nobody_leave_the_log_as_soon_as_kafka_takes_it(ess):
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    registration = json.dumps({"id": "gone", "url": "https://vendor.example/", "topics": ["a"]})
    assert ingest.post(registration, "/register").status == 201
    dispatcher.wait_line("subscriber_started", subscriber="gone")
    dispatcher.term()
    assert ingest.request("POST", "/ess/subscribers/gone/rewind", '{"cursor":0}').status == 202
    command = next(record for record in ess.records("subscribers") if b"/cmd/" in record.key())
    assert ingest.request("DELETE", "/ess/subscribers/gone").status == 202
    ess.broker.alter_topic(ess.topic("subscribers"), max_message_bytes="10")
    dispatcher.start(ready=False)
    assert "too large" in dispatcher.wait_line("command_not_removed", subscriber="gone")["reason"].lower()
    ess.broker.alter_topic(ess.topic("subscribers"), max_message_bytes="1048588")
    wait_for(lambda: not commands_left(ess))
    for restart in (False, True):  # one that comes after the spec's tombstone, to a dispatcher that runs, or before it starts
        if restart:
            dispatcher.term()
        ess.append("subscribers", command.key(), command.value(), command.partition())
        if restart:
            assert commands_left(ess)
            dispatcher.start()
        wait_for(lambda: not commands_left(ess))


def tokens_left(ess, id):
    return [record for record in ess.records("tokens") if record.key() == id.encode()][-1].value()

# --- what a successor sends again

RATE, EVENTS, IN_FLIGHT = 20, 340, 8
SLOW_BROKER_S = 1  # what a token may take into the log, on a machine with other work


class Course:
    """A subscriber that has a long way to go, at RATE a second: by its live lane, or by a job."""

    def __init__(self, ess, receiver, cursors, ordering, by_job):
        self.id, self.receiver, self.cursors, self.job = f"{ordering}-{'job' if by_job else 'live'}", receiver, cursors, None
        fields = {"ordering": ordering} if ordering == "strict" else {"ordering": ordering, "max_in_flight": IN_FLIGHT}
        ingest = ess.daemons[0]
        answer = ingest.post(json.dumps({"id": self.id, "url": receiver.url(), "topics": ["course"], "throttle": RATE,
                                         "from": "end" if by_job else "beginning", **fields}), "/register")
        assert answer.status == 201, answer
        if by_job:
            answer = ingest.post(json.dumps({"from": 0, "to": cursors[-1]}), f"/ess/subscribers/{self.id}/replay")
            assert answer.status == 202, answer
            self.job = str(answer.json["generation"])

    def requests(self):
        return [r for r in list(self.receiver.requests) if r.headers["X-ESS-Subscriber"] == self.id and r.headers["X-ESS-Replay"] == self.job]

    def came(self):
        return {r.cursor for r in self.requests()}

    def repeats(self):
        return {cursor for cursor, count in collections.Counter(r.cursor for r in self.requests()).items() if count > 1}

    def settled(self, ess):
        """Of its cursors, those that its newest token in the log has as settled."""
        token = json.loads([record.value() for record in ess.records("tokens") if record.key() == self.id.encode()][-1])
        if self.job is not None:
            token = next(iter(token.get("jobs", [])), {"position": self.cursors[-1]})
        return {c for c in self.cursors if c <= token["position"] or any(low <= c <= high for low, high in token.get("settled", []))}


def owned(dispatcher):
    names = (re.fullmatch(r'ess_subscriber_lag_events\{subscriber="(.+)"\}', name) for name in dispatcher.metrics())
    return {name[1] for name in names if name}


@pytest.mark.timeout(240)
def test_a_successor_repeats_nothing_after_sigterm_and_at_most_a_second_after_kill_9(ess):
    receiver, dispatchers = ess.receiver(), []
    receiver.answer = lambda request: Answer(delay=random.uniform(0, 0.1))
    ess.ingest()
    dispatchers = [ess.dispatcher(), ess.dispatcher()]
    cursors = [ess.publish("course", n, key=f"key-{n % 5}") for n in range(EVENTS)]
    courses = [Course(ess, receiver, cursors, ordering, by_job) for ordering in ("strict", "key", "none") for by_job in (False, True)]
    ids = {course.id for course in courses}

    def all_came(count):
        wait_for(lambda: all(len(course.came()) >= min(count, EVENTS) for course in courses), RECOVERED_S,
                 lambda: {course.id: len(course.came()) for course in courses})

    def shared():
        return all(map(owned, dispatchers)) and owned(dispatchers[0]) | owned(dispatchers[1]) == ids

    all_came(40)
    assert shared()
    dispatchers[0].term()
    all_came(100)
    dispatchers[0].start()
    wait_for(shared)
    all_came(140)
    assert {course.id: course.repeats() for course in courses} == dict.fromkeys(ids, set()), "sent again after SIGTERM, or at a join"

    orphans = [course for course in courses if course.id in owned(dispatchers[1])]
    dispatchers[1].kill9()
    killed_at = time.monotonic()
    settled = {course: course.settled(ess) for course in orphans}
    late = {course: {r.cursor for r in course.requests() if r.at > killed_at - 1 - SLOW_BROKER_S} for course in orphans}
    all_came(EVENTS)
    for course in courses:
        assert course.came() == set(cursors)
        repeats = course.repeats()
        if course not in orphans:
            assert not repeats, course.id
            continue
        assert not repeats & settled[course], course.id
        assert len(repeats - late[course]) <= IN_FLIGHT, f"{course.id}: {repeats}, of the last moments {late[course]}"
