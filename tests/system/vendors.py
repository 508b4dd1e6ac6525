"""Vendors whose endpoint is a program of another language, written as its client's README shows."""
import http.client
import json
import os
import subprocess

from ess import PATIENCE_S, Answer, wait_for


class Vendor:
    """A subscriber whose endpoint is a process, behind a receiver that ends TLS and hands on. The process prints its port, and then a line for
    each event that it handles. `variables` makes its environment from the answer to the registration. `loses`: answers 200 and hands nothing on."""

    def __init__(self, ess, command, variables, id, topic, **fields):
        self.ingest, self.id, self.receiver, self.loses, self.statuses, self.port = ess.daemons[0], id, ess.receiver(), lambda body: False, [], 0
        self.receiver.answer = self.hand_on
        made = self.post("/register", id=id, url=self.receiver.url(), topics=[topic], **fields)
        environment = {**os.environ, "ESS_URL": f"http://{self.ingest.address}", "LAST_HANDLED": str(made["cursor"]), **variables(made)}
        self.said = ess.folder / f"{id}.out"
        with open(self.said, "wb") as out:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.port = int(wait_for(self.lines)[0])

    def end(self):
        self.process.kill()
        self.process.wait()

    def lines(self):
        return [line.strip() for line in self.said.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def handled(self):
        return self.lines()[1:]

    def wait_handled(self, events):
        wait_for(lambda: len(self.handled()) >= len(events), told=self.handled)
        assert self.handled() == [str(event) for event in events]

    def post(self, path, **members):
        answer = self.ingest.post(json.dumps(members), path)
        assert answer.status in (201, 202), answer
        return answer.json

    def command(self, name, **members):
        """Returns when it is in force."""
        answer = self.post(f"/ess/subscribers/{self.id}/{name}", **members)
        wait_for(lambda: self.ingest.status(self.id)["generation"] >= answer["generation"])

    def hand_on(self, request):
        if self.loses(request.json):
            return Answer(200)
        connection = http.client.HTTPConnection("127.0.0.1", wait_for(lambda: self.port), timeout=PATIENCE_S)
        try:
            connection.request("POST", "/", request.body, {name: value for name, value in request.headers.items() if name.lower() != "host"})
            self.statuses.append(connection.getresponse().status)
            return Answer(self.statuses[-1])
        finally:
            connection.close()
