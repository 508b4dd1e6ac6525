"""The key file: made once, by whichever ingest is first; without the right one nothing starts."""
import hashlib
import json
import os
import re
import secrets
import stat

import pytest

from ess import wait_for


@pytest.fixture
def sealed(ess):
    """A subscriber whose secret is sealed; ingest has ended again."""
    ess.ingest()
    dispatcher = ess.dispatcher()
    receiver = ess.receiver()
    ess.subscribe("md-mm1", receiver, ["drug.copay"])
    dispatcher.term()
    ess.daemons[0].term()
    return ess, ess.daemons[0], dispatcher, receiver


def key_of(ess):
    return ess.folder / "secrets.key"


def write_key(ess, *keys, mode=0o600):
    key_of(ess).unlink(missing_ok=True)
    key_of(ess).write_text("".join(f"{key}\n" for key in keys))
    key_of(ess).chmod(mode)


def key_id(key):
    return hashlib.sha256(bytes.fromhex(key)).hexdigest()[:8]


def key_ids(ess):
    """Of the keys that have sealed the secrets that are in force."""
    newest = {m.key(): m.value() for m in ess.records("subscribers")}
    return {json.loads(value)["secret"].split(":")[0] for key, value in newest.items() if key.endswith(b"/keys") and value}


def refused(daemon):
    daemon.start(ready=False)
    reason = daemon.wait_line("bad_key_file")["reason"]
    assert daemon.wait_exit() == 1
    return reason


def delivers(ess, receiver):
    before = len(receiver.requests)
    cursor = ess.publish("drug.copay", 1)
    receiver.wait(before + 1)
    return receiver.requests[before].cursor == cursor


def test_ingests_that_start_at_once_share_the_key_file_that_one_of_them_makes(ess):
    ingests = [ess.ingest(ready=False) for _ in range(3)]
    for ingest in ingests:
        ingest.wait_ready()
    assert sum(len(ingest.lines("key_file_made")) for ingest in ingests) == 1
    ess.dispatcher()
    receiver = ess.receiver()
    ess.subscribe("md-mm1", receiver, ["drug.copay"])
    cursors = [ess.publish("drug.copay", {"n": n}, ingest) for n, ingest in enumerate(ingests)]
    receiver.wait(3)
    assert receiver.cursors() == cursors


def test_it_is_64_hex_digits_for_its_owner_alone_and_stays_as_it_is(sealed):
    ess, ingest, dispatcher, receiver = sealed
    text = key_of(ess).read_text()
    assert re.fullmatch(r"[0-9a-f]{64}\n", text) and stat.S_IMODE(os.stat(key_of(ess)).st_mode) == 0o600
    ingest.start()
    dispatcher.start()
    assert key_of(ess).read_text() == text and delivers(ess, receiver)
    assert all(text.strip() not in daemon.text() for daemon in ess.daemons)


def test_a_lost_one_is_asked_for_by_its_id_and_not_made_anew(sealed):
    ess, ingest, dispatcher, receiver = sealed
    ess.allow("bad_key_file", "bad_record")
    id = ingest.wait_line("key_file_made")["key"]
    aside = key_of(ess).rename(ess.folder / "aside.key")
    reason = refused(ingest)
    assert f"sealed with key {id}" in reason and str(key_of(ess)) in reason
    assert not key_of(ess).exists()
    aside.rename(key_of(ess))
    ingest.start()
    dispatcher.start()
    assert delivers(ess, receiver)


def test_one_that_opens_nothing_is_refused_by_both(sealed):
    ess, ingest, dispatcher, _ = sealed
    ess.allow("bad_key_file", "bad_record")
    write_key(ess, secrets.token_hex(32))
    for daemon in (ingest, dispatcher):
        assert "does not fit" in refused(daemon)


@pytest.mark.parametrize("text, mode, said", [
    ("0" * 64, 0o644, "chmod 600"), ("0" * 63, 0o600, ":1: "), ("g" * 64, 0o600, ":1: "), (f"{'0' * 64}\nmore", 0o600, ":2: "), ("", 0o600, "no key")])
def test_a_bad_one_is_refused_with_what_is_wrong(ess, text, mode, said):
    ess.allow("bad_key_file")
    write_key(ess, text, mode=mode)
    ingest = ess.ingest(start=False)
    assert said in refused(ingest)


def test_a_dispatcher_without_one_waits_says_so_and_goes_on(sealed):
    ess, ingest, dispatcher, receiver = sealed
    aside = key_of(ess).rename(ess.folder / "aside.key")
    dispatcher.start(ready=False)
    dispatcher.wait_line("waiting_for_key_file")
    assert dispatcher.get("/readyz").status == 503
    aside.rename(key_of(ess))
    dispatcher.wait_ready()
    ingest.start()
    assert delivers(ess, receiver) and len(dispatcher.lines("waiting_for_key_file")) == 1


def test_a_new_first_line_seals_everything_anew_and_then_the_old_one_may_go(sealed):
    ess, ingest, dispatcher, receiver = sealed
    ess.subscribe("headed", receiver.url("/headed"), ["headed.a"], wait=False, headers={"X-Api-Key": "k3y"})
    old, new = key_of(ess).read_text().strip(), secrets.token_hex(32)
    write_key(ess, new, old)
    ingest.start()
    dispatcher.start()
    dispatcher.wait_line("subscriber_started", subscriber="headed")
    assert delivers(ess, receiver)
    ingest.term()
    dispatcher.term()
    write_key(ess, new)
    ingest.start()
    dispatcher.start()
    assert delivers(ess, receiver)
    ess.publish("headed.a", 1)
    receiver.wait(3)
    assert receiver.requests[2].headers["X-Api-Key"] == "k3y"
    newest = {m.key(): m.value() for m in ess.records("subscribers")}
    key_ids = {json.loads(newest[b"md-mm1/keys"])["secret"].split(":")[0], json.loads(newest[b"headed"])["headers"].split(":")[0]}
    assert len(key_ids) == 1 and old not in ingest.text()


def test_a_dispatcher_goes_on_while_keys_are_rotated_as_documented(sealed):
    ess, ingest, dispatcher, receiver = sealed
    old, new = key_of(ess).read_text().strip(), secrets.token_hex(32)
    ingest.start()
    dispatcher.start()
    assert delivers(ess, receiver)
    write_key(ess, new, old)
    ingest.restart()
    wait_for(lambda: key_ids(ess) == {key_id(new)})
    assert delivers(ess, receiver)
    write_key(ess, new)
    ess.subscribe("later", receiver.url("/later"), ["later.a"])
    assert delivers(ess, receiver) and dispatcher.running()


def test_a_dispatcher_whose_file_has_not_the_new_key_yet_waits_for_it(sealed):
    ess, ingest, dispatcher, receiver = sealed
    ess.allow("bad_record")
    old, new = key_of(ess).read_text().strip(), secrets.token_hex(32)
    theirs = ess.folder / "theirs.key"
    theirs.write_text(f"{old}\n")
    theirs.chmod(0o600)
    dispatcher.options["secrets.key_file"] = theirs
    ingest.start()
    dispatcher.start()
    assert delivers(ess, receiver)
    write_key(ess, new, old)
    ingest.restart()
    dispatcher.wait_line("waiting_for_key_file")
    assert f"sealed with key {key_id(new)}" in dispatcher.wait_line("bad_record", subscriber="md-mm1")["reason"]
    before = len(receiver.requests)
    cursor = ess.publish("drug.copay", 2)
    assert dispatcher.running() and len(receiver.requests) == before
    theirs.write_text(f"{new}\n{old}\n")
    receiver.wait(before + 1)
    assert receiver.requests[before].cursor == cursor
