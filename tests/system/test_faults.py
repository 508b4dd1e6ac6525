"""Faults of the dispatcher's own process and machine: no attempt is counted for them, and everything goes on once they are over."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import resource
import shutil

from ess import CA, PATIENCE_S, Answer, Receiver, wait_for
from names import A, AAAA, NS, NameServer

STRICT = {"max_attempts": 1, "backoff_min": "1h", "backoff_max": "1h"}  # one counted failure would be a dead letter


def take_descriptors(pid):
    """Gives them back when called."""
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(len(used) + 1)) - used), limits[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def check_nothing_was_counted(ess, receiver, cursors):
    wait_for(lambda: len(receiver.requests) >= len(cursors))
    assert receiver.cursors() == cursors
    assert all(request.headers["X-ESS-Attempt"] == "1" for request in receiver.requests)
    assert not ess.daemons[1].lines("delivery_failed") and not ess.records("dlq")


def test_without_descriptors_no_attempt_is_counted_and_a_redrive_ends_nothing(ess):
    ess.allow("redrive")
    ingest, dispatcher = ess.ingest(), ess.dispatcher()
    receiver, refusing = ess.receiver(), ess.receiver()
    ess.subscribe("new", receiver, ["a"], **STRICT)
    ess.subscribe("redriven", refusing, ["b"])
    refusing.answers(400)
    letter = ess.publish("b", 1)
    wait_for(lambda: ess.records("dlq"))
    refusing.stop()
    give_back = take_descriptors(dispatcher.process.pid)
    cursors = [ess.publish("a", n) for n in range(3)]
    assert ingest.request("POST", "/ess/subscribers/redriven/redrive", b"{}").status == 202
    dispatcher.wait_line("deliveries_held_up")
    wait_for(lambda: dispatcher.lines("redrive") or dispatcher.lines("job_running"))  # it cannot be read now, or it can
    assert "descriptor" in dispatcher.lines("deliveries_held_up")[0]["reason"]
    give_back()
    wait_for(lambda: len(receiver.requests) >= len(cursors))
    refusing.start()
    wait_for(lambda: refusing.cursors() == [letter, letter])
    assert dispatcher.running()
    assert receiver.cursors() == cursors and all(request.headers["X-ESS-Attempt"] == "1" for request in receiver.requests)
    assert not dispatcher.lines("delivery_failed", subscriber="new")
    assert dispatcher.metrics()['ess_own_faults_total{kind="descriptors"}'] >= 1


def test_ingest_without_descriptors_aborts_nothing_and_goes_on_by_itself(ess_on_own_broker, own_broker):
    """Its broker is away meanwhile: connections and handles are to be made while there is no descriptor for them."""
    ess = ess_on_own_broker
    own_broker.start()
    ingest = ess.ingest()
    bodies = {id: json.dumps({"id": id, "url": "https://vendor.example/hook", "topics": ["a"]}) for id in ("one", "two")}
    assert ingest.post(bodies["one"], "/register").status == 201
    ess.publish("a", 1)
    own_broker.kill9()
    ingest.wait_line("kafka_down")
    client = http.client.HTTPConnection(ingest.address, timeout=PATIENCE_S)

    def call(method, path, body=None):
        client.request(method, path, body)
        answer = client.getresponse()
        answer.read()
        return answer.status

    assert call("GET", "/healthz") == 200
    give_back = take_descriptors(ingest.process.pid)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        started = pool.submit(own_broker.start)
        wait_for(lambda: call("GET", "/healthz") == 200 and started.done())
    assert call("GET", "/ess/subscribers/one/dead-letters") == 503
    assert call("POST", "/register", bodies["two"]) == 503 and call("GET", "/readyz") == 503
    give_back()
    ingest.wait_ready()
    wait_for(lambda: ingest.post(bodies["two"], "/register").status == 201)
    assert ess.publish("a", 2) > 1
    wait_for(lambda: ingest.get("/ess/subscribers/one/dead-letters").status == 200)
    assert len(ingest.lines("starting")) == 1


def test_while_no_name_server_answers_anything_nothing_is_counted_and_the_dispatcher_is_not_ready(ess):
    server = NameServer()
    server.answers["hook.test"] = ["127.0.0.1"]
    server.says_nothing_of = (A, AAAA, NS)
    receiver = Receiver(ess.ca.certificate("hook", "DNS:hook.test,DNS:other.test"))
    ess.receivers.append(receiver)
    ess.ingest()
    dispatcher = ess.dispatcher({"egress.dns": server.address, "delivery.connect_timeout": "2s"})
    ess.subscribe("named", receiver.url(host="hook.test"), ["a"], **STRICT)
    cursors = [ess.publish("a", n) for n in range(2)]
    dispatcher.wait_line("deliveries_held_up")
    answer = dispatcher.get("/readyz")
    assert answer.status == 503 and "name server" in answer.json["detail"]
    server.says_nothing_of = ()
    check_nothing_was_counted(ess, receiver, cursors)
    wait_for(lambda: dispatcher.get("/readyz").status == 200)
    server.close()


def test_a_ca_file_that_goes_or_breaks_keeps_the_last_good_one_in_force(ess):
    ess.allow("bad_ca_file")
    ca_file = pathlib.Path(shutil.copy(ess.ca.pem, ess.folder / "copy.pem"))
    receiver = ess.receiver()
    ess.ingest()
    dispatcher = ess.dispatcher({"egress.ca_file": ca_file})
    ess.subscribe("new", receiver, ["a"], **STRICT)
    cursors = []
    for lines, spoil in enumerate((ca_file.unlink, lambda: ca_file.write_text("-----BEGIN CERTIFICATE-----\n"), lambda: ca_file.write_text("")), 1):
        spoil()
        wait_for(lambda: len(dispatcher.lines("bad_ca_file", file=ca_file, certificates_in_force=1)) == lines)
        cursors.append(ess.publish("a", lines))
    check_nothing_was_counted(ess, receiver, cursors)
    assert dispatcher.get("/readyz").status == 200
    shutil.copy(ess.ca.pem, ca_file)
    dispatcher.wait_line("ca_file_read", certificates=1)


def test_a_changed_ca_file_is_in_force_without_a_restart_and_drops_nothing_under_way(ess):
    (ess.folder / "other").mkdir()
    other = CA(ess.folder / "other")
    ca_file = pathlib.Path(shutil.copy(ess.ca.pem, ess.folder / "copy.pem"))
    old, new = ess.receiver(), Receiver(other.certificate())
    ess.receivers.append(new)
    ess.ingest()
    dispatcher = ess.dispatcher({"egress.ca_file": ca_file})
    ess.subscribe("old", old, ["a"], backoff_min="100ms", backoff_max="100ms")
    ess.subscribe("new", new, ["b"], backoff_min="100ms", backoff_max="100ms")
    old.answers(Answer(hang=True))
    cursors = [ess.publish("a", 1)]
    old.wait(1)
    shutil.copy(other.pem, ca_file)
    dispatcher.wait_line("ca_file_read", certificates=1)
    ess.publish("b", 1)
    new.wait(1)
    old.release()
    wait_for(lambda: ess.daemons[0].status("old")["cursor"] >= cursors[0])
    cursors.append(ess.publish("a", 2))  # the connection is open, and nobody vouches for it any more
    dispatcher.wait_line("delivery_failed", subscriber="old")
    assert old.cursors() == cursors[:1]
    ca_file.write_text(ess.ca.pem.read_text() + other.pem.read_text())
    dispatcher.wait_line("ca_file_read", certificates=2)
    old.wait(2)
    assert old.cursors() == cursors


def test_a_fault_with_nothing_left_to_send_is_over_after_a_while(ess):
    server = NameServer()
    server.says_nothing_of = (A, AAAA, NS)
    ingest, dispatcher = ess.ingest(), ess.dispatcher({"egress.dns": server.address, "delivery.connect_timeout": "2s"})
    registration = json.dumps({"id": "gone", "url": "https://hook.test/", "topics": ["a"]})
    assert ingest.post(registration, "/register").status == 201
    dispatcher.wait_line("subscriber_started", subscriber="gone")
    ess.publish("a", 1)
    dispatcher.wait_line("deliveries_held_up")
    assert dispatcher.get("/readyz").status == 503
    assert ingest.request("DELETE", "/ess/subscribers/gone").status == 202
    dispatcher.wait_ready(120)
    assert len(dispatcher.lines("deliveries_go_on")) == 1
    server.close()


def test_one_name_that_nobody_answers_for_is_its_own_endpoints_fault_and_holds_up_nobody(ess):
    server = NameServer()
    server.answers.update({"dead.test": None, "hook.test": ["127.0.0.1"]})
    receiver = Receiver(ess.ca.certificate("hook", "DNS:hook.test,DNS:other.test"))
    ess.receivers.append(receiver)
    ess.ingest()
    dispatcher = ess.dispatcher({"egress.dns": server.address, "delivery.connect_timeout": "2s"})
    ess.subscribe("dead", receiver.url(host="dead.test"), ["a"], **STRICT)
    ess.publish("a", 1)
    wait_for(lambda: dispatcher.lines("delivery_failed", subscriber="dead"), timeout=PATIENCE_S)
    assert not dispatcher.lines("deliveries_held_up") and dispatcher.get("/readyz").status == 200
    server.close()
