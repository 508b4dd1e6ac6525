"""hms-ess, the client for Java: the test vectors, and an endpoint in Java that gets real webhooks. Debian's headless Java runtime has the compiler
as a module, so no JDK is needed; where a Java has none, all of this is skipped."""
import functools
import json
import shutil
import subprocess

import pytest

from ess import ROOT, wait_for
from snippets import snippets
from vendors import Vendor

CLIENT = ROOT / "clients/java"
DOCUMENT = "clients/java/README.md"
COMPILER = ["java", "-m", "jdk.compiler/com.sun.tools.javac.Main"]
FLAGS = ["-source", "17", "-target", "17", "-Xlint:all,-options", "-Werror"]


@functools.lru_cache(maxsize=None)
def has_compiler():
    return bool(shutil.which("java")) and subprocess.run([*COMPILER, "--version"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not has_compiler(), reason="this machine's Java has no compiler")


def run(*words, **options):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compiled(folder, *sources):
    """The folder of the classes."""
    run(*COMPILER, *FLAGS, "-d", folder / "classes", *(CLIENT / "src").rglob("*.java"), *sources)
    return folder / "classes"


def test_every_vector_is_judged_as_it_says(tmp_path):
    classes = compiled(tmp_path, *(CLIENT / "test").rglob("*.java"))
    said = run("java", "-cp", classes, "hms.ess.VectorsTest", ROOT / "clients/vectors.json")
    vectors = json.loads((ROOT / "clients/vectors.json").read_text())
    steps = sum(len(story["steps"]) for story in vectors["gaps"])
    assert said == f"{len(vectors['signatures']) + len(vectors['public_key_signatures']) + 4 * steps} passed, 0 failed\n"


@pytest.mark.skipif(not shutil.which("javac") or not shutil.which("jar"), reason="this machine has no JDK")
def test_the_commands_of_its_readme_build_a_jar_and_pass(tmp_path):
    (tmp_path / "clients").symlink_to(ROOT / "clients")
    build, check = snippets(DOCUMENT)
    build.run({}, cwd=tmp_path, timeout=120)
    assert "hms/ess/GapDetector.class" in run("jar", "--list", "--file", tmp_path / "build/hms-ess.jar")
    assert check.run({}, cwd=tmp_path, timeout=120).endswith(" passed, 0 failed\n")


# The README's example, behind the JDK's own server.
ENDPOINT = """
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import hms.ess.*;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.function.Function;

public class Endpoint {
    String[] secret = System.getenv("SECRETS").split(" ");
    String essUrl = System.getenv("ESS_URL"), essToken = null;
    long lastHandled = Long.parseLong(System.getenv("LAST_HANDLED"));

    EXAMPLE

    {
        if (System.getenv("FILTER") != null)
            gaps = new GapDetector(lastHandled, new Replay(essUrl, essToken, "drug.*", System.getenv("FILTER")));
    }

    void handle(Event event) {
        System.out.println(event.cursor());
    }

    int status(HttpExchange exchange) {
        try {
            onWebhook(exchange.getRequestBody().readAllBytes(), exchange.getRequestHeaders()::getFirst);
            return 204;
        } catch (EssException e) {
            return 401;
        } catch (Exception e) {
            System.out.println(e);
            return 503;
        }
    }

    public static void main(String[] arguments) throws IOException {
        Endpoint endpoint = new Endpoint();
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(endpoint.status(exchange), -1);
            exchange.close();
        });
        server.start();
        System.out.println(server.getAddress().getPort());
    }
}
"""


@pytest.fixture
def endpoint(ess, tmp_path):
    """Makes vendors, and ends their processes."""
    example, = snippets(DOCUMENT, "java")
    assert len(example.text.splitlines()) <= 5
    source = tmp_path / "Endpoint.java"
    source.write_text(ENDPOINT.replace("EXAMPLE", example.text))
    classes, vendors = compiled(tmp_path, source), []
    command = ["java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classes, "Endpoint"]
    ess.ingest()
    ess.dispatcher()

    def make(*more_secrets, id="vendor", **fields):
        def variables(made):
            return {"SECRETS": " ".join([*more_secrets, made["whsec"]]), **({"FILTER": json.dumps(fields["filter"])} if "filter" in fields else {})}
        vendors.append(Vendor(ess, command, variables, id, "drug.copay", **fields))
        return vendors[-1]
    yield make
    for vendor in vendors:
        vendor.end()


def test_what_an_endpoint_lost_is_noticed_fetched_in_pages_and_handled_in_order(ess, endpoint):
    vendor = endpoint("whsec_b2xk")  # beside an old secret
    vendor.loses = lambda event: event["data"] not in ("first", "last", "again")
    batch = [{"topic": "drug.copay", "data": n} for n in range(250)]
    cursors = [ess.publish("drug.copay", "first")]
    cursors += [result["cursor"] for result in vendor.ingest.post(json.dumps(batch)).json["results"]]
    ess.publish("other", 0)
    cursors.append(ess.publish("drug.copay", "last"))
    vendor.wait_handled(cursors)
    wait_for(lambda: len(vendor.statuses) >= 2)  # the program prints an event before its answer is here
    assert vendor.statuses == [204, 204]
    vendor.loses = lambda event: False
    vendor.command("rewind", cursor=cursors[-3])  # two repeats
    cursors.append(ess.publish("drug.copay", "again"))
    vendor.wait_handled(cursors)
    vendor.command("replay", **{"from": cursors[0], "to": cursors[1]})
    vendor.command("test")
    vendor.wait_handled([*cursors, cursors[1], -1])


def test_what_the_subscribers_filter_excludes_is_not_fetched(ess, endpoint):
    vendor = endpoint(filter={"data": ["first", "lost", "last"]})
    vendor.loses = lambda event: event["data"] == "lost"
    cursors = [ess.publish("drug.copay", data) for data in ("first", "excluded", "lost", "excluded too", "last")]
    vendor.wait_handled(cursors[::2])


def test_a_handshake_batches_and_a_heartbeat_are_taken_and_the_heartbeat_shows_what_was_lost(ess, endpoint):
    asked = {"batch": {"max_events": 3, "max_wait": "60s"}, "heartbeat": "10s", "handshake": True}
    vendors = [endpoint(id=format, format=format, **asked) for format in ("ess", "cloudevents")]
    ingest = vendors[0].ingest

    def publish(*data):
        return [one["cursor"] for one in ingest.post(json.dumps([{"topic": "drug.copay", "data": n} for n in data])).json["results"]]
    for vendor in vendors:
        wait_for(lambda: ingest.status(vendor.id)["state"] == "active")
        vendor.loses = lambda body: '"data": 6' in json.dumps(body)  # the second batch
    cursors = publish(*range(1, 7))
    for vendor in vendors:
        vendor.wait_handled(cursors)
    cursors += publish(7, 8, 9)
    for vendor in vendors:
        vendor.wait_handled(cursors)
        assert set(vendor.statuses) == {204} and "handshake" in vendor.receiver.requests[0].json


def test_a_webhook_with_another_secret_is_refused_with_401(ess, endpoint):
    vendor = endpoint()
    vendor.command("rotate", overlap="0")
    ess.publish("drug.copay", 1)
    vendor.receiver.wait(1)
    wait_for(lambda: vendor.statuses)
    assert vendor.statuses[0] == 401 and vendor.handled() == []
