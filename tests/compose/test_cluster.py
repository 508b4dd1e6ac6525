"""deploy/compose.cluster.yml in a real engine: three brokers, nginx, two ingests, three dispatchers, and one of each killed under load."""
import concurrent.futures
import json
import re
import ssl

import confluent_kafka.admin
import pytest

from ess import wait_for
from stack import Stack, first_receipts

INGESTS = ("INGEST_PORT_1", "INGEST_PORT_2", "PROXY_PORT")
BROKERS = ("KAFKA_PORT_1", "KAFKA_PORT_2", "KAFKA_PORT_3")


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("ess"), [*INGESTS, *BROKERS, "PROXY_PORT"], "deploy/compose.cluster.yml")
    try:
        stack.compose("up", "--build", "--wait", timeout=600)
        made = lambda name: stack.compose("exec", "-T", "ingest-1", "cat", f"/var/lib/ess-demo/{name}")
        stack.token, stack.tls = made("token").strip(), ssl.create_default_context(cadata=made("ca.pem"))
        yield stack
    finally:
        stack.close()


def leader(stack):
    """Name of the service of the broker that has the log, asked of any broker."""
    brokers = ",".join(f"127.0.0.1:{stack.ports[name]}" for name in BROKERS)
    partition = confluent_kafka.admin.AdminClient({"bootstrap.servers": brokers, "log_level": 0}).list_topics("ess.events", timeout=30).topics["ess.events"].partitions[0]
    assert len(partition.replicas) == 3
    return f"kafka-{partition.leader}"


def publish_while(stack, topic, count, when, do):
    """Publishes so many events to both ingests in turn, and does something once a part of them is acknowledged; their cursors."""
    cursors = stack.publish_many(topic, when, INGESTS)
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        done = other.submit(do)
        cursors += stack.publish_many(topic, count - when, INGESTS)
        done.result()
    return cursors


@pytest.mark.timeout(900)  # builds the images
def test_the_broker_of_the_log_is_killed_under_load_and_every_acknowledged_event_arrives_in_order(stack):
    stack.subscribe("load", ["cluster.load"])
    broker, = stack.containers(leader(stack))
    cursors = publish_while(stack, "cluster.load", 2000, 700, lambda: stack.kill9_and_wait(broker))
    assert len(set(cursors)) == 2000
    arrived = first_receipts(stack.wait_webhooks("load", cursors, 120))
    assert arrived == sorted(arrived)


@pytest.mark.timeout(600)
def test_an_ingest_and_the_dispatcher_that_delivers_are_killed_under_load(stack):
    stack.subscribe("service", ["cluster.service"])
    owner = re.findall(r"^dispatcher-(\d+)\s+\| .*event=subscriber_started subscriber=service ", stack.logs("dispatcher"), re.M)[-1]
    dispatcher, = (c for c in stack.containers("dispatcher") if stack.inspect(c, "{{.Name}}").endswith(f"-{owner}"))

    def kill_both():
        stack.kill9(dispatcher)
        stack.kill9_and_wait(stack.containers("ingest-2")[0])
    cursors = publish_while(stack, "cluster.service", 600, 200, kill_both)
    arrived = first_receipts(stack.wait_webhooks("service", cursors, 90))
    assert arrived == sorted(arrived)
    wait_for(lambda: all(stack.inspect(c, "{{.State.Health.Status}}") == "healthy" for c in stack.containers("dispatcher")), 60)


def test_nginx_speaks_tls_passes_tokens_on_and_shows_no_metrics(stack):
    stack.subscribe("behind", ["cluster.behind"])
    cursor = stack.publish("cluster.behind", "through nginx", "PROXY_PORT")
    status, body = stack.request("GET", f"/ess/replay?since_cursor={cursor - 1}&topics=cluster.behind", port="PROXY_PORT")
    assert status == 200 and json.loads(body)["events"][0]["data"] == "through nginx"
    assert stack.wait_webhooks("behind", [cursor]) == [cursor]
    assert stack.request("GET", "/metrics", port="PROXY_PORT")[0] == 403 and stack.request("GET", "/metrics", port=INGESTS[0])[0] == 200
    token, stack.token = stack.token, None
    try:
        assert [stack.request("GET", "/ess/replay", port=port)[0] for port in INGESTS] == [401] * len(INGESTS)
    finally:
        stack.token = token
