"""What a request asks for, checked field by field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charrnn_core.errors import UnknownNameError
from charrnn_core.sampling.text import read_stops
from charrnn_core.serving.shaping import Shaping

MOST_TOKENS = 1 << 16
MOST_CHOICES = 16
_KNOWN = (
    "best_of", "echo", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "min_p",
    "model", "n", "presence_penalty", "prompt", "seed", "stop", "stream", "stream_options",
    "suffix", "temperature", "top_k", "top_p", "user",
)  # fmt: skip
_SHAPING = ("temperature", "top_k", "top_p", "min_p")


class RefusedError(Exception):
    """A request that is not served.

    Arguments:
        status: the HTTP status.
        message: why, and what would be served.
        field: the field of the request that is wrong, if one is.
        headers: more headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.field, self.headers = status, field, dict(headers or {})

    def table(self) -> dict[str, Any]:
        """Return the plain form that OpenAI's clients read."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": str(self), "type": kind, "param": self.field, "code": self.status}
        return {"error": error}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A completion that is asked for.

    Arguments:
        prompts: each is continued `choices` times.
        tokens: how many characters to write, bytes for an alphabet of bytes.
        choices: how many samples of each prompt.
        seed: decides on the draws; None for a random one.
        how: what is drawn from.
        stops: a sample ends before the first of these.
        echo: whether the prompt is a part of the text.
        top: how many of the likeliest characters to tell of; None for no log-probabilities.
        stream: whether to send pieces as they are written.
        usage: whether a stream ends with the number of characters.
    """

    prompts: tuple[str, ...]
    tokens: int
    choices: int
    seed: int | None
    how: Shaping
    stops: tuple[str, ...]
    echo: bool
    top: int | None
    stream: bool
    usage: bool

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Asked":
        """Read the body of a request; fields that OpenAI has and charrnn has not are refused.

        Raises:
            RefusedError: a field is wrong.
        """
        fields = _Fields(body)
        for name in body:
            if name not in _KNOWN:
                raise RefusedError(400, str(UnknownNameError("field", name, _KNOWN)), name)
        tokens = fields.whole("max_tokens", 16, 0, MOST_TOKENS)
        options = fields.get("stream_options") or {}
        asked = cls(
            prompts=_prompts(fields),
            tokens=tokens,
            choices=fields.whole("n", 1, 1, MOST_CHOICES),
            seed=fields.whole("seed", None, 0, 2**32 - 1),
            how=_shaping(fields),
            stops=_stops(fields),
            echo=fields.flag("echo"),
            top=fields.whole("logprobs", None, 0, 5),
            stream=fields.flag("stream"),
            usage=isinstance(options, Mapping) and options.get("include_usage") is True,
        )
        fields.only("best_of", 1, asked.choices)
        fields.only("frequency_penalty", 0)
        fields.only("presence_penalty", 0)
        fields.only("suffix", "")
        fields.only("logit_bias", {})
        if len(asked.prompts) * asked.choices > MOST_CHOICES:
            raise RefusedError(
                400,
                f"{len(asked.prompts)} prompts with n {asked.choices} are too many samples; "
                f"expected at most {MOST_CHOICES}",
                "prompt",
            )
        return asked


class _Fields:
    """The fields of a request; null is the same as absent."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body

    def get(self, name: str) -> Any:
        return self._body.get(name)

    def whole(self, name: str, default: Any, least: int, most: int) -> Any:
        value = self.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _wrong(name, value, f"a whole number from {least} to {most}")
        return value

    def real(self, name: str, default: float, least: float, most: float) -> float:
        value = self.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(name, value, f"a number from {least:g} to {most:g}")
        if not least <= value <= most:
            raise _wrong(name, value, f"a number from {least:g} to {most:g}")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise _wrong(name, value, "true or false")
        return bool(value)

    def only(self, name: str, *allowed: Any) -> None:
        value = self.get(name)
        if value is not None and value not in allowed:
            raise _wrong(name, value, f"{allowed[0]!r}: it is not supported")


def _wrong(name: str, value: Any, expected: str) -> RefusedError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:80]}..."
    return RefusedError(400, f"{name} is {shown}; expected {expected}", name)


def _prompts(fields: _Fields) -> tuple[str, ...]:
    prompt = fields.get("prompt")
    if prompt is None:
        return ("",)
    prompts = (prompt,) if isinstance(prompt, str) else prompt
    if not isinstance(prompts, list | tuple) or not prompts:
        raise _wrong("prompt", prompt, "a text, or a list of texts")
    for each in prompts:
        if not isinstance(each, str):
            raise _wrong("prompt", prompt, "a text, or a list of texts")
    return tuple(prompts)


def _stops(fields: _Fields) -> tuple[str, ...]:
    stop = fields.get("stop")
    if stop is None:
        return ()
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(s, str) and s for s in stops):
        raise _wrong("stop", stop, "a text, or a list of texts, none of them empty")
    return read_stops(stops)


def _shaping(fields: _Fields) -> Shaping:
    """Return the request's own shaping, or none, where the server's samplers shape."""
    return Shaping(
        own=any(fields.get(name) is not None for name in _SHAPING),
        temperature=fields.real("temperature", 1.0, 0.0, 100.0),
        top_k=fields.whole("top_k", 0, 0, 2**31 - 1),
        top_p=fields.real("top_p", 1.0, 0.0, 1.0),
        min_p=fields.real("min_p", 0.0, 0.0, 1.0),
    )
