"""AWS for the tests of SNS: moto as a real server, with real SQS queues that subscribe to its topics, and a front that speaks TLS.

The front is a receiver (ess.py): it judges each request's signature with botocore, AWS's own code, and passes it on to moto.
"""
import http.client
import subprocess
import sys
import urllib.parse

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials

from ess import ENVIRONMENT, Answer, free_port, wait_for

REGION, ACCOUNT = "us-east-1", "123456789012"
KEY = {"access_key_id": "AKIATEST", "secret_access_key": "s3cr3t/of+AWS"}
PASSED_ON = ("authorization", "content-type", "x-amz-date", "x-amz-security-token")


class Aws:
    """moto's server. It keeps all in memory."""

    def __init__(self, folder):
        self.port, self.log = free_port(), folder / "moto.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)], env=ENVIRONMENT,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        wait_for(self.answers, told=lambda: self.log.read_text())
        self.sns, self.sqs = self.client("sns"), self.client("sqs")

    def client(self, service):
        return boto3.client(service, endpoint_url=f"http://127.0.0.1:{self.port}", region_name=REGION, aws_access_key_id="admin",
                            aws_secret_access_key="admin")

    def answers(self):
        try:
            return self.request("GET", "/moto-api/").status
        except OSError:
            return None

    def request(self, method, path, body=None, headers={}):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, body=answer.read())
        finally:
            connection.close()

    def topic(self, name):
        """A topic, and a queue of the same name that gets its messages as they are published."""
        fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
        arn = self.sns.create_topic(Name=name, Attributes=fifo)["TopicArn"]
        queue = self.sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if fifo else {})["QueueUrl"]
        self.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", Attributes={"RawMessageDelivery": "true"})
        return Topic(self, arn, queue)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class Topic:
    def __init__(self, aws, arn, queue):
        self.aws, self.arn, self.queue, self.messages = aws, arn, queue, []

    def receive(self):
        """All that has come so far, in the order in which the queue gave it."""
        while True:
            found = self.aws.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"])
            messages = found.get("Messages", [])
            if not messages:
                return self.messages
            self.messages += messages
            entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
            self.aws.sqs.delete_message_batch(QueueUrl=self.queue, Entries=entries)

    def wait(self, count):
        wait_for(lambda: len(self.receive()) >= count, told=lambda: f"{count} messages, but {len(self.messages)} came")
        return self.messages


def attributes(message):
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


def form(request):
    """The fields of a Publish."""
    return dict(urllib.parse.parse_qsl(request.body.decode(), strict_parsing=True))


def signature_of(request, key=KEY, token=None):
    """The signature that this request must have, by AWS's own code."""
    authorization = request.headers["Authorization"]
    signed = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    assert {"host", "x-amz-date"} <= set(signed) and request.headers["x-amz-security-token"] == token
    assert not token or "x-amz-security-token" in signed
    made = botocore.awsrequest.AWSRequest("POST", f"https://{request.headers['Host']}{request.path}", {n: request.headers[n] for n in signed},
                                          request.body)
    made.context["timestamp"] = request.headers["x-amz-date"]
    judge = botocore.auth.SigV4Auth(botocore.credentials.Credentials(key["access_key_id"], key["secret_access_key"]), "sns", REGION)
    return judge.signature(judge.string_to_sign(made, judge.canonical_request(made)), made)


def error(status, code, message):
    """As SNS answers."""
    body = (f'<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">\n  <Error>\n    <Type>Sender</Type>\n    <Code>{code}</Code>\n'
            f"    <Message>{message}</Message>\n  </Error>\n  <RequestId>d74b8436</RequestId>\n</ErrorResponse>\n")
    return Answer(status, {"Content-Type": "text/xml"}, body.encode())


class Front:
    """TLS before moto, and what moto does not do: it judges signatures."""

    def __init__(self, aws, receiver):
        self.aws, self.receiver, self.token = aws, receiver, None
        receiver.answer = self.answer

    @property
    def endpoint(self):
        return self.receiver.url("")

    def answer(self, request):
        headers = {name: value for name, value in request.headers.items() if name.lower() in PASSED_ON}
        scope = f"Credential={KEY['access_key_id']}/{request.headers['x-amz-date'][:8]}/{REGION}/sns/aws4_request"
        if scope not in headers["Authorization"]:
            return error(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        if f"Signature={signature_of(request, token=self.token)}" not in headers["Authorization"]:
            return error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
        return self.aws.request("POST", request.path, request.body, headers)

    def first(self, *answers):
        """These answers first."""
        left = list(answers)
        self.receiver.answer = lambda request: left.pop(0) if left else self.answer(request)
