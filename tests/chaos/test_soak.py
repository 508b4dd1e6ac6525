"""An hour in which everything happens: the faults of chaos, endpoints that fall silent, names that move, a broker that closes idle
connections after 10 s, and operators and vendors who replay, redrive, rewind, pause, test, end jobs, skip, delete and register at
random moments. Every few minutes all is healed, and then the world must come to rest: each lane at the end of the log, no job left,
no lane without a timer, a descriptor or a report due. In the end the log is held against what each endpoint saw, as in chaos.

    make soak                        an hour
    SOAK_SEED=7 SOAK_S=300 make soak
"""
import itertools
import os
import random
import time

import faults
import load
import operators
import pytest
import verdict
from ess import Receiver, running_alone, wait_for
from names import NameServer

SECONDS = float(os.environ.get("SOAK_S", 3600))
SEED = int(os.environ.get("SOAK_SEED", 0)) or random.SystemRandom().randrange(1, 10**6)
ROUND_S, REST_S = 150, 240
PUBLISHERS, PER_SEC = 4, 4
NAMES = ["one.soak.test", "two.soak.test"]
SHOWN = 5  # lines of each check


@pytest.fixture
def ess(tmp_path, request):
    """On a broker that closes a connection that was idle for 10 s."""
    with running_alone(tmp_path, settings=["connections.max.idle.ms=10000"]) as ess:
        request.node.ess = ess
        yield ess


def judged(ess):
    """Subscribers whose every webhook is held against the log."""
    named = lambda: Receiver(ess.ca.certificate("soak", ",".join(f"DNS:{name}" for name in NAMES)), host="0.0.0.0")
    return load.subscribers(ess) + [
        load.Subscriber(ess, "named-one", ["chaos.*"], receiver=named(), name=NAMES[0]),
        load.Subscriber(ess, "named-two", ["chaos.a"], receiver=named(), name=NAMES[1], ordering="none", max_in_flight=8),
        load.Subscriber(ess, "strict-rewound", ["chaos.*"], rewound=True),
        load.Subscriber(ess, "key-rewound", ["chaos.*"], rewound=True, ordering="key", max_in_flight=8),
    ]


def passing(ess):
    """Subscribers that are deleted, registered again, replaced and skipped: of them only rest is asked."""
    return [load.Subscriber(ess, f"passing-{n}", ["chaos.*"], refuses=n == 0, ordering=ordering, **{"from": "end"})
            for n, ordering in enumerate(["strict", "key", "none"])]


def is_at_rest(ingest, subscriber, end):
    answer = ingest.get(f"/ess/subscribers/{subscriber.id}")
    status = answer.json["status"] if answer.status == 200 else {}
    return status.get("state") == "active" and status["cursor"] >= end and status["lag"] == 0 and status["jobs"] == []


class World:
    def __init__(self, ess):
        self.ess, self.rng = ess, random.Random(SEED)
        self.names = NameServer(**{name: ["127.0.0.1"] for name in NAMES})
        options = {"egress.dns": self.names.address}
        self.ingests = [ess.ingest(options), ess.ingest({**options, "subscribers.dir": "none"})]
        self.dispatchers = [ess.dispatcher(options) for _ in range(3)]
        self.judged, self.passing = judged(ess), passing(ess)
        ess.receivers += [s.receiver for s in self.judged if s.receiver not in ess.receivers]
        for number, subscriber in enumerate(self.judged):
            subscriber.register(ess, by_file=number % 2 == 0)
        for subscriber in self.passing:
            subscriber.register(ess, by_file=False)
        everyone = self.judged + self.passing
        wait_for(lambda: all(len(i.get("/ess/subscribers").json["subscribers"]) == len(everyone) for i in self.ingests))
        self.acknowledged, self.rounds = {}, 0
        self.operators = operators.Operators(ess, self.ingests, self.judged, self.passing, self.names, random.Random(self.rng.random()), (0.1, 2))
        self.faults = faults.Faults([(3, faults.of_daemon(d)) for d in self.ingests + self.dispatchers] +
                                    [(1, faults.of_broker(ess.broker))] + [(0.3, faults.of_endpoint(s)) for s in self.judged],
                                    self.rng, pause=(1, 8))

    def round(self, seconds):
        """Load, faults and operators for a while; then all is healed and must come to rest."""
        self.rounds += 1
        publishers = [load.Publisher(f"r{self.rounds}p{n}", self.ingests, PER_SEC, random.Random(self.rng.random())) for n in range(PUBLISHERS)]
        self.operators.go_on()
        self.faults.run(seconds)
        self.faults.heal()
        for daemon in self.ingests + self.dispatchers:
            daemon.wait_ready(120)
        for publisher in publishers:
            publisher.stop()
            self.acknowledged.update(publisher.acknowledged)
        self.operators.heal()
        self.rest()

    def rest(self):
        began, end = time.monotonic(), max(cursor for cursor, _, _ in self.acknowledged.values())
        restless = lambda: [s for s in self.judged + self.passing if not is_at_rest(self.ingests[0], s, end)]
        last = []  # who came to rest last: a throttle makes it wait by design, nothing else may

        def is_resting():
            found = [s.id for s in restless()]
            last[:] = found or last
            return not found
        wait_for(is_resting, REST_S, lambda: {s.id: self.ingests[0].get(f"/ess/subscribers/{s.id}").json for s in restless()})
        metrics = [d.metrics() for d in self.dispatchers]
        assert [m["ess_stuck_lanes"] for m in metrics] == [0] * len(metrics)
        assert not (lines := [line for d in self.dispatchers for line in d.lines("lane_without_wakeup")]), lines[:SHOWN]
        memory = [f"{d.metrics()['process_resident_memory_bytes'] / 2**20:.0f}/{d.metrics()['process_open_fds']:.0f}"
                  for d in self.ingests + self.dispatchers]
        print(f"{time.strftime('%H:%M:%S')} round={self.rounds} end={end} rest_s={time.monotonic() - began:.1f} last={','.join(last)} "
              f"memory_mib/descriptors={','.join(memory)} faults={len(self.faults.done)} acts={self.operators.done}", flush=True)

    def wrong(self):
        log = verdict.Log(self.ess)
        print(f"events={len(log.events)} acknowledged={len(self.acknowledged)} webhooks={sum(len(s.receipts) for s in self.judged)} "
              f"dead_letters={sum(map(len, log.dead.values()))}")
        checks = [verdict.acknowledged_is_there(log, self.acknowledged)]
        for subscriber in self.judged:
            checks += [check(log, subscriber) for check in verdict.OF_A_SUBSCRIBER]
        return [line for check in checks for line in itertools.islice(check, SHOWN)]


@pytest.mark.timeout(int(3 * SECONDS + 900))
def test_an_hour_of_faults_and_commands_loses_nothing_and_ends_at_rest(ess):
    print(f"SOAK_SEED={SEED} SOAK_S={SECONDS:.0f}", flush=True)
    world, end = World(ess), time.monotonic() + SECONDS
    while (left := end - time.monotonic()) > 0:
        world.round(min(ROUND_S, max(left, 20)))
    world.operators.stop()
    world.names.close()
    wrong = world.wrong()
    assert not wrong, f"seed {SEED}:\n" + "\n".join(wrong)
