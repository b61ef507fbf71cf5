"""A mirror of Project Gutenberg on 127.0.0.1 that misbehaves as it is told."""

import contextlib
import http.server
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from email.message import Message

Reply = Callable[[http.server.BaseHTTPRequestHandler], None]


class Mirror(http.server.ThreadingHTTPServer):
    """Answers each path with its replies in turn, the last one for ever; other paths with 404."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: dict[str, list[Reply]] = {}
        self.requests: list[tuple[str, Message]] = []
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def serve(self, path: str, *replies: Reply) -> str:
        self.replies[path] = list(replies)
        return self.address + path

    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def handle_error(self, request, client_address) -> None:
        """Clients of these tests hang up in the middle; that is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Mirror

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.requests.append((self.path, self.headers))
            replies = self.server.replies.get(self.path, [status(404)])
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        reply(self)

    def log_message(self, format: str, *args) -> None:
        """Quiet."""


@contextlib.contextmanager
def running_mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def status(code: int, body: bytes = b"", **headers: str) -> Reply:
    """A complete answer."""

    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if code != 304:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def text(body: bytes, **headers: str) -> Reply:
    return status(200, body, Content_Type="text/plain; charset=utf-8", **headers)


def redirect(target: str, code: int = 302) -> Reply:
    return status(code, Location=target)


def raw(data: bytes, reset: bool = False) -> Reply:
    """Exactly these bytes, then the connection is closed or reset."""

    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(data)
        handler.wfile.flush()
        if reset:
            time.sleep(0.05)  # let the data arrive, so that the reset hits the body
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.close()

    return reply


def short(body: bytes, reset: bool = False) -> Reply:
    """A body that ends before its Content-Length."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
    return raw(head % (len(body) + 100) + body, reset)


def cut_chunks(body: bytes, inside: bool) -> Reply:
    """A chunked body without its last chunk, cut inside a chunk or between two."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    size = len(body) + 100 if inside else len(body)
    return raw(head + b"%x\r\n" % size + body + (b"" if inside else b"\r\n"))


def drip(chunk: bytes, pause: float, times: int) -> Reply:
    """A body that comes in drips: endless where `times` is large."""

    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        with contextlib.suppress(OSError):  # the client has hung up, as it should
            for _ in range(times):
                handler.wfile.write(chunk)
                handler.wfile.flush()
                time.sleep(pause)

    return reply
