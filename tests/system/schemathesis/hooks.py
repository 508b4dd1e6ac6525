"""What schemathesis cannot know by itself; named by SCHEMATHESIS_HOOKS."""
import json

import schemathesis
from hypothesis import strategies

# One that every field of this kind takes: their limits differ, and no pattern can say them.
schemathesis.openapi.format("ess-duration", strategies.sampled_from(["60s", "1m", "90s", "5m"]))

# Lines of NDJSON.
EVENT = strategies.fixed_dictionaries({"topic": strategies.sampled_from(["a", "drug.copay"]), "data": strategies.integers() | strategies.text()})
schemathesis.openapi.media_type("application/x-ndjson", strategies.lists(EVENT, min_size=1, max_size=5).map(
    lambda events: "".join(f"{json.dumps(event)}\n" for event in events).encode()))


@schemathesis.hook
def map_body(context, body):
    """To JSON Schema 7.0 is an integer; a cursor is written as 7."""
    if isinstance(body, float) and body.is_integer():
        return int(body)
    if isinstance(body, list):
        return [map_body(context, item) for item in body]
    if isinstance(body, dict):
        return {name: map_body(context, value) for name, value in body.items()}
    return body


@schemathesis.hook
def before_call(context, case, kwargs):
    """A read that may wait does not. A body of white space, which counts as {}, is no bad one."""
    if isinstance(case.body, bytes) and not case.body.strip():
        case.body = b"{"
    if case.operation.path in ("/ess/poll", "/ess/subscribers/{id}/next") and str((case.query or {}).get("wait", 0)).isdecimal() and int((case.query or {}).get("wait", 0)) <= 60:
        case.query = {**(case.query or {}), "wait": 0}
