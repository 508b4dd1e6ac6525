"""The folder of subscribers' files as people and their tools treat it: editors, moves, folders that go and come back."""
import hashlib
import hmac
import os
import shutil
import time

import pytest

from ess import wait_for

TEXT = 'id: {id}\nurl: {url}\ntopics: ["{topic}"]\nsecret: "s3cr3t"\n'


@pytest.fixture(scope="module")
def ingest(shared):
    return shared.daemons[0]


@pytest.fixture
def receiver(shared):
    return shared.receiver()


def shown(ingest, id):
    answer = ingest.get(f"/ess/subscribers/{id}")
    return answer.json if answer.status == 200 else None


def drop(ess, id, receiver, topic, path="/"):
    """A subscriber by a file; returns when it is in force."""
    file = ess.write(f"{id}.yml", TEXT.format(id=id, url=receiver.url(path), topic=topic))
    wait_for(lambda: (s := shown(ess.daemons[0], id)) and s["url"] == receiver.url(path) and s["status"]["generation"] > 0)
    return file


def stopped(ess, id):
    return next(d for d in ess.daemons if d.program == "ess-dispatcher").lines("subscriber_stopped", subscriber=id)


def after_scans(ess):
    """Returns when the folder was looked at, twice: what is dropped in now is seen no sooner."""
    for n in range(2):
        marker = ess.write(f"marker-{n}.yml", "no: subscriber\n")
        wait_for(lambda: any(f["file"] == str(marker) for f in ess.daemons[0].get("/ess/subscribers").json["files"]))
        marker.unlink()
        wait_for(lambda: not any(f["file"] == str(marker) for f in ess.daemons[0].get("/ess/subscribers").json["files"]))


def vim(path, text):
    backup = path.with_name(path.name + "~")
    path.rename(backup)
    time.sleep(0.3)  # a moment in which there is no file
    path.write_text(text)
    backup.unlink()


def sed_in_place(path, text):
    aside = path.with_name("sedA1b2C3")
    aside.write_text(text)
    aside.rename(path)


def in_two_writes(path, text):
    with open(path, "w") as file:
        file.write(text[:30])
        file.flush()
        time.sleep(0.2)
        file.write(text[30:])


def remove_and_write(path, text):
    path.unlink()
    time.sleep(0.5)
    path.write_text(text)


@pytest.mark.parametrize("editor", [vim, sed_in_place, in_two_writes, remove_and_write])
def test_an_editors_way_of_saving_is_an_edit_and_never_a_removal(shared, ingest, receiver, editor):
    shared.allow("bad_subscriber_file")  # half a file is a bad one
    id = f"edited-{editor.__name__.replace('_', '-')}"
    path = drop(shared, id, receiver, f"{id}.a")
    editor(path, TEXT.format(id=id, url=receiver.url("/edited"), topic=f"{id}.a"))
    wait_for(lambda: shown(ingest, id)["url"] == receiver.url("/edited"), timeout=5)
    shared.publish(f"{id}.a", 1)
    assert receiver.wait(1)[0].path == "/edited"
    after_scans(shared)
    assert stopped(shared, id) == [] and not ingest.lines("subscriber_removed", subscriber=id)


def test_files_that_editors_leave_beside_are_no_subscribers(shared, ingest):
    shared.allow("bad_subscriber_file")
    names = [".swapped.yml.swp", ".hidden.yml", "backup.yml~", "#emacs.yml#", ".#locked.yml", "4913", "new.yml.tmp", "notes.txt", "other.yml.bak"]
    for name in names:
        (shared.subscribers / name).write_text("id: [\n")
    os.symlink("/nowhere", shared.subscribers / "dangling.yml")
    (shared.subscribers / "folder.yml").mkdir()
    after_scans(shared)
    assert [f for f in ingest.get("/ess/subscribers").json["files"] if any(f["file"].endswith(name) for name in names)] == []
    for name in names + ["dangling.yml"]:
        (shared.subscribers / name).unlink()
    (shared.subscribers / "folder.yml").rmdir()


def test_two_edits_of_one_size_at_once_leave_the_second(shared, ingest, receiver):
    path = drop(shared, "quick", receiver, "quick.a", "/0")
    for n in range(1, 10):
        path.write_text(TEXT.format(id="quick", url=receiver.url(f"/{n}"), topic="quick.a"))
    wait_for(lambda: shown(ingest, "quick")["url"] == receiver.url("/9"), timeout=5)


def test_a_renamed_file_goes_on_as_the_same_subscriber(shared, ingest, receiver):
    path = drop(shared, "moved", receiver, "moved.a")
    first = shared.publish("moved.a", 1)
    receiver.wait(1)
    renamed = path.rename(path.with_name("elsewhere.yaml"))
    wait_for(lambda: shown(ingest, "moved")["status"]["source"] == str(renamed))
    second = shared.publish("moved.a", 2)
    request = receiver.wait(2)[1]
    assert (request.cursor, request.json["prev_cursor"]) == (second, first)
    assert stopped(shared, "moved") == []


def test_a_changed_id_is_another_subscriber_and_the_old_one_is_removed(shared, ingest, receiver):
    path = drop(shared, "old-id", receiver, "newid.a")
    path.write_text(TEXT.format(id="new-id", url=receiver.url("/new"), topic="newid.a"))
    wait_for(lambda: shown(ingest, "new-id"))
    wait_for(lambda: shown(ingest, "old-id") is None)


def test_of_two_files_with_one_id_the_other_is_listed(shared, ingest, receiver):
    shared.allow("bad_subscriber_file")
    first = drop(shared, "double", receiver, "double.a")
    second = shared.write("a-double.yml", first.read_text())
    found = wait_for(lambda: [f for f in ingest.get("/ess/subscribers").json["files"] if f["file"] == str(second)])
    assert found == [{"file": str(second), "line": 1, "error": f"id: double is already defined by {first}"}]
    second.unlink()


def test_a_secret_file_that_goes_bad_keeps_the_last_good_secret(shared, ingest, receiver):
    shared.allow("bad_subscriber_file")
    secret = shared.subscribers / "kept.secret"
    secret.write_text("good\n")
    path = shared.write("kept.yml", f"id: kept\nurl: {receiver.url()}\ntopics: [kept.a]\nsecret_file: kept.secret\n")
    wait_for(lambda: (s := shown(ingest, "kept")) and s["status"]["generation"] > 0)
    shared.publish("kept.a", 1)
    receiver.wait(1)
    for bad, said in (("", "one line"), ("a\nb\n", "one line"), ("whsec_?\n", "base64"), ("x" * 5000, "larger than")):
        secret.write_text(bad)
        wait_for(lambda: any(f["file"] == str(path) and said in f["error"] for f in ingest.get("/ess/subscribers").json["files"]))
    shared.publish("kept.a", 2)
    after = receiver.wait(2)[1]
    secret.write_text("good\n")
    wait_for(lambda: not any(f["file"] == str(path) for f in ingest.get("/ess/subscribers").json["files"]))
    assert after.headers["X-ESS-Signature"] == hmac.new(b"good", after.body, hashlib.sha256).hexdigest()


def test_a_folder_that_vanishes_and_returns_removes_nothing_and_its_emptying_removes_all(ess):
    ess.allow("subscribers_folder")
    receiver = ess.receiver()
    ingest = ess.ingest()
    ess.dispatcher()
    for n in range(3):
        drop(ess, f"s{n}", receiver, "a", f"/{n}")
    # Away: an error that names it, and nobody is removed.
    away = ess.subscribers.rename(ess.folder / "away")
    said = ingest.wait_line("subscribers_folder", file=ess.subscribers)
    assert "No such file" in said["reason"]
    assert [f["file"] for f in ingest.get("/ess/subscribers").json["files"]] == [str(ess.subscribers)]
    # Another one in its place, empty: an error too.
    ess.subscribers.mkdir()
    wait_for(lambda: "is empty" in ingest.lines("subscribers_folder", file=ess.subscribers)[-1]["reason"])
    time.sleep(3)  # longer than a removal takes
    ess.publish("a", 1)
    receiver.wait(3)
    # Back: an edit counts.
    ess.subscribers.rmdir()
    away.rename(ess.subscribers)
    drop(ess, "s0", receiver, "a", "/edited")
    assert ingest.get("/ess/subscribers").json["files"] == []
    # Emptied while in use: that is a removal.
    complaints = len(ingest.lines("subscribers_folder"))
    for path in ess.subscribers.iterdir():
        path.unlink()
    for n in range(3):
        wait_for(lambda n=n: shown(ingest, f"s{n}") is None)
    assert len(ingest.lines("subscribers_folder")) == complaints


def test_a_folder_of_another_inode_with_the_same_files_is_the_same(ess):
    receiver = ess.receiver()
    ingest = ess.ingest()
    dispatcher = ess.dispatcher()
    drop(ess, "same", receiver, "a")
    generation = shown(ingest, "same")["status"]["generation"]
    copy = shutil.copytree(ess.subscribers, ess.folder / "copy")
    old = ess.subscribers.rename(ess.folder / "old")
    copy.rename(ess.subscribers)
    drop(ess, "second", receiver, "a")  # it is watched
    shutil.rmtree(old)
    ess.publish("a", 1)
    receiver.wait(2)
    assert shown(ingest, "same")["status"]["generation"] == generation and stopped(ess, "same") == []
    assert not dispatcher.lines("subscriber_changed", subscriber="same")
    for line in ingest.lines("subscribers_folder"):
        assert "No such file" in line["reason"]
    ess.allow("subscribers_folder")


def test_what_was_edited_and_removed_while_ingest_was_down_is_found_at_its_start(ess):
    receiver = ess.receiver()
    ingest = ess.ingest()
    ess.dispatcher()
    edited, gone = drop(ess, "edited", receiver, "a", "/1"), drop(ess, "gone", receiver, "a", "/gone")
    ingest.term()
    edited.write_text(TEXT.format(id="edited", url=receiver.url("/2"), topic="a"))
    gone.unlink()
    ingest.start()
    wait_for(lambda: shown(ingest, "edited")["url"] == receiver.url("/2"))
    wait_for(lambda: shown(ingest, "gone") is None)
    written = ingest.lines("subscriber_written")
    ingest.restart()
    drop(ess, "new", receiver, "a")
    assert ingest.lines("subscriber_written") == written, "at a start nothing is written that did not change"


def test_an_edit_while_kafka_is_away_is_brought_in_when_it_is_back(ess_on_own_broker, own_broker):
    ess = ess_on_own_broker
    own_broker.start()
    receiver = ess.receiver()
    ingest = ess.ingest()
    ess.dispatcher()
    path = drop(ess, "later", receiver, "a", "/1")
    own_broker.kill9()
    ingest.wait_line("kafka_down")
    path.write_text(TEXT.format(id="later", url=receiver.url("/2"), topic="a"))
    own_broker.start()
    ingest.wait_ready()
    wait_for(lambda: (s := shown(ingest, "later")) and s["url"] == receiver.url("/2"))


def test_what_a_removed_file_has_left_can_be_deleted(ess):
    ingest, receiver = ess.ingest(), ess.receiver()
    dispatcher = ess.dispatcher()
    path = ess.subscribe("gone", receiver, ["gone.a"])
    ess.publish("gone.a", 1)
    receiver.wait(1)
    assert ingest.request("DELETE", "/ess/subscribers/gone").status == 409
    path.unlink()
    dispatcher.wait_line("subscriber_stopped", subscriber="gone")
    wait_for(lambda: ingest.metrics()['ess_subscribers{state="removed"}'] == 1)
    assert ingest.get("/ess/subscribers/gone").status == 404
    assert ingest.request("DELETE", "/ess/subscribers/gone").status == 202
    assert ingest.metrics()['ess_subscribers{state="removed"}'] == 0
    newest = {record.key(): record.value() for record in ess.records("subscribers")}
    assert newest[b"gone"] is None and newest[b"gone/keys"] is None
    wait_for(lambda: {record.key(): record.value() for record in ess.records("tokens")}[b"gone"] is None)
    assert ingest.request("DELETE", "/ess/subscribers/gone").status == 404
    ess.subscribe("gone", receiver, ["gone.a"])
    again = ess.publish("gone.a", 2)
    assert receiver.wait(2)[1].cursor == again
