"""Identities for the tests of `tls` and `oauth2`: client certificates of any age, an nginx that asks for one, and a token server."""
import base64
import datetime
import itertools
import json
import subprocess
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ess import PATIENCE_S, Answer, free_port, wait_for

NO_PASSPHRASE = serialization.NoEncryption()


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem_of(key, encryption=NO_PASSPHRASE):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def encrypted(key):
    return pem_of(key, serialization.BestAvailableEncryption(b"passphrase"))


class Authority:
    """A CA that signs client certificates."""

    def __init__(self, text):
        self.name, self.key = name(text), ec.generate_private_key(ec.SECP256R1())
        self.pem = self._sign(self.name, self.key, 30, x509.BasicConstraints(ca=True, path_length=None))

    def _sign(self, subject, key, days, extension):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=400))
                   .not_valid_after(now + datetime.timedelta(days=days)).add_extension(extension, critical=True))
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def client(self, text, days=30, key=None):
        """The field `tls` of a client of that name."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        return {"certificate": self._sign(name(text), key, days, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])), "key": pem_of(key)}


class MutualTls:
    """An nginx that lets in who has a certificate of its client CA, before a receiver, which gets the name in X-Client."""

    CONF = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log info; worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        ssl_client_certificate {folder}/client-ca.pem; ssl_verify_client on;
        location / {{ proxy_pass {upstream}; proxy_set_header X-Client $ssl_client_s_dn; proxy_set_header X-Client-Connection $connection; }}
    }}
}}
"""

    def __init__(self, folder, receiver, server, authority):
        folder.mkdir()
        self.folder, self.receiver, self.port = folder, receiver, free_port()
        self.write(authority)
        certificate, key = server
        (folder / "nginx.conf").write_text(self.CONF.format(folder=folder, port=self.port, certificate=certificate, key=key,
                                                            upstream=receiver.url("").rstrip("/")))
        self.process = subprocess.Popen(["nginx", "-e", folder / "error.log", "-c", folder / "nginx.conf"], stdin=subprocess.DEVNULL)
        wait_for(lambda: (folder / "nginx.pid").exists() and self.workers(), told=self.text)

    def write(self, authority):
        (self.folder / "client-ca.pem").write_text(authority.pem)

    def text(self):
        return (self.folder / "error.log").read_text() if (self.folder / "error.log").exists() else ""

    def workers(self):
        return self.text().count("start worker process ")

    def rotate(self, authority):
        """Trusts this CA alone; returns when a new worker does and the old one has ended."""
        self.write(authority)
        before = self.text().count("exited with code")
        subprocess.run(["nginx", "-e", "stderr", "-c", self.folder / "nginx.conf", "-s", "reload"], check=True, timeout=PATIENCE_S)
        wait_for(lambda: self.text().count("exited with code") > before, told=self.text)

    def url(self):
        return f"https://127.0.0.1:{self.port}/hook"

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)


class TokenServer:
    """Gives tokens for client credentials, as `answer` says, on a receiver. Tokens have numbers: of(n) is the n-th, from 1."""

    SECRET = "s3cr3t: of the client & 100%"

    def __init__(self, receiver, mark):
        self.receiver, self.mark, self.given, self.expires_in = receiver, mark, itertools.count(1), 3600
        receiver.answer = self.give

    def of(self, number):
        return f"access-token-{self.mark}-{number}"

    def give(self, request):
        number = next(self.given)
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(
            {"access_token": self.of(number), "token_type": "Bearer", "expires_in": self.expires_in}).encode())

    def first(self, *answers):
        """Answers so first, then with tokens."""
        left = list(answers)
        self.receiver.answer = lambda request: left.pop(0) if left else self.give(request)

    def fields(self, **fields):
        return {"token_url": self.receiver.url("/token"), "client_id": "ess client", "client_secret": self.SECRET, **fields}

    @property
    def requests(self):
        return self.receiver.requests

    def credentials(self, request):
        kind, text = request.headers["Authorization"].split(" ")
        assert kind == "Basic"
        return [urllib.parse.unquote_plus(part) for part in base64.b64decode(text).decode().split(":")]
