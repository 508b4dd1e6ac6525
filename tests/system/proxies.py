"""Forward proxies for tests, on loopback: a real one (tinyproxy), one in this process that answers CONNECT as it is told, and TLS before either."""
import os
import re
import select
import signal
import socket
import ssl
import subprocess

from ess import ENVIRONMENT, free_port, wait_for
from listener import Listener

USER, PASSWORD = "ess", "pr0xy-s3cr3t"


class Tinyproxy:
    """A process that keeps its port over all its lives."""

    def __init__(self, folder, login=True, refused=None):
        self.port, self.folder, self.log = free_port(), folder, folder / "tinyproxy.log"
        lines = [f"Port {self.port}", "Listen 127.0.0.1", "Timeout 600", "MaxClients 100", "LogLevel Connect", f'LogFile "{self.log}"']
        if login:
            lines.append(f"BasicAuth {USER} {PASSWORD}")
        if refused:
            (folder / "refused").write_text(f"{refused}\n")
            lines += [f'Filter "{folder / "refused"}"']
        (folder / "tinyproxy.conf").write_text("\n".join(lines) + "\n")
        self.start()

    @property
    def url(self):
        return f"http://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(["tinyproxy", "-d", "-c", self.folder / "tinyproxy.conf"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        wait_for(self._listens, told=lambda: self.process.poll())

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: all("T (stopped)" in open(f"/proc/{self.process.pid}/task/{task}/status").read()
                             for task in os.listdir(f"/proc/{self.process.pid}/task")))

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill9(self):
        self.process.kill()
        self.process.wait(30)

    stop = kill9

    def tunnels(self):
        """The targets of the CONNECTs that it has logged."""
        text = self.log.read_text() if self.log.exists() else ""
        return re.findall(r"\): CONNECT (\S+) HTTP", text)


class Piper(Listener):
    """Passes the bytes of each connection on to another one. Notes connections that end by a reset."""

    def __init__(self):
        self.resets = 0
        super().__init__()

    def pipe(self, one, other):
        """Until either ends."""
        pairs = {one: other, other: one}
        while self._open:
            readable = [end for end in pairs if isinstance(end, ssl.SSLSocket) and end.pending()] or select.select(list(pairs), [], [], 0.5)[0]
            for end in readable:
                try:
                    piece = end.recv(65536)
                except ConnectionResetError:
                    self.resets += end is one
                    return
                if not piece:
                    return
                pairs[end].sendall(piece)


class TlsFront(Piper):
    """TLS before a proxy."""

    def __init__(self, certificate, behind):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
        self.behind, self._tls = behind, tls
        super().__init__()

    def serve(self, connection):
        with self._tls.wrap_socket(connection, server_side=True) as front, socket.create_connection(("127.0.0.1", self.behind)) as onward:
            self.pipe(front, onward)


class Proxy(Piper):
    """Answers CONNECT with `status`, or with what `answer` says of a target, and with 200 makes the tunnel. Keeps the heads of all requests.
    Instead of a status, two texts: the first is sent once, the second for as long as it is the answer."""

    def __init__(self):
        self.status, self.answer, self.heads = 200, lambda target: self.status, []
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"

    def serve(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        self.heads.append(head.decode())
        words = self.heads[-1].split()
        status = self.answer(words[1]) if words[0] == "CONNECT" else 400
        if status is None:
            nobody, silence = socket.socketpair()
            with nobody, silence:
                self.pipe(connection, nobody)
        elif isinstance(status, tuple):
            connection.sendall(status[0])
            while status[1] and self._open and self.answer(words[1]) == status:
                connection.sendall(status[1])
        elif status != 200:
            connection.sendall(b"HTTP/1.1 %d As Told\r\nContent-Length: 5\r\nConnection: close\r\n\r\nPAGE\n" % status)
        else:
            host, port = words[1].rsplit(":", 1)
            with socket.create_connection((host.strip("[]"), int(port))) as onward:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self.pipe(connection, onward)

    def tunnels(self):
        return [head.split()[1] for head in self.heads if head.startswith("CONNECT ")]
