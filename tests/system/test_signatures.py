"""Signatures by ESS's own key: verified with openssl, by the keys that ingest publishes, through rotations and bad files."""
import base64
import json
import shutil
import subprocess

import pytest
import standardwebhooks

from ess import ROOT, wait_for
from snippets import snippets

SPKI = bytes.fromhex("302a300506032b6570032100")  # before the 32 bytes of a public key in DER (RFC 8410)
BOTH = {"signatures": ["hmac", "ed25519"]}


def new_key():
    """PEM, as an operator makes it."""
    return subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], check=True, capture_output=True, text=True, timeout=60).stdout


def key_file(ess):
    return ess.folder / "signing.pem"


def write_keys(ess, *keys, mode=0o600):
    aside = ess.folder / "signing.new"
    aside.write_text("".join(keys))
    aside.chmod(mode)
    aside.rename(key_file(ess))


def signing(ess):
    return {"signing.key_file": key_file(ess)}


@pytest.fixture
def keyed(ess):
    """An ESS with one signing key, an ingest and a dispatcher."""
    ess.key = new_key()
    write_keys(ess, ess.key)
    ess.ingest(signing(ess))
    ess.dispatcher(signing(ess))
    return ess


def jwks(ess):
    answer = ess.daemons[0].get("/.well-known/jwks.json")
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    return answer.json["keys"]


def register(ess, receiver, topics, **fields):
    answer = ess.daemons[0].post(json.dumps({"url": receiver.url(), "topics": topics, **fields}), "/register")
    assert answer.status == 201, answer
    return answer.json


def entries(request, kind):
    return [entry.split(",", 1)[1] for entry in request.headers["webhook-signature"].split(" ") if entry.startswith(f"{kind},")]


def verifies(key, request, folder):
    """By openssl, with a key of the served set."""
    public, signature, signed = folder / "public.der", folder / "signature", folder / "signed"
    public.write_bytes(SPKI + base64.urlsafe_b64decode(key["x"] + "="))
    signature.write_bytes(base64.b64decode(entries(request, "v1a")[0]))
    signed.write_bytes(f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body)
    done = subprocess.run(["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", public, "-sigfile", signature, "-in", signed],
                          capture_output=True, text=True, timeout=60)
    return done.returncode == 0 and "Signature Verified Successfully" in done.stdout


def test_both_signatures_verify_each_by_a_public_tool(keyed, tmp_path):
    receiver = keyed.receiver()
    whsec = register(keyed, receiver, ["a"], **BOTH)["whsec"]
    keyed.publish("a", {"copay": 25})
    request = receiver.wait(1)[0]
    key, = jwks(keyed)
    assert {name: key[name] for name in ("kty", "crv", "use", "alg")} == {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA"}
    assert request.headers["X-ESS-Key-Id"] == key["kid"] and request.headers["X-ESS-Signature"]
    assert standardwebhooks.Webhook(whsec).verify(request.body, dict(request.headers)) == request.json
    assert verifies(key, request, tmp_path)
    request.body += b" "
    assert not verifies(key, request, tmp_path)


def test_the_example_of_the_document_verifies(keyed):
    receiver = keyed.receiver()
    register(keyed, receiver, ["a"], signatures=["ed25519"])
    keyed.publish("a", {"copay": 25})
    request = receiver.wait(1)[0]
    names = {}
    exec(snippets("docs/api.md", "python")[0].text, names)
    keys = names["public_keys"](f"http://{keyed.daemons[0].address}")
    assert names["is_signed"](keys, request.headers, request.body) is True
    assert names["is_signed"](keys, request.headers, request.body + b" ") is False


def test_ed25519_alone_sends_nothing_that_comes_from_the_secret(keyed, tmp_path):
    receiver = keyed.receiver()
    made = register(keyed, receiver, ["a"], signatures=["ed25519"])
    keyed.daemons[0].command(made["id"], "rotate", {"overlap": "1h"})
    keyed.publish("a", {"copay": 25})
    request = receiver.wait(1)[0]
    assert not entries(request, "v1") and len(entries(request, "v1a")) == 1 and verifies(jwks(keyed)[0], request, tmp_path)
    assert not [name for name in request.headers if name.lower().startswith("x-ess-signature")]
    assert keyed.daemons[0].get(f"/ess/subscribers/{made['id']}").json["signatures"] == ["ed25519"]


def test_a_redrive_a_replay_and_a_test_are_signed_too(keyed, tmp_path):
    receiver = keyed.receiver()
    id = register(keyed, receiver, ["a"], signatures=["ed25519"], format="cloudevents")["id"]
    receiver.answers(422)
    cursor = keyed.publish("a", 1)
    wait_for(lambda: keyed.daemons[0].status(id)["dead_lettered"] == 1)
    for name, body in (("redrive", {}), ("replay", {"from": cursor - 1, "to": cursor}), ("test", {})):
        keyed.daemons[0].command(id, name, body)
    requests = receiver.wait(4)
    assert all(verifies(jwks(keyed)[0], request, tmp_path) for request in requests)


def test_a_rotation_with_overlap_leaves_no_webhook_unverified(keyed, tmp_path):
    receiver, dispatcher = keyed.receiver(), keyed.daemons[1]
    register(keyed, receiver, ["a"], **BOTH)
    old, new = keyed.key, new_key()
    first, = jwks(keyed)

    def delivered():
        count = len(receiver.requests)
        keyed.publish("a", count)
        return receiver.wait(count + 1)[count]

    def written(*keys):
        write_keys(keyed, *keys)
        wait_for(lambda: len(jwks(keyed)) == len(keys) and dispatcher.lines("signing_keys_read")[-1]["keys"] == str(len(keys)))
    before = delivered()
    written(old, new)  # published, and not signing yet
    added = jwks(keyed)[1]
    assert jwks(keyed)[0] == first and delivered().headers["X-ESS-Key-Id"] == first["kid"]
    write_keys(keyed, "# the new one\n", new, old)
    wait_for(lambda: dispatcher.lines("signing_keys_read")[-1]["signs"] == added["kid"] and jwks(keyed)[0] == added)
    after = delivered()
    assert after.headers["X-ESS-Key-Id"] == added["kid"] and verifies(added, after, tmp_path) and not verifies(first, after, tmp_path)
    assert verifies(first, before, tmp_path)
    written(new)
    assert jwks(keyed) == [added] and verifies(added, delivered(), tmp_path)


@pytest.mark.parametrize("name, mode, reason", [
    ("damaged", 0o600, "key 2 is damaged"), ("public", 0o600, 'key 2 is a "PUBLIC KEY"'), ("readable", 0o644, "others than its owner may read it"),
    ("empty", 0o600, "holds no key"), ("missing", 0o600, "No such file or directory")])
def test_a_bad_file_is_named_and_the_keys_before_stay(keyed, tmp_path, name, mode, reason):
    receiver = keyed.receiver()
    register(keyed, receiver, ["a"], **BOTH)
    before, other = jwks(keyed), new_key()
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=other, check=True, capture_output=True, text=True, timeout=60).stdout
    texts = {"damaged": (keyed.key, other[:60]), "public": (keyed.key, public), "readable": (other,), "empty": ()}
    keyed.allow("bad_signing_key_file")
    if name == "missing":
        key_file(keyed).unlink()
    else:
        write_keys(keyed, *texts[name], mode=mode)
    for daemon in keyed.daemons:
        line = daemon.wait_line("bad_signing_key_file")
        assert line["reason"].startswith(f"{key_file(keyed)}: {reason}") and line["keys_in_force"] == "1"
    keyed.publish("a", 1)
    assert jwks(keyed) == before and verifies(before[0], receiver.wait(1)[0], tmp_path)
    write_keys(keyed, other)
    for daemon in keyed.daemons:
        wait_for(lambda: len(daemon.lines("signing_keys_read")) == 2)
    assert jwks(keyed) != before
    lines = [line for pem in (keyed.key, other) for line in pem.splitlines() if not line.startswith("-")]
    assert not any(line in daemon.text() for line in lines for daemon in keyed.daemons)


@pytest.mark.parametrize("start", ["ingest", "dispatcher"])
@pytest.mark.parametrize("text, mode, reason", [("", 0o600, "holds no key"), ("-----BEGIN X-----\nAAAA\n-----END X-----\n", 0o600, 'key 1 is a "X"'),
                                                (None, 0o604, "others than its owner may read it")])
def test_a_program_with_a_bad_file_refuses_to_start(ess, start, text, mode, reason):
    write_keys(ess, new_key() if text is None else text, mode=mode)
    ess.allow("bad_option")
    daemon = getattr(ess, start)(signing(ess), start=False)
    done = subprocess.run(daemon.command_line(), capture_output=True, text=True, timeout=60, cwd=ess.folder)
    assert done.returncode == 2 and "event=bad_option" in done.stderr
    assert f"signing.key_file: {key_file(ess)}: {reason}" in done.stderr.replace("\\", "")


def test_without_the_option_ed25519_is_refused_and_the_set_is_empty(ess):
    ingest, receiver = ess.ingest(), ess.receiver()
    assert jwks(ess) == []
    answer = ingest.post(json.dumps({"url": receiver.url(), "topics": ["a"], **BOTH}), "/register")
    assert answer.status == 400 and answer.json["field"] == "signatures" and "signing.key_file" in answer.json["detail"]
    ess.allow("bad_subscriber_file")
    ess.write("signed.yml", f"id: signed\nurl: {receiver.url()}\ntopics: [a]\nsecret: x\nsignatures: [ed25519]\n")
    assert "signed.yml:5: signatures: ed25519 needs a key" in ingest.wait_line("bad_subscriber_file")["reason"]
    assert not [message for message in ess.records("subscribers") if message.key() in (b"signed", b"signed/keys")]


def test_a_dispatcher_without_the_option_holds_the_subscriber_and_says_what_it_lacks(ess):
    write_keys(ess, new_key())
    ingest, receiver, other = ess.ingest(signing(ess)), ess.receiver(), ess.receiver()
    dispatcher = ess.dispatcher()
    id = register(ess, receiver, ["a"], signatures=["ed25519"], max_attempts=1, exhausted="dead_letter", backoff_min="20ms")["id"]
    hmac = register(ess, other, ["a"])["id"]
    cursor = ess.publish("a", 1)
    wait_for(lambda: "signing.key_file" in ingest.status(id).get("reason", ""))
    assert dispatcher.wait_line("signing_key_missing", subscriber=id)
    other.wait(1)
    answer = ingest.request("PUT", f"/ess/subscribers/{hmac}", json.dumps({"url": other.url(), "topics": ["a"], **BOTH}))
    assert answer.status == 202, answer
    dispatcher.wait_line("signing_key_missing", subscriber=hmac)
    ingest.command(id, "test")
    ess.publish("a", 2)
    wait_for(lambda: "signing.key_file" in ingest.status(hmac).get("reason", ""))
    assert not receiver.requests and len(other.requests) == 1 and ingest.status(id)["dead_lettered"] == 0
    dispatcher.term()
    ess.dispatcher(signing(ess))
    requests = receiver.wait(3)
    assert {request.headers["X-ESS-Key-Id"] for request in requests} == {jwks(ess)[0]["kid"]}
    assert cursor in [int(request.headers.get("X-ESS-Cursor", 0)) for request in requests]
    other.wait(2)
    wait_for(lambda: not any("reason" in ingest.status(one) for one in (id, hmac)))


def test_a_reason_of_the_last_dispatcher_goes_with_it(ess):
    """The subscriber is idle: nothing but the start may write its status."""
    write_keys(ess, new_key())
    ingest, dispatcher = ess.ingest(signing(ess)), ess.dispatcher()
    id = register(ess, ess.receiver(), ["a"], signatures=["ed25519"])["id"]
    wait_for(lambda: "signing.key_file" in ingest.status(id).get("reason", ""))
    dispatcher.term()
    ess.dispatcher(signing(ess))
    wait_for(lambda: "reason" not in ingest.status(id))


@pytest.mark.parametrize("value", ["ed25519", [], ["rsa"], ["hmac", "hmac"], None])
def test_a_bad_list_is_refused(keyed, value):
    answer = keyed.daemons[0].post(json.dumps({"url": keyed.receiver().url(), "topics": ["a"], "signatures": value}), "/register")
    assert answer.status == 400 and answer.json["field"] == "signatures", answer


VERIFY = """
import { Webhook } from 'standardwebhooks'
import { verify } from 'CLIENT'
const { whsec, jwks, body, headers } = JSON.parse(process.argv[2])
const tried = (call) => { try { return call() } catch (e) { return e.message } }
console.log(JSON.stringify([
  tried(() => new Webhook(whsec).verify(body, headers)),
  tried(() => verify(body, headers, jwks)),
  tried(() => verify(body + ' ', headers, jwks)),
  tried(() => verify(body, headers, { keys: [] })),
]))
"""


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not on this machine")
def test_npms_library_and_the_client_for_javascript_verify_each_its_part(keyed, tmp_path):
    subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", tmp_path, "standardwebhooks@1.0.0"], check=True, timeout=120)
    program = tmp_path / "verify.mjs"
    program.write_text(VERIFY.replace("CLIENT", str(ROOT / "clients/js/src/index.js")))
    receiver = keyed.receiver()
    whsec = register(keyed, receiver, ["a"], **BOTH)["whsec"]
    keyed.publish("a", {"copay": 25})
    request = receiver.wait(1)[0]
    asked = {"whsec": whsec, "jwks": {"keys": jwks(keyed)}, "body": request.body.decode(), "headers": {n.lower(): v for n, v in request.headers.items()}}
    done = subprocess.run(["node", program, json.dumps(asked)], capture_output=True, text=True, timeout=60, check=True)
    by_library, by_client, changed, without = json.loads(done.stdout)
    assert by_library == by_client == request.json
    assert "signature does not fit" in changed and "no Ed25519 key" in without
