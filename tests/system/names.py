"""A name server for tests, on loopback: what it answers for a name is a list that the test changes as it goes."""
import socket
import struct
import threading

A, NS, AAAA, IN = 1, 2, 28, 1


class NameServer:
    """`answers[name]` are the IPv4 addresses of a name; None: it says nothing; a name that is missing does not exist."""

    def __init__(self, ttl=1, **answers):
        self.answers, self.ttl, self.asked = answers, ttl, []
        self.says_nothing_of = ()  # kinds of records
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._socket.close()

    def _serve(self):
        while True:
            try:
                query, peer = self._socket.recvfrom(512)
                reply = self._reply(query)
                if reply:
                    self._socket.sendto(reply, peer)
            except OSError:
                return

    def _reply(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, question = ".".join(labels), query[12:at + 5]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        self.asked.append((name, kind))
        missing = name not in self.answers
        addresses = self.answers.get(name, [])
        if addresses is None or kind in self.says_nothing_of:
            return None
        records = [b"\xc0\x0c" + struct.pack("!HHIH", A, IN, self.ttl, 4) + socket.inet_aton(address) for address in addresses if kind == A]
        flags = 0x8580 | (3 if missing else 0)  # an authoritative answer; NXDOMAIN
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)
