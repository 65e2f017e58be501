"""A proxy before an edge's API, which fails as CloudFront's does where a test says so."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from cdn.local.documents import render

Mood = Literal["well", "quota", "throttled", "unavailable", "silent"]

REFUSALS: dict[Mood, tuple[int, str]] = {
    "quota": (400, "TooManyInvalidationsInProgress"),
    "throttled": (400, "Throttling"),
    "unavailable": (503, "ServiceUnavailable"),
}


class Proxy:
    """An edge's API, and whatever stands between it and us. ``refused``: the calls that did not get through."""

    def __init__(self, target_port: int) -> None:
        self.mood: Mood = "well"
        self.refused = 0
        self.target_port = target_port
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def feel(self, mood: Mood) -> None:
        """Answer like this from now on; who was left without an answer is cut off."""
        self._over.set()
        self._over = threading.Event()
        self.mood = mood

    def close(self) -> None:
        """End."""
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

            def _answer(self, body: bytes) -> None:
                mood, over = proxy.mood, proxy._over
                if mood == "well":
                    self._say(*proxy._forwarded(self.command, self.path, body))
                    return
                proxy.refused += 1
                if mood == "silent":
                    over.wait()
                    self.close_connection = True
                    return
                status, code = REFUSALS[mood]
                told = {"Type": "Sender", "Code": code, "Message": "a fault of the test"}
                self._say(status, render("ErrorResponse", {"Error": told, "RequestId": "none"}))

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler

    def _forwarded(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Return what the edge's own API answers; 503 where it does not."""
        connection = http.client.HTTPConnection("127.0.0.1", self.target_port, timeout=10)
        try:
            connection.request(method, path, body, {"Content-Type": "text/xml"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 503, b""
        finally:
            connection.close()
