"""A server on loopback for tests that speak their own protocol, a thread a connection."""
import contextlib
import socket
import threading


class Listener:
    """Gives each of its connections to serve(), on a thread of its own, and counts them. A broken connection is no error."""

    def __init__(self):
        self.connections, self._open = 0, True
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._open = False
        self._socket.close()

    def _accept(self):
        while self._open:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.settimeout(60)
            self.serve(connection)
