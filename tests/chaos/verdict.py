"""What must be true in the end, of the log and of what each endpoint saw. Each check returns what is wrong, a line each."""
import bisect
import collections
import itertools
import json
import math
import time

SHOWN = 5
THROTTLE_SLACK_S = 0.002  # of the clocks


class Log:
    """The events as they stand in Kafka, read without ESS."""

    def __init__(self, ess):
        self.events = {}
        for record in ess.records("events"):
            if record.value() is not None and not record.key().startswith(b"\0"):
                self.events[record.offset()] = json.loads(record.value())
        self.dead = collections.defaultdict(set)
        for record in ess.records("dlq"):
            self.dead[record.key().decode()].add(json.loads(record.value())["cursor"])

    def wanted(self, subscriber):
        return [cursor for cursor, event in self.events.items() if subscriber.wants(event)]

    def possible(self, subscriber):
        """What it may get; more than what it wants while its filter changes."""
        return {cursor for cursor, event in self.events.items() if subscriber.may_get(event)}


def few(items):
    items = list(items)
    return f"{items[:SHOWN]}{f' and {len(items) - SHOWN} more' if len(items) > SHOWN else ''}"


def acknowledged_is_there(log, acknowledged):
    for id, (cursor, topic, data) in acknowledged.items():
        event = log.events.get(cursor)
        if not event or (event["id"], event["topic"], event["data"]) != (id, topic, data):
            yield f"{id} was acknowledged at {cursor}, where the log has {event}"


def settled(log, subscriber):
    """What was delivered, or given up by a dead letter."""
    return {r.cursor for r in subscriber.receipts if r.job is None and r.status // 100 == 2} | log.dead[subscriber.id]


def all_is_settled(log, subscriber):
    """And nothing came that is not for it."""
    wanted = log.wanted(subscriber)
    if missing := sorted(set(wanted) - settled(log, subscriber)):
        yield f"{subscriber.id} never got {few(missing)} of {len(wanted)}"
    if strange := {r.cursor for r in subscriber.receipts} - log.possible(subscriber):
        yield f"{subscriber.id} got {few(strange)}, which are not for it"
    for cursor in log.dead[subscriber.id]:
        if not (subscriber.refuses and cursor % 23 == 0):
            yield f"{subscriber.id}: a dead letter of {cursor}, which nobody refused"


def firsts(subscriber):
    """The first receipt of each event of the live lane, as they came."""
    first = {}
    for receipt in subscriber.receipts:
        if receipt.job is None:
            first.setdefault(receipt.cursor, receipt)
    return list(first.values())


def order_is_kept(log, subscriber):
    """An event that an earlier filter excluded comes late where a dispatcher begins again at a checkpoint before it."""
    if subscriber.ordering == "none":
        return
    newest, wanted = collections.defaultdict(int), set(log.wanted(subscriber))
    for receipt in firsts(subscriber):
        event = log.events[receipt.cursor]
        key = (event["topic"], event.get("key")) if subscriber.ordering == "key" else None
        if receipt.cursor < newest[key] and receipt.cursor in wanted:
            yield f"{subscriber.id}: {receipt.cursor} came first after {newest[key]} ({key})"
        newest[key] = max(newest[key], receipt.cursor)


def repeats_are_the_same(log, subscriber):
    bodies, left_out = {}, {"cursor", "prev_cursor"} | ({"data"} if subscriber.fields.get("content") == "id" else set())
    for receipt in subscriber.receipts:
        stored = log.events.get(receipt.cursor, {})
        if receipt.id != stored.get("id"):
            yield f"{subscriber.id}: {receipt.cursor} came as {receipt.id}, {receipt.body[:200]}"
        elif {name: value for name, value in receipt.event.items() if name not in ("cursor", "prev_cursor")} != \
                {name: value for name, value in stored.items() if name not in left_out}:
            yield f"{subscriber.id}: {receipt.cursor} is not what was stored: {receipt.body[:200]}"
        elif receipt.job is None and not (subscriber.rewound or subscriber.changing) and \
                bodies.setdefault(receipt.cursor, receipt.body) != receipt.body:
            yield f"{subscriber.id}: {receipt.cursor} came with other bytes: {receipt.body[:200]}, before: {bodies[receipt.cursor][:200]}"


def chain_is_whole(log, subscriber):
    """prev_cursor names the subscriber's own event before it; before the first, where it began."""
    if subscriber.changing:
        yield from chain_spans_no_event(log, subscriber)
        return
    wanted = log.wanted(subscriber)
    before = dict(zip(wanted, [0, *wanted]))
    for receipt in firsts(subscriber):
        if receipt.cursor in before and receipt.event["prev_cursor"] != before[receipt.cursor]:
            yield f"{subscriber.id}: {receipt.cursor} says {receipt.event['prev_cursor']} was before it, not {before[receipt.cursor]}"


def chain_spans_no_event(log, subscriber):
    """While the filter changes: prev_cursor names a settled event, or where it began, and spans no event that each filter wants. Without
    strict order, the event that it names may have waited for its next attempt when a filter came that excludes it."""
    wanted = log.wanted(subscriber)
    names = {0} | (settled(log, subscriber) if subscriber.ordering == "strict" else log.possible(subscriber))
    for receipt in subscriber.receipts:
        if receipt.job is None:
            prev = receipt.event["prev_cursor"]
            spanned = wanted[bisect.bisect_right(wanted, prev):bisect.bisect_left(wanted, receipt.cursor)]
            if prev not in names or prev >= receipt.cursor or spanned:
                yield f"{subscriber.id}: {receipt.cursor} says that {prev} was before it, and spans {few(spanned)}"


def throttle_holds(log, subscriber):
    """Of requests whose sender still waited when they were read: only then is the time that of the attempt. On a busy machine an
    endpoint's thread may read others long after their attempt was over."""
    if not subscriber.throttle:
        return
    burst = math.ceil(subscriber.throttle)
    window, times = burst / subscriber.throttle, sorted(r.at for r in subscriber.receipts if not r.gone)
    for earlier, later in zip(times, itertools.islice(times, burst, None)):
        if later - earlier < window - THROTTLE_SLACK_S:
            yield f"{subscriber.id}: {burst + 1} within {later - earlier:.3f} s, window {window:.3f} s, {time.monotonic() - later:.0f} s ago"


def job_is_done(log, subscriber, job, low, high):
    wanted, possible = ({c for c in cursors if low < c <= high} for cursors in (log.wanted(subscriber), log.possible(subscriber)))
    done = {r.cursor for r in subscriber.receipts if r.job == job and (r.status // 100 == 2 or r.status == 400)}
    if not wanted <= done <= possible:
        yield f"{subscriber.id}: job {job} of {low}..{high} lacks {few(wanted - done)}, and has {few(done - possible)}"


def heartbeats_are_true(log, subscriber):
    """Who has got a heartbeat has everything up to its cursor, and its prev_cursor is the newest event of these."""
    wanted, settled_at = log.wanted(subscriber), {cursor: 0 for cursor in log.dead[subscriber.id]}
    for receipt in subscriber.receipts:
        if receipt.job is None and receipt.status // 100 == 2:
            settled_at.setdefault(receipt.cursor, receipt.at)
    for at, cursor, prev in subscriber.heartbeats:
        told = wanted[:bisect.bisect_right(wanted, cursor)]
        if prev != (told[-1] if told else 0) or any(settled_at.get(c, at + 1) > at for c in told):
            yield f"{subscriber.id}: the heartbeat of {cursor} names {prev}, and {few(c for c in told if settled_at.get(c, at + 1) > at)} came later"


OF_A_SUBSCRIBER = (all_is_settled, order_is_kept, repeats_are_the_same, chain_is_whole, throttle_holds, heartbeats_are_true)
