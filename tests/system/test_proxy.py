"""deploy/nginx.conf as it stands, but for names and ports, before two ingests."""
import json
import shutil
import ssl
import subprocess
import urllib.request

import pytest

from ess import PATIENCE_S, ROOT, free_port, wait_for

pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not on this machine")


@pytest.fixture
def proxied(ess):
    ingests = [ess.ingest(), ess.ingest({"subscribers.dir": "none"})]
    port, (certificate, key) = free_port(), ess.ca.certificate()
    text = (ROOT / "deploy/nginx.conf").read_text()
    for old, new in [("/tmp/", f"{ess.folder}/"), ("8443 ssl", f"127.0.0.1:{port} ssl"), ("/var/lib/ess-demo/proxy.pem", str(certificate)),
                     ("/var/lib/ess-demo/proxy.key", str(key)), ("ingest-1:8080", ingests[0].address), ("ingest-2:8080", ingests[1].address)]:
        assert old in text, old
        text = text.replace(old, new)
    (ess.folder / "nginx.conf").write_text(text)
    nginx = subprocess.Popen(["nginx", "-e", "stderr", "-c", ess.folder / "nginx.conf"], stdin=subprocess.DEVNULL)
    try:
        context = ssl.create_default_context(cafile=ess.ca.pem)

        def post(event, **headers):
            request = urllib.request.Request(f"https://127.0.0.1:{port}/ess/publish", json.dumps(event).encode(), headers)
            with urllib.request.urlopen(request, timeout=PATIENCE_S, context=context) as answer:
                return json.load(answer)
        wait_for(lambda: nginx.poll() is None and answers(post))
        yield ingests, post
    finally:
        nginx.terminate()
        nginx.wait(PATIENCE_S)


def answers(post):
    try:
        return post({"topic": "a", "data": 0})
    except OSError:
        return None


def asked(ingest):
    metrics = ingest.metrics()
    return sum(metrics[f'ess_publish_total{{outcome="{outcome}"}}'] for outcome in ("created", "duplicate", "conflict"))


def test_what_has_one_id_goes_to_one_ingest_and_the_rest_to_both(proxied):
    ingests, post = proxied
    ids = [f"id-{n}" for n in range(20)]
    went = set()
    for id in ids:
        before = [asked(ingest) for ingest in ingests]
        for _ in range(5):
            post({"topic": "a", "data": 1, "id": id}, **{"X-ESS-Id": id})
        more = [asked(ingest) - count for ingest, count in zip(ingests, before)]
        assert sorted(more) == [0, 5], (id, more)
        went.add(more.index(5))
    assert went == {0, 1}
    before = [asked(ingest) for ingest in ingests]
    for n in range(40):
        post({"topic": "a", "data": n})
    assert all(asked(ingest) > count for ingest, count in zip(ingests, before))
