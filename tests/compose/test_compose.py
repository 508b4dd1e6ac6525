"""docker-compose.yml in a real engine: brought up by the README's own commands, then used, scaled, killed, stopped and started."""
import re
import subprocess
import threading
import time

import pytest

from ess import ROOT, wait_for
from snippets import snippets
from stack import Stack, first_receipts

IMAGE_BYTES_MAX = 120 * 1000 * 1000


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("ess"), ["KAFKA_PORT", "INGEST_PORT"])
    try:
        commands, = (snippet for snippet in snippets("README.md") if snippet.section == "With Docker")
        commands.run({"127.0.0.1:8080": f"127.0.0.1:{stack.ports['INGEST_PORT']}"}, timeout=600, cwd=stack.folder, env=stack.environment)
        yield stack
    finally:
        stack.close()


@pytest.mark.timeout(600)  # builds the images
def test_the_readmes_commands_bring_it_up_with_a_webhook_and_three_dispatchers(stack):
    stack.wait_webhooks("demo-pharmacy", [1])
    assert len(stack.containers("dispatcher")) == 3
    for service in ("kafka", "ingest", "dispatcher", "receiver"):
        for container in stack.containers(service):
            stack.wait_healthy(container)


@pytest.mark.parametrize("service", ["ingest", "dispatcher"])
def test_an_image_is_small_and_says_what_it_is(stack, service):
    image = f"ess-{service}"
    assert int(stack.inspect(image, "{{.Size}}")) < IMAGE_BYTES_MAX
    version = re.search(r'ESS_VERSION "(.+)"', (ROOT / "common/version.h").read_text())[1]
    assert stack.inspect(image, '{{index .Config.Labels "org.opencontainers.image.version"}}') == version
    assert stack.inspect(image, '{{index .Config.Labels "org.opencontainers.image.title"}}') == image
    assert stack.inspect(image, "{{.Config.User}}") == "10001:10001"


@pytest.mark.timeout(600)  # builds the tests
def test_the_unit_tests_pass_with_the_images_libraries(stack):
    words = ["docker", "build", "--progress", "plain", "-f", "deploy/Dockerfile", "--target", "test", "--no-cache-filter", "test", "."]
    done = subprocess.run(words, cwd=stack.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=580)
    assert done.returncode == 0 and re.search(r"\b[1-9]\d+ passed, 0 failed", done.stdout), done.stdout[-5000:]


@pytest.mark.parametrize("service", ["ingest", "dispatcher"])
def test_a_service_can_write_nothing_but_its_state(stack, service):
    container = stack.containers(service)[0]
    status = subprocess.run(["docker", "exec", container, "bash", "-c", "cat /proc/1/status; touch /x /etc/ess/subscribers/x 2>&1"],
                            capture_output=True, text=True).stdout
    assert re.search(r"^Uid:\t10001\t", status, re.M) and re.search(r"^CapBnd:\t0+$", status, re.M) and re.search(r"^NoNewPrivs:\t1$", status, re.M)
    assert status.count("Read-only file system") == 2


def test_a_file_that_is_dropped_in_is_obeyed_and_a_broken_one_is_named_in_the_logs(stack):
    stack.subscribe("dropped", ["compose.dropped"])
    cursor = stack.publish("compose.dropped", {"copay": 25})
    assert stack.wait_webhooks("dropped", [cursor]) == [cursor]
    stack.write("broken.yml", "id: broken\nurl: http://receiver/plain\ntopics: [a]\nsecret: s\n")
    line = stack.wait_logs("ingest", r"level=error event=\S+ file=\S*broken\.yml.*")[0]
    assert "broken.yml:2" in line and "https" in line
    (stack.folder / "subscribers/broken.yml").unlink()


def test_a_bad_option_is_named(stack):
    done = stack.compose("run", "--rm", "--no-deps", "-e", "ESS_INGEST_MAX_BODY=lots", "ingest", check=False)
    assert done.returncode == 2
    assert "ESS_INGEST_MAX_BODY" in done.stdout and "lots" in done.stdout, done.stdout


def test_kcat_on_the_host_tails_and_replays_by_offset(stack):
    cursors = [stack.publish("compose.kcat", {"n": n}) for n in range(3)]
    kcat = ["kcat", "-C", "-q", "-b", f"127.0.0.1:{stack.ports['KAFKA_PORT']}", "-t", "ess.events", "-f", "%o %s\n"]
    one = subprocess.run([*kcat, "-o", str(cursors[1]), "-c", "1"], capture_output=True, text=True, timeout=30, check=True).stdout
    assert one.startswith(f"{cursors[1]} {{") and '"data":{"n": 1}' in one
    with subprocess.Popen([*kcat, "-o", "end", "-c", "1", "-u"], stdout=subprocess.PIPE, text=True) as tail:
        lines = []
        reader = threading.Thread(target=lambda: lines.append(tail.stdout.readline()), daemon=True)
        reader.start()
        published = []

        def shown():  # when it has found the end is not told: so what is published is repeated until one is shown
            published.append(stack.publish("compose.kcat", "tail"))
            reader.join(0.5)
            return lines
        wait_for(shown)
        tail.kill()
    assert int(lines[0].split(" ")[0]) in published


def test_three_dispatchers_share_the_subscribers(stack):
    names = [f"shared-{n}" for n in range(12)]
    for name in names:
        stack.subscribe(name, ["compose.shared"])
    owners = set(re.findall(r"^(\S+)\s+\| .*event=subscriber_started subscriber=shared-", stack.logs("dispatcher"), re.M))
    assert len(owners) == 3, owners
    cursors = stack.publish_many("compose.shared", 50)
    for name in names:
        assert stack.wait_webhooks(name, cursors) == sorted(cursors)


@pytest.mark.timeout(600)
def test_one_of_each_is_killed_and_every_acknowledged_event_arrives_in_order(stack):
    stack.subscribe("killed", ["compose.killed"])
    owner = wait_for(lambda: re.findall(r"^dispatcher-(\d+)\s+\| .*event=subscriber_started subscriber=killed ", stack.logs("dispatcher"), re.M))[-1]
    dispatcher, = (c for c in stack.containers("dispatcher") if stack.inspect(c, "{{.Name}}").endswith(f"-{owner}"))
    stop, cursors = threading.Event(), []

    def load():
        while not stop.wait(0.01):
            cursors.append(stack.publish("compose.killed", {"n": len(cursors)}))
    loader = threading.Thread(target=load)
    loader.start()
    try:
        for container in (dispatcher, *stack.containers("ingest"), *stack.containers("kafka")):
            before = len(cursors)
            wait_for(lambda: len(cursors) >= before + 50)
            stack.kill9_and_wait(container)
        before = len(cursors)
        wait_for(lambda: len(cursors) >= before + 50, told=lambda: "publishing does not go on")
    finally:
        stop.set()
        loader.join()
    arrived = first_receipts(stack.wait_webhooks("killed", cursors, 90))
    assert arrived == sorted(arrived)


@pytest.mark.timeout(600)
def test_down_and_up_keeps_everything(stack):
    stack.subscribe("kept", ["compose.kept"])
    before = stack.publish_many("compose.kept", 20)
    stack.wait_webhooks("kept", before)
    events = stack.replay()
    stack.compose("stop", "dispatcher")
    while_away = stack.publish("compose.kept", "while no dispatcher ran")
    stack.compose("down")
    began = time.monotonic()
    stack.up()
    after = stack.publish("compose.kept", "after")
    print(f"\nfrom docker compose up to the first 201: {time.monotonic() - began:.1f} s")
    assert after > while_away > max(before)
    assert stack.wait_webhooks("kept", [while_away, after]) == [while_away, after]
    assert [event["cursor"] for event in stack.replay()[:len(events)]] == [event["cursor"] for event in events]
