"""What the system tests are written with: a real broker, the two services, a CA, receivers of webhooks.

A test takes the fixture `ess` (see conftest.py), starts what it needs and tells a short story:

    def test_an_event_arrives(ess):
        ess.ingest()
        ess.dispatcher()
        receiver = ess.receiver()
        ess.subscribe("md-mm1", receiver, ["drug.copay"])
        cursor = ess.publish("drug.copay", {"copay": 25})
        assert receiver.wait(1)[0].json["cursor"] == cursor

ESS_BUILD names the folder of the programs (build/sanitize-address-undefined). Nothing here sleeps for luck: wait_for() a condition.
"""
import contextlib
import dataclasses
import http.client
import http.server
import itertools
import json
import os
import pathlib
import random
import re
import signal
import select
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time

import confluent_kafka
import confluent_kafka.admin

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("ESS_BUILD", "build")
SANITIZED = BUILD.name != "build"  # then what is freed is kept for a while
PATIENCE_S = 60  # for what takes a moment; only a failing test ever waits that long
# What decides what a daemon does stands in its test, not in the environment of whoever runs it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ESS_")}


def wait_for(what, timeout=PATIENCE_S, told=None):
    """The first true value of `what()`. Gives up after `timeout` seconds, saying what it was last, or `told()`."""
    deadline = time.monotonic() + timeout
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {told() if told else value!r}")
        time.sleep(0.02)


def free_port():
    """Below the range that outgoing connections take theirs from, so that what is killed finds its port free again."""
    for port in random.sample(range(10000, 20000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


class Broker:
    """deploy/kafka/kafka: one broker (or three) on 127.0.0.1 with its data in a folder."""

    def __init__(self, folder, brokers=1, settings=()):
        self.folder, self.brokers, self.port, self.settings = folder, brokers, free_port(), ["log.segment.delete.delay.ms=1000", *settings]
        self.address = ",".join(f"127.0.0.1:{self.port + n}" for n in range(brokers))

    def _kafka(self, command, *arguments):
        words = [ROOT / "deploy/kafka/kafka", command, "--dir", self.folder, *arguments]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, f"kafka {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        """Returns when it is ready. What topics it deletes goes at once."""
        words = [word for setting in self.settings for word in ("--set", setting)]
        self._kafka("start", "--port", str(self.port), "--brokers", str(self.brokers), *words)

    def stop(self):
        self._kafka("stop")

    def pids(self):
        """Of those that live, also while they are stopped and answer nothing."""
        pids = [int(file.read_text()) for file in sorted(self.folder.glob("broker-*/pid"))]
        return [pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()]

    def kill9(self):
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda pid=pid: not pathlib.Path(f"/proc/{pid}").exists())

    def leader(self, topic, partition=0):
        """The number of the broker that leads it."""
        return self.admin().list_topics(topic, timeout=10).topics[topic].partitions[partition].leader

    def freeze(self, number=None):
        """SIGSTOP of all, or of one. A process's threads stop one after the other, and may answer until then: returns when all have."""
        self.frozen = [int((self.folder / f"broker-{number}/pid").read_text())] if number else self.pids()
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)
            wait_for(lambda: all("T (stopped)" in (task / "status").read_text() for task in pathlib.Path(f"/proc/{pid}/task").iterdir()))

    def thaw(self):
        for pid in self.frozen:
            os.kill(pid, signal.SIGCONT)

    def admin(self):
        return confluent_kafka.admin.AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def create_topic(self, name, partitions=1, **config):
        topic = confluent_kafka.admin.NewTopic(name, partitions, 1, config={k.replace("_", "."): v for k, v in config.items()})
        admin = self.admin()
        admin.create_topics([topic])[name].result()

    def alter_topic(self, name, **config):
        kafka, admin = confluent_kafka.admin, self.admin()
        entries = [kafka.ConfigEntry(k.replace("_", "."), v, incremental_operation=kafka.AlterConfigOpType.SET) for k, v in config.items()]
        resource = kafka.ConfigResource(kafka.ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        admin.incremental_alter_configs([resource])[resource].result()

    def topic_config(self, name):
        admin, resource = self.admin(), confluent_kafka.admin.ConfigResource(confluent_kafka.admin.ConfigResource.Type.TOPIC, name)
        return {entry.name: entry.value for entry in admin.describe_configs([resource])[resource].result().values()}

    def topic_partitions(self, name):
        return len(self.admin().list_topics(name, timeout=10).topics[name].partitions)

    def delete_topics(self, name):
        """The topic, or all of the prefix."""
        admin = self.admin()
        names = [found for found in admin.list_topics(timeout=10).topics if found == name or found.startswith(f"{name}.")]
        for future in admin.delete_topics(names).values() if names else []:
            future.result()

    def records(self, topic):
        """All records of a topic as they stand now, by partition and offset."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": "test", "enable.partition.eof": True, "log_level": 0,
                                             "auto.offset.reset": "earliest", "enable.auto.commit": False, "fetch.wait.max.ms": 10})
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            consumer.assign([confluent_kafka.TopicPartition(topic, n, 0) for n in partitions])
            records, ended, deadline = [], set(), time.monotonic() + PATIENCE_S
            while len(ended) < len(partitions) and time.monotonic() < deadline:
                message = consumer.poll(1)
                if message is None:
                    continue
                if not message.error():
                    records.append(message)
                elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
            assert len(ended) == len(partitions), f"{topic} could not be read"
            return sorted(records, key=lambda m: (m.partition(), m.offset()))
        finally:
            consumer.close()


class CA:
    """A certificate authority of this machine's own, made by openssl."""

    def __init__(self, folder):
        self.folder, self.pem, self.key = folder, folder / "ca.pem", folder / "ca.key"
        self._openssl("req", "-x509", *self._new_key(self.key), "-days", "2", "-subj", "/CN=ESS test CA", "-out", self.pem,
                      "-addext", "keyUsage=critical,keyCertSign")

    def _new_key(self, path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]

    def _openssl(self, *words):
        done = subprocess.run(["openssl", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr

    def certificate(self, name="server", names="IP:127.0.0.1,DNS:localhost"):
        """(certificate, key) of a server; made once."""
        pem, key, csr, extensions = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr", "ext"))
        if not pem.exists():
            extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
            self._openssl("req", "-new", *self._new_key(key), "-subj", "/CN=localhost", "-out", csr)
            self._openssl("x509", "-req", "-in", csr, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
                          "-extfile", extensions, "-out", pem)
        return pem, key


# --- receivers


@dataclasses.dataclass
class Request:
    """A webhook as it arrived. `at` is when its headers were read, of time.monotonic(): before any answer.
    `gone`: its sender had closed the connection by then, so `at` says nothing of when it was sent."""
    at: float
    path: str
    headers: http.client.HTTPMessage
    body: bytes
    connection: int  # which of the receiver's connections brought it
    gone: bool = False

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def cursor(self):
        return int(self.headers["X-ESS-Cursor"])


@dataclasses.dataclass
class Answer:
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""
    delay: float = 0
    hang: bool = False  # until the receiver is stopped or release() is called
    cut: bool = False   # the connection is closed without an answer


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    numbers = itertools.count()

    def setup(self):
        super().setup()
        self.number = next(self.numbers)

    def sender_is_gone(self):
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def do_POST(self):
        at = time.monotonic()
        gone = self.sender_is_gone()
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # who sent it was killed: no webhook has arrived
            self.close_connection = True
            return
        answer = self.server.receiver.take(Request(at, self.path, self.headers, body, self.number, gone))
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format, *args):
        pass


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def finish_request(self, request, client_address):
        request.settimeout(self.receiver.idle_timeout)
        with self.tls.wrap_socket(request, server_side=True) as connection:
            self.receiver.connections.append(connection)
            super().finish_request(connection, client_address)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # a broken connection is often what a test is about
            super().handle_error(request, client_address)


class Receiver:
    """An HTTPS endpoint in this process, a thread a connection. It keeps every request, and answers as it is told:

        receiver.answers(503, 503)                      then 200 for all that follow
        receiver.answers(Answer(503, {"Retry-After": "2"}), Answer(hang=True))
        receiver.answer = lambda request: Answer(delay=random.uniform(0, 0.15))
    """

    def __init__(self, certificate, port=0, host="127.0.0.1"):
        self.certificate, self.requests, self.connections = certificate, [], []
        self.answer = lambda request: Answer()
        self.idle_timeout = PATIENCE_S  # after which it closes a connection
        self._lock, self._released, self._host, self._port = threading.Lock(), threading.Event(), host, port
        self.start()

    def start(self):
        self._released.clear()
        self._server = _Server((self._host, self._port), _Handler)
        self._server.receiver = self
        self._server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.tls.load_cert_chain(*self.certificate)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        """Refuses connections from now on, and cuts those that are open. start() opens the same port again."""
        self._server.shutdown()
        self._server.server_close()
        self.release()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connections.clear()

    def release(self):
        """Lets those go on that hang."""
        self._released.set()

    def url(self, path="/hook", host="127.0.0.1"):
        return f"https://{host}:{self._port}{path}"

    def answers(self, *answers):
        left = [answer if isinstance(answer, Answer) else Answer(answer) for answer in answers]
        self.answer = lambda request: left.pop(0) if left else Answer()

    def take(self, request):
        with self._lock:
            self.requests.append(request)
            answer = self.answer(request)
        if answer.hang:
            self._released.wait()
        time.sleep(answer.delay)
        return None if answer.cut else answer

    def wait(self, count, timeout=PATIENCE_S):
        """The requests so far, once there are at least `count`."""
        wait_for(lambda: len(self.requests) >= count, timeout, lambda: f"{count} webhooks, but {len(self.requests)} came")
        return list(self.requests)

    def cursors(self):
        return [request.cursor for request in self.requests]


# --- the services


class Response:
    """An HTTP answer."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


class Daemon:
    """ess-ingest or ess-dispatcher. Its log goes to a file, over all its lives."""

    def __init__(self, name, program, options, folder):
        self.name, self.program, self.options, self.folder = name, program, options, folder
        self.log, self.process, self.address = folder / f"{name}.log", None, None
        self.ended = True  # by the test's will

    def command_line(self):
        return [BUILD / self.program, *(f"--{name}={value}" for name, value in self.options.items())]

    def start(self, ready=True):
        """Returns once it listens, and unless `ready` is False once its /readyz is 200."""
        assert not self.running()
        before = len(self.lines("listening"))
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command_line(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT, cwd=self.folder)
        self.ended = False
        lines = wait_for(lambda: self.lines("listening")[before:] or not self.running() and [None])
        assert lines[0], f"{self.name} ended with {self.process.returncode}"
        self.address = lines[0]["address"]
        if ready:
            self.wait_ready()
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait_ready(self, timeout=PATIENCE_S):
        wait_for(lambda: self.get("/readyz").status == 200, timeout, lambda: f"{self.name} is not ready: {self.get('/readyz')}")

    def wait_exit(self, timeout=PATIENCE_S):
        """Its exit status."""
        status = self.process.wait(timeout)
        self.ended = True
        return status

    def signal(self, number):
        self.process.send_signal(number)

    def kill9(self):
        self.signal(signal.SIGKILL)
        self.wait_exit()

    def term(self):
        self.signal(signal.SIGTERM)
        status = self.wait_exit()
        assert status == 0, f"{self.name} ended with {status} at SIGTERM"

    def restart(self, ready=True):
        self.term()
        return self.start(ready)

    def request(self, method, path, body=None, headers=None):
        """One HTTP request on a connection of its own."""
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, headers or {})
            return Response(connection.getresponse())
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path)

    def metrics(self):
        """{"name{labels}": value}. Every line must be one that Prometheus can read."""
        found = {}
        for line in self.get("/metrics").body.decode().splitlines():
            if line.startswith("#"):
                assert re.fullmatch(r"# (HELP|TYPE) [a-z_]+ .+", line), line
                continue
            match = re.fullmatch(r'([a-z_]+(?:\{(?:[a-z_]+="[^"\n]*",?)+\})?) (\S+)', line)
            assert match and match[1] not in found, line
            found[match[1]] = float(match[2])
        return found

    def lines(self, event=None, **fields):
        """Its log's lines as {name: value}, those of one event and with these fields where given."""
        found = []
        for line in self.text().splitlines():
            words = {name: _unquote(value) for name, value in re.findall(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)', line)}
            if (event is None or words.get("event") == event) and all(words.get(name) == str(value) for name, value in fields.items()):
                found.append(words)
        return found

    def wait_line(self, event, timeout=PATIENCE_S, **fields):
        return wait_for(lambda: self.lines(event, **fields), timeout, lambda: f"no event={event} {fields} in {self.log}")[-1]

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def _unquote(value):
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


class Ingest(Daemon):
    def post(self, body, path="/ess/publish", **headers):
        return self.request("POST", path, body, headers)

    def replay(self, since=0, **parameters):
        query = "&".join(f"{name}={value}" for name, value in {"since_cursor": since, **parameters}.items())
        return self.get(f"/ess/replay?{query}")

    def status(self, id):
        return self.get(f"/ess/subscribers/{id}").json["status"]

    def command(self, id, name, body=None):
        """Gives a command, without waiting for it; the answer."""
        answer = self.request("POST", f"/ess/subscribers/{id}/{name}", json.dumps(body) if body is not None else None)
        assert answer.status == 202, answer
        return answer.json


class Subscriber:
    """One that was registered by HTTP, and the calls about it."""

    def __init__(self, ingest, receiver, topics, **fields):
        self.ingest, self.receiver = ingest, receiver
        made = ingest.request("POST", "/register", json.dumps({"url": receiver.url(), "topics": topics, **fields}))
        assert made.status == 201, made
        self.registration, self.id = made.json, made.json["id"]

    def call(self, name, body=None, method="POST"):
        """A command; its generation, once it is in force."""
        answer = self.ingest.request(method, f"/ess/subscribers/{self.id}/{name}", json.dumps(body) if body is not None else None)
        return self._in_force(answer)["generation"]

    def _in_force(self, answer):
        assert answer.status == 202, answer
        wait_for(lambda: self.status()["generation"] >= answer.json["generation"], told=self.status)
        return answer.json

    def give(self, name, body=None):
        """A command, without waiting for it."""
        return self.ingest.command(self.id, name, body or {})["generation"]

    def give_delete(self, job):
        answer = self.ingest.request("DELETE", f"/ess/subscribers/{self.id}/jobs/{job}")
        assert answer.status in (202, 404), answer

    def replace(self, **fields):
        """A PUT of what GET shows with these fields; None: left out. Returns the answer, once it is in force."""
        shown = {name: value for name, value in (self.show() | fields).items() if name != "status" and value is not None}
        return self._in_force(self.ingest.request("PUT", f"/ess/subscribers/{self.id}", json.dumps(shown)))

    def show(self):
        answer = self.ingest.get(f"/ess/subscribers/{self.id}")
        assert answer.status == 200, answer
        return answer.json

    def status(self):
        return self.show()["status"]


class Ess:
    """One test's ESS: a prefix of topics, a folder, and all that was started in it."""

    numbers = itertools.count(1)

    def __init__(self, folder, broker, ca):
        self.folder, self.broker, self.ca = folder, broker, ca
        self.prefix = f"t{next(self.numbers)}"
        self.subscribers, self.daemons, self.receivers, self.allowed = folder / "subscribers", [], [], set()
        self.subscribers.mkdir()

    def allow(self, *events):
        """Lines level=error with these events are expected."""
        self.allowed.update(events)

    def _daemon(self, kind, program, options, start, ready):
        number = sum(d.program == program for d in self.daemons) + 1
        common = {"kafka.brokers": self.broker.address, "kafka.prefix": self.prefix, "secrets.key_file": self.folder / "secrets.key",
                  "egress.allow": "127.0.0.0/8", "egress.ca_file": self.ca.pem}
        daemon = kind(f"{program}-{number}", program, {**common, **options}, self.folder)
        self.daemons.append(daemon)
        return daemon.start(ready) if start else daemon

    def ingest(self, options={}, start=True, ready=True):
        base = {"ingest.listen": "127.0.0.1:0", "subscribers.dir": self.subscribers}
        return self._daemon(Ingest, "ess-ingest", {**base, **options}, start, ready)

    def dispatcher(self, options={}, start=True, ready=True):
        return self._daemon(Daemon, "ess-dispatcher", {"dispatcher.listen": "127.0.0.1:0", "dispatcher.check_liveness": "true", **options}, start, ready)

    def receiver(self):
        self.receivers.append(Receiver(self.ca.certificate()))
        return self.receivers[-1]

    def write(self, name, text):
        """A file in the folder of subscribers, put there whole."""
        path = self.subscribers / name
        aside = self.folder / f"{name}.new"
        aside.write_text(text)
        aside.rename(path)
        return path

    def subscribe(self, id, receiver, topics, wait=True, secret="s3cr3t", **fields):
        """Drops a subscriber's file in. Returns when a dispatcher has it, if there is one: what is published then is for it."""
        url = receiver if isinstance(receiver, str) else receiver.url()
        lines = [f"id: {id}", f"url: {url}", f"topics: {json.dumps(topics)}", f"secret: {json.dumps(secret)}"]
        before = self._settled(id)
        path = self.write(f"{id}.yml", "\n".join(lines + [f"{name}: {json.dumps(value)}" for name, value in fields.items()]) + "\n")
        if wait and any(d.running() for d in self.dispatchers()):
            wait_for(lambda: self._settled(id) > before, told=lambda: f"{id} is not in force")
        return path

    def dispatchers(self):
        return [daemon for daemon in self.daemons if daemon.program == "ess-dispatcher"]

    def _settled(self, id):
        return sum(len(d.lines(event, subscriber=id)) for d in self.dispatchers() for event in ("subscriber_started", "subscriber_changed"))

    def publish(self, topic, data, ingest=None, **members):
        """Publishes one event, which must be taken, at 503 by sending it again, as publishers do; its cursor."""
        ingest = ingest or next(d for d in self.daemons if isinstance(d, Ingest))
        event = {"topic": topic, "data": data, **members}
        until = time.monotonic() + PATIENCE_S
        while (response := ingest.post(json.dumps(event))).status == 503 and time.monotonic() < until:
            event.update({"id": response.json["id"]} if "id" in response.json else {})
            time.sleep(0.1)
        assert response.status == 201 or response.status == 200 and "id" in event, response
        return response.json["cursor"]

    def topic(self, name):
        return f"{self.prefix}.{name}"

    def records(self, name):
        """All records of the topic `events`, `subscribers`, `tokens` or `dlq`."""
        return self.broker.records(self.topic(name))

    def append(self, name, key, value, partition=0, **options):
        """Appends a record to one of these topics, as another program may; its offset. `value` None: a tombstone."""
        producer, offsets = confluent_kafka.Producer({"bootstrap.servers": self.broker.address, "log_level": 0}), []
        producer.produce(self.topic(name), value, key, partition, on_delivery=lambda _, record: offsets.append(record.offset()), **options)
        assert producer.flush(30) == 0
        return offsets[0]

    def close(self):
        """Ends everything, and says what was not as it must be."""
        wrong = []
        left = [daemon for daemon in self.daemons if not daemon.ended]
        for daemon in left:
            daemon.signal(signal.SIGCONT)
            daemon.signal(signal.SIGTERM)
        for daemon in left:
            try:
                if daemon.wait_exit() != 0:
                    wrong.append(f"{daemon.name} ended with {daemon.process.returncode}")
            except subprocess.TimeoutExpired:
                wrong.append(f"{daemon.name} did not end at SIGTERM")
                daemon.kill9()
        for daemon in self.daemons:
            wrong += [f"{daemon.name}: {line}" for line in daemon.text().splitlines() if self._unexpected(line)]
        for receiver in self.receivers:
            receiver.stop()
        return wrong

    def _unexpected(self, line):
        """An error line that the test has not allowed; anything that is no log line, such as a sanitizer's report."""
        match = re.match(r"ts=\S+ level=(\w+) event=(\w+)", line)
        return not match or (match[1] == "error" and match[2] not in self.allowed)


@contextlib.contextmanager
def running(folder, broker, ca):
    """An Ess, of which nothing runs yet; in the end nothing may have gone wrong."""
    ess = Ess(folder, broker, ca)
    try:
        yield ess
    finally:
        wrong = ess.close()
    assert not wrong, "\n".join(wrong)


@contextlib.contextmanager
def running_alone(folder, **options):
    """The same, on a broker of its own, which runs: a Broker with these options."""
    broker = Broker(folder / "kafka", **options)
    try:
        broker.start()
        with running(folder, broker, CA(folder)) as ess:
            yield ess
    finally:
        broker.stop()
