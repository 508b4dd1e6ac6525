"""A compose project of a test's own: its files in a folder, its ports, and what its receiver printed."""
import concurrent.futures
import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess

from demo import WEBHOOK
from ess import PATIENCE_S, ROOT, free_port, wait_for

UP_S = 240
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r")


def copy_checkout(folder):
    """What a clone would have, and what is not committed yet."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


class Stack:
    def __init__(self, folder, ports, file="docker-compose.yml"):
        """`ports`: names of variables that the file takes ports from."""
        copy_checkout(folder)
        self.folder, self.file, self.ports = folder, file, {name: free_port() for name in ports}
        self.token = self.tls = None  # where it asks for a token, or speaks TLS
        number = random.randrange(256)
        self.environment = {**os.environ, **{name: str(port) for name, port in self.ports.items()}, "COMPOSE_PROJECT_NAME": f"ess-test-{os.getpid()}",
                            "COMPOSE_PROFILES": "demo", "COMPOSE_FILE": file, "RECEIVERS_SUBNET": f"10.214.{number}.0/26"}

    def compose(self, *words, check=True, timeout=UP_S):
        done = subprocess.run(["docker", "compose", *words], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"docker compose {' '.join(words)}: {done.returncode}\n{done.stdout[-5000:]}\n{self.last_words()}"
        return done if not check else CONTROL.sub("", done.stdout)

    def up(self, *words):
        self.compose("up", "--wait", *words)

    def logs(self, *services):
        return CONTROL.sub("", self.compose("logs", "--no-color", *services, check=False).stdout)

    def last_words(self):
        """Of each service, for a failure's report."""
        return "\n".join(line[:300] for line in self.logs("--tail", "20").splitlines())

    def wait_logs(self, service, pattern):
        """The first match of a pattern in the lines of a service, over all its containers."""
        return wait_for(lambda: re.search(pattern, self.logs(service)), told=lambda: self.logs(service)[-5000:])

    def containers(self, service):
        """Ids, also of those that have ended."""
        return self.compose("ps", "-aq", service).split()

    def inspect(self, container, template):
        return subprocess.run(["docker", "inspect", "-f", template, container], capture_output=True, text=True, check=True).stdout.strip()

    def kill9(self, container):
        """As a crash would: `docker kill` would keep the restart policy from starting it again."""
        os.kill(int(self.inspect(container, "{{.State.Pid}}")), signal.SIGKILL)

    def wait_healthy(self, container, starts=0):
        """Waits until it has been started again `starts` times, and is healthy."""
        state = lambda: self.inspect(container, "{{.RestartCount}} {{.State.Health.Status}}")
        wait_for(lambda: state() == f"{starts} healthy", UP_S, state)

    def kill9_and_wait(self, container):
        starts = int(self.inspect(container, "{{.RestartCount}}"))
        self.kill9(container)
        self.wait_healthy(container, starts + 1)

    # --- its HTTP and its receiver

    def request(self, method, path, body=None, port="INGEST_PORT"):
        """Status and body; an error of the connection is status 0."""
        where = ("127.0.0.1", self.ports[port])
        connection = http.client.HTTPSConnection(*where, timeout=10, context=self.tls) if port == "PROXY_PORT" else http.client.HTTPConnection(*where, timeout=10)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"} if self.token else {})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as wrong:
            return 0, str(wrong).encode()
        finally:
            connection.close()

    def publish(self, topic, data, port="INGEST_PORT", timeout=90, **members):
        """The cursor of an event, sent until it is taken."""
        body = json.dumps({"topic": topic, "data": data, **members})
        answers = []

        def taken():
            status, answer = self.request("POST", "/ess/publish", body, port)
            answers.append((status, answer))
            assert status in (0, 200, 201, 502, 503), answer  # 502: nginx, whose ingest was killed while it had the request
            return json.loads(answer)["cursor"] if status in (200, 201) else None
        return wait_for(taken, timeout, lambda: answers[-1])

    def publish_many(self, topic, count, ports=("INGEST_PORT",), threads=4):
        """Their cursors, each to one of the ingests in turn."""
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda n: self.publish(topic, {"n": n}, ports[n % len(ports)]), range(count)))

    def replay(self, since=0):
        status, body = self.request("GET", f"/ess/replay?since_cursor={since}&limit=10000")
        assert status == 200, body
        return json.loads(body)["events"]

    def subscribe(self, id, topics, **fields):
        """Drops a file in; returns when a dispatcher has it."""
        lines = [f"id: {id}", "url: https://receiver:8443/fast", f"topics: {json.dumps(topics)}", f"secret: secret-of-{id}"]
        lines += [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
        self.write(f"{id}.yml", "\n".join(lines) + "\n")
        self.wait_logs("dispatcher", rf"event=subscriber_started subscriber={id} ")

    def write(self, name, text):
        path = self.folder / "subscribers" / name
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)

    def webhooks(self, subscriber):
        """Cursors of the verified webhooks to a subscriber, as they arrived at this receiver."""
        log = CONTROL.sub("", self.compose("logs", "--no-log-prefix", "--no-color", "receiver", check=False).stdout)
        return [int(cursor) for id, _, cursor, *_ in WEBHOOK.findall(log) if id == subscriber]

    def wait_webhooks(self, subscriber, cursors, timeout=PATIENCE_S):
        """All that arrived, once these have."""
        wanted = set(cursors)
        wait_for(lambda: wanted <= set(self.webhooks(subscriber)), timeout,
                 lambda: f"{subscriber} misses {sorted(wanted - set(self.webhooks(subscriber)))[:20]}\n{self.logs('dispatcher', 'ingest')[-5000:]}")
        return self.webhooks(subscriber)

    def close(self):
        self.compose("down", "--volumes", "--timeout", "5", check=False)


def first_receipts(cursors):
    return list(dict.fromkeys(cursors))
