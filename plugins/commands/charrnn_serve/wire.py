"""HTTP around a request: its body, who may send it, streamed events, clients that leave."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from charrnn_serve.asked import RefusedError

MOST_BYTES = 1 << 20
"""The largest body."""

_SECONDS_FOR_A_BODY = 20.0
_OPEN = ("/", "/health")
"""What is shown without a token: the page, which asks for it, and whether the server lives."""

Result = TypeVar("Result")


class GoneError(Exception):
    """The client has left."""


async def read_json(request: Request) -> dict[str, Any]:
    """Return the body of a request.

    Raises:
        RefusedError: it is no JSON object, too large, or does not arrive.
    """
    parts, size = [], 0
    try:
        async with asyncio.timeout(_SECONDS_FOR_A_BODY):
            async for part in request.stream():
                size += len(part)
                if size > MOST_BYTES:
                    raise RefusedError(413, f"the body has more than {MOST_BYTES:,} bytes")
                parts.append(part)
    except TimeoutError:
        raise RefusedError(408, "the body did not arrive in time") from None
    try:
        found = json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        raise RefusedError(400, "the body is not JSON; expected a JSON object") from None
    if not isinstance(found, dict):
        raise RefusedError(400, "the body is not a JSON object; expected {...}")
    return found


def refusal(error: RefusedError) -> JSONResponse:
    """Return the answer to a request that is not served."""
    return JSONResponse(error.table(), error.status, error.headers)


class Guard:
    """Refuses whom a token is asked of and who has none.

    Arguments:
        app: what is guarded.
        token: what ``Authorization: Bearer`` has to say; None for anybody.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._token and scope["path"] not in _OPEN:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                error = RefusedError(
                    401, "no valid token; expected the header 'Authorization: Bearer TOKEN'"
                )
                await refusal(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def unless_left(receive: Receive, work: Awaitable[Result]) -> Result:
    """Wait for work, but no longer than the client does.

    Raises:
        GoneError: the client has left, and the work was cancelled.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise GoneError
        return await working
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Events:
    """An answer of server-sent events, which ends when the client leaves.

    Arguments:
        events: plain data, an event each; the end is told as OpenAI does, by ``[DONE]``.
        close: called at the end, whatever the reason.
    """

    def __init__(self, events: AsyncIterator[Any], close: Callable[[], None]) -> None:
        self._events, self._close = events, close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
        ]

        async def writing() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for event in self._events:
                await self._send(send, json.dumps(event, ensure_ascii=False))
            await self._send(send, "[DONE]")
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        try:
            await unless_left(receive, writing())
        except (GoneError, OSError):
            return  # the client has left, so there is nobody to tell
        finally:
            self._close()

    @staticmethod
    async def _send(send: Send, text: str) -> None:
        body = f"data: {text}\n\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
