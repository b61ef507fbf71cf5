"""The routes of the server."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from charrnn_core.errors import CharRNNError
from charrnn_serve.answers import Answer
from charrnn_serve.asked import Asked, RefusedError
from charrnn_serve.served import Piece, Served
from charrnn_serve.wire import Events, GoneError, Guard, read_json, refusal, unless_left

_GONE = Response(status_code=499)


class Server:
    """What is served.

    Arguments:
        models: by name; replaced as a whole when one is read again.
        token: what requests have to know; None for nothing.
        hosts: the names under which the server may be asked.
        seconds: how long a request may take.
        page: the HTML of the playground.
    """

    def __init__(
        self,
        models: Mapping[str, Served],
        *,
        token: str | None,
        hosts: list[str],
        seconds: float,
        page: str,
    ) -> None:
        self.models = models
        self._seconds, self._page = seconds, page
        self._answers: Counter[tuple[str, int]] = Counter()
        routes = [
            self._route("/", self._show),
            self._route("/health", self._health),
            self._route("/metrics", self._metrics),
            self._route("/v1/models", self._list),
            self._route("/v1/models/{name}", self._describe),
            self._route("/v1/completions", self._complete, "POST"),
            self._route("/v1/score", self._score, "POST"),
        ]
        self.app = Starlette(
            routes=routes,
            middleware=[
                Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
                Middleware(Guard, token=token),
            ],
            exception_handlers={404: _not_found, 405: _not_found},
        )

    def _route(
        self, path: str, handler: Callable[[Request], Awaitable[Any]], method: str = "GET"
    ) -> Route:
        """Return a route whose refusals are answers, and whose answers are counted."""

        async def handle(request: Request) -> Any:
            try:
                answer = await handler(request)
            except RefusedError as error:
                answer = refusal(error)
            except GoneError:
                answer = _GONE
            except CharRNNError as error:
                answer = refusal(RefusedError(500, str(error)))
            self._answers[path, getattr(answer, "status_code", 200)] += 1
            return answer

        return Route(path, handle, methods=[method])

    async def _show(self, request: Request) -> Response:
        return HTMLResponse(self._page)

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _list(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [*map(_about, self.models.values())]})

    async def _describe(self, request: Request) -> Response:
        return JSONResponse(_about(self._model(request.path_params["name"])))

    async def _metrics(self, request: Request) -> Response:
        lines = ["# TYPE charrnn_requests_total counter"]
        lines += [
            f'charrnn_requests_total{{path="{_label(path)}",status="{status}"}} {count}'
            for (path, status), count in sorted(self._answers.items())
        ]
        for name, kind, read in (
            ("charrnn_symbols_total", "counter", lambda batcher: batcher.symbols),
            ("charrnn_slots_active", "gauge", lambda batcher: batcher.active),
            ("charrnn_requests_waiting", "gauge", lambda batcher: batcher.waiting),
        ):
            lines.append(f"# TYPE {name} {kind}")
            for model, served in self.models.items():
                lines.append(f'{name}{{model="{_label(model)}"}} {read(served.batcher)}')
        return PlainTextResponse("\n".join(lines) + "\n")

    async def _complete(self, request: Request) -> Any:
        body = await read_json(request)
        served, asked = self._named(body), Asked.read(body)
        prompts = []
        if asked.echo:
            prompts = [await self._echo(served, prompt, asked, request) for prompt in asked.prompts]
        writing = served.write(asked)
        answer = Answer(served, asked, writing, prompts, self._seconds)
        if asked.stream:
            return Events(answer.events(), writing.stop)
        try:
            return JSONResponse(await unless_left(request.receive, answer.whole()))
        finally:
            writing.stop()

    async def _echo(self, served: Served, prompt: str, asked: Asked, request: Request) -> Piece:
        if asked.top is None:
            return Piece(0, prompt)
        return await self._scored(served, prompt, asked.top, request)

    async def _score(self, request: Request) -> Response:
        body = await read_json(request)
        served, text = self._named(body), body.get("text")
        if not isinstance(text, str):
            raise RefusedError(400, "text is missing, or no text; expected a text", "text")
        piece = await self._scored(served, text, 0, request)
        bits = [-each.model / math.log(2) for each in piece.characters]
        count = len(served.model.alphabet.encode(text))
        return JSONResponse(
            {
                "object": "score",
                "model": served.name,
                "bits": sum(bits),
                f"bits_per_{served.model.alphabet.unit}": sum(bits) / max(1, count),
                "characters": [
                    {"text": each.text, "bits": of_one}
                    for each, of_one in zip(piece.characters, bits, strict=True)
                ],
            }
        )

    async def _scored(self, served: Served, text: str, top: int, request: Request) -> Piece:
        try:
            async with asyncio.timeout(self._seconds):
                return await unless_left(request.receive, served.score(text, top))
        except TimeoutError:
            raise RefusedError(
                503, f"reading the text takes more than {self._seconds:g} s; send a shorter one"
            ) from None

    def _named(self, body: Mapping[str, Any]) -> Served:
        name = body.get("model")
        if name is None and len(self.models) == 1:
            return next(iter(self.models.values()))
        return self._model(name)

    def _model(self, name: Any) -> Served:
        if isinstance(name, str) and name in self.models:
            return self.models[name]
        known = ", ".join(map(repr, self.models))
        shown = repr(name)[:80]
        raise RefusedError(404, f"there is no model {shown}; expected one of {known}", "model")


async def _not_found(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    if status == 405:
        message = f"{request.url.path} takes no {request.method}"
    else:
        message = f"there is nothing at {request.url.path}; /v1/models lists the models"
    return refusal(RefusedError(status, message))


def _about(served: Served) -> dict[str, Any]:
    return {
        "id": served.name,
        "object": "model",
        "created": served.created,
        "owned_by": "charrnn",
        "parameters": served.model.parameters,
        "symbols": len(served.model.alphabet),
    }


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
