"""``charrnn serve``: what is written over HTTP, by a real server on loopback."""

import concurrent.futures
import contextlib
import dataclasses
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn_core import RunConfig, generate, load, resume, train
from charrnn_core.api import score, write
from charrnn_core.errors import SamplingError
from charrnn_core.sampling.chain import Chain
from charrnn_core.serving.batcher import Batcher, Job
from charrnn_core.serving.slots import Slots, Turn

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

TEXT = "the cat sat on the mat.\nthe dog sat on the log.\n" * 60
CHARRNN = str(Path(sys.executable).with_name("charrnn"))


class Client:
    """Asks a server, a connection for each request."""

    def __init__(self, port: int, process: int = 0) -> None:
        self.port, self.process = port, process

    @property
    def megabytes(self) -> float:
        """The resident memory of the server."""
        lines = Path(f"/proc/{self.process}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024

    def __call__(
        self, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        connection.request("GET" if data is None else "POST", path, data, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        kind = answer.headers.get("content-type", "")
        found = json.loads(text) if kind == "application/json" else text
        return answer.status, dict(answer.headers), found

    def text(self, **asked: Any) -> str:
        status, _, found = self("/v1/completions", asked)
        assert status == 200, found
        return found["choices"][0]["text"]

    def metric(self, name: str) -> int:
        lines = self("/metrics")[2].splitlines()
        return int(next(line.split()[-1] for line in lines if line.startswith(name)))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    (folder / "text.txt").write_text(TEXT)
    config = RunConfig(
        source=str(folder / "text.txt"), cell="gru:12", batch=4, window=8, characters=4000,
        embedding=8, context=3, counts=2, observers=(), shards=1,
    )  # fmt: skip
    train(config, out=folder / "cats", note=lambda line: None)
    return folder / "cats"


@contextlib.contextmanager
def served(run: Path, *options: str) -> Iterator[Client]:
    """A server, which ends as it does on SIGTERM."""
    with subprocess.Popen(
        [CHARRNN, "serve", str(run), "--port", "0", *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=run.parent,
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("http://"):
                break
        try:
            assert said and said[-1].startswith("http://"), said
            assert said[0].startswith(f"loading {run}")  # before seconds of silence
            yield Client(int(said[-1].rsplit(":", 1)[1]), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)


@pytest.fixture(scope="module")
def ask(run) -> Iterator[Client]:
    with served(run, "--slots", "4", "--waiting", "6", "--sampler", "temperature:0.7") as client:
        yield client


def test_it_writes_what_sample_writes(ask, run):
    model = load(run)
    wanted = generate(model, "the ", 90, seed=5, sampler="temperature:0.7")
    assert ask.text(model="cats", prompt="the ", max_tokens=90, seed=5) == wanted
    pieces = write(model, "the ", 40, seed=6, sampler="temperature:0.7", n=3)
    several = ["".join(piece.text for piece in sample) for sample in zip(*pieces, strict=True)]
    status, _, found = ask("/v1/completions", dict(prompt="the ", max_tokens=40, seed=6, n=3))
    assert [choice["text"] for choice in found["choices"]] == several
    assert [choice["finish_reason"] for choice in found["choices"]] == ["length"] * 3
    usage = {"prompt_tokens": 4, "completion_tokens": 120, "total_tokens": 124}
    assert (status, found["usage"], found["object"]) == (200, usage, "text_completion")
    greedy = generate(model, "the c", 30, sampler="greedy")
    assert ask.text(prompt="the c", max_tokens=30, temperature=0) == greedy


def test_neighbours_change_nothing(ask):
    """As many as there are slots, with other seeds, lengths and temperatures."""
    rng = np.random.default_rng(0)
    asked = [
        dict(
            prompt="the dog"[: 1 + i % 7], max_tokens=int(rng.integers(1, 60)), seed=i,
            **({"temperature": float(rng.uniform(0.3, 2))} if i % 2 else {}),
        )
        for i in range(12)
    ]  # fmt: skip
    alone = [ask.text(**each) for each in asked]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        order = rng.permutation(len(asked))
        together = list(pool.map(lambda i: ask.text(**asked[i]), order))
    assert together == [alone[i] for i in order]


def test_a_stream_is_the_whole_in_pieces(ask):
    asked = dict(prompt="the ", max_tokens=70, seed=2, logprobs=2, echo=True)
    whole = ask("/v1/completions", asked)[2]["choices"][0]
    _, headers, text = ask(
        "/v1/completions", {**asked, "stream": True, "stream_options": {"include_usage": True}}
    )
    *events, done = [part.removeprefix("data: ") for part in text.strip().split("\n\n")]
    *pieces, last = map(json.loads, events)
    choices = [piece["choices"][0] for piece in pieces]
    assert done == "[DONE]" and last["usage"]["completion_tokens"] == 70 and len(pieces) > 3
    assert headers["content-type"].startswith("text/event-stream")
    assert "".join(choice["text"] for choice in choices) == whole["text"]
    for name in ("tokens", "token_logprobs", "text_offset"):
        joined = [each for choice in choices for each in choice["logprobs"][name]]
        assert (
            joined == pytest.approx(whole["logprobs"][name], abs=1e-6)
            or joined == whole["logprobs"][name]
        )
    assert "".join(whole["logprobs"]["tokens"]) == whole["text"]
    tops = whole["logprobs"]["top_logprobs"]
    assert len(tops) == 74 and all(len(top) == 2 for top in tops)


def test_what_is_scored_is_what_the_command_scores(ask, run):
    text = "the cat sat on the log.\nthe mat"
    (run.parent / "typed.txt").write_text(text)
    bits = [each.bits for each in score(load(run), source=str(run.parent / "typed.txt"))]
    _, _, found = ask("/v1/score", dict(text=text))
    assert [each["bits"] for each in found["characters"]] == pytest.approx(bits, abs=1e-4)
    assert found["bits"] == pytest.approx(sum(bits), abs=1e-3)
    echoed = ask("/v1/completions", dict(prompt=text, echo=True, logprobs=0, max_tokens=0))[2]
    nats = echoed["choices"][0]["logprobs"]["token_logprobs"]
    assert nats == pytest.approx([-each * np.log(2) for each in bits], abs=1e-4)


def test_a_text_ends_before_a_stop(ask):
    whole = ask.text(prompt="the ", max_tokens=120, seed=3)
    _, _, found = ask("/v1/completions", dict(prompt="the ", max_tokens=120, seed=3, stop=["\n"]))
    [choice] = found["choices"]
    assert choice["text"] == whole.partition("\n")[0] and choice["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "body, status, said",
    [
        (dict(model="dogs"), 404, "there is no model 'dogs'; expected one of 'cats'"),
        (dict(temperature="hot"), 400, "temperature is 'hot'; expected a number"),
        (dict(max_tokens=-1), 400, "max_tokens is -1"),
        (dict(max_tokens=True), 400, "max_tokens is True"),
        (dict(prompt=[1, 2]), 400, "prompt is [1, 2]; expected a text"),
        (dict(prompt="the Q"), 400, "'Q'"),
        (dict(stop=""), 400, "stop is ''"),
        (dict(n=99), 400, "n is 99"),
        (dict(best_of=7), 400, "best_of is 7"),
        (dict(prompt=["a"] * 9, n=2), 400, "too many samples"),
        (dict(logprobs=9), 400, "logprobs is 9"),
        (dict(max_token=5), 400, "did you mean 'max_tokens'"),
        (dict(stream="yes"), 400, "stream is 'yes'"),
    ],
)
def test_what_is_wrong_is_said(ask, body, status, said):
    found_status, _, found = ask("/v1/completions", body)
    assert found_status == status and said in found["error"]["message"]


def test_bad_bodies_and_places(ask):
    assert ask("/v1/completions", raw=b"[1")[0] == 400
    assert ask("/v1/completions", raw=b"[]")[0] == 400
    assert ask("/v1/completions", raw=b"x" * 1_100_000)[0] == 413
    assert ask("/v1/score", dict(text=3))[0] == 400
    assert ask("/v1/completions")[0] == 405 and ask("/other")[0] == 404
    assert ask("/v1/models")[2]["data"][0]["id"] == "cats"
    assert ask("/v1/models/cats")[2]["parameters"] > 0 and ask("/v1/models/x")[0] == 404
    assert ask("/health")[2] == {"status": "ok"}
    assert ask("/health", Host="evil.example")[0] == 400
    assert ask.text(prompt="the ", max_tokens=2)


def test_a_failing_model_keeps_nobody_waiting(run, monkeypatch):
    """Who is being served is told, and who comes after is served."""
    model, told = load(run), []
    batcher = Batcher(Slots(model.network, model.params, Chain([]), 2), waiting=4)
    fly = Batcher._fly
    monkeypatch.setattr(Batcher, "_fly", lambda self: 1 / 0)
    ended = threading.Event()

    def take(item):
        told.append(item)
        ended.set()
        return True

    ids = np.zeros(1, np.int32)
    batcher.submit([Job(ids, 4, take)])
    assert ended.wait(20) and isinstance(told[0], SamplingError)
    monkeypatch.setattr(Batcher, "_fly", fly)
    ended.clear()
    batcher.submit([Job(ids, 4, take)])
    batcher.close()
    assert len(told[1].ids) == 5 and told[2] is None


_COMPILE = """
from functools import partial
import sys
from charrnn_core import load
from charrnn_core.evaluation.training_text import training_ids
from charrnn_core.registry.spec import parse_refs
from charrnn_core.runs.model import build_sampler
from charrnn_core.sampling.chain import SamplerContext
from charrnn_core.serving.slots import Slots, Turn

model = load(sys.argv[1])
sampler = build_sampler(parse_refs("no-copy,top-p:0.9"), model.registry)
chain = sampler.bind(SamplerContext(model.alphabet, partial(training_ids, model)))
slots = Slots(model.network, model.params, chain, 8)
assert len(slots._state.logits.sharding.device_set) == 2
args = slots._params, slots._state, slots._placed(Turn.idle(4, 8))
print(slots._advance._function.lower(*args, scored=True).compile().as_text())
"""


def test_no_device_waits_for_another(run):
    """Calls in flight that exchange something between devices may wait for each other for ever."""
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "2"}
    command = [sys.executable, "-c", _COMPILE, run]
    text = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert "ENTRY" in text
    assert not re.findall(r" (all-\w+|collective-\w+|send|recv)[\w-]*\(", text)


def test_slots_see_what_changes_from_turn_to_turn(run):
    """What a turn has in common with the turn before is not sent to the device again."""
    model = load(run)
    slots = Slots(model.network, model.params, Chain([]), 2)
    turn = Turn.idle(3, 2)
    first = np.asarray(slots(turn).ids)
    turn.ids[:] = [[1, 2], [3, 4], [5, 6]]
    assert first.tolist() == [[0, 0]] * 3
    assert np.asarray(slots(turn).ids).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert np.asarray(slots(turn).ids).tolist() == [[1, 2], [3, 4], [5, 6]]


def left(ask: Client, **asked: Any) -> None:
    """Ask, and leave once something has come."""
    body = json.dumps(dict(prompt="the ", max_tokens=60_000, stream=True, **asked)).encode()
    with socket.create_connection(("127.0.0.1", ask.port)) as connection:
        head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
        connection.sendall(f"{head}\r\n\r\n".encode() + body)
        connection.recv(100)


def test_who_leaves_frees_the_slot(ask):
    for _ in range(6):
        left(ask)
    began = time.monotonic()
    while ask.metric("charrnn_slots_active") and time.monotonic() - began < 5:
        time.sleep(0.01)
    assert ask.metric("charrnn_slots_active") == 0 and ask.metric("charrnn_requests_waiting") == 0


def test_the_queue_has_an_end(ask):
    """Four slots and six places to wait: of twenty, some are told to come again."""
    asked = dict(prompt="the ", max_tokens=400)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda i: ask("/v1/completions", asked | {"seed": i}), range(20)))
    statuses = [status for status, _, _ in found]
    assert set(statuses) == {200, 429} and statuses.count(200) >= 10
    assert all(headers["retry-after"] == "1" for s, headers, _ in found if s == 429)
    assert ask.text(prompt="the ", max_tokens=3)


@pytest.mark.slow
def test_a_signal_lets_requests_end(run):
    """What had been begun when SIGTERM came is written to its end."""
    with served(run, "--slots", "2") as ask:
        asked = dict(prompt="the ", max_tokens=3000, seed=1)
        wanted = ask.text(**asked)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            found = pool.submit(ask.text, **asked)
            while not ask.metric("charrnn_slots_active"):
                time.sleep(0.002)
            os.kill(ask.process, signal.SIGTERM)
            assert found.result(20) == wanted


@pytest.mark.slow
def test_a_thousand_who_leave(ask):
    """No slot is lost, and no memory: 10 MB at most after the first hundred."""
    for _ in range(100):
        left(ask)
    before = ask.megabytes
    for _ in range(1000):
        left(ask)
    time.sleep(1)
    assert ask.metric("charrnn_slots_active") == ask.metric("charrnn_requests_waiting") == 0
    print(f"memory grew by {ask.megabytes - before:.1f} MB")
    assert ask.megabytes - before <= 10
    assert ask.text(prompt="the ", max_tokens=5)


@pytest.mark.slow
def test_ten_thousand_requests_at_once(ask):
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        asked = dict(prompt="the ", max_tokens=20)
        found = list(pool.map(lambda i: ask("/v1/completions", asked)[0], range(10_000)))
    print({status: found.count(status) for status in set(found)})
    assert set(found) <= {200, 429} and found.count(200) >= 10
    assert ask.text(prompt="the ", max_tokens=5)


@pytest.mark.slow
def test_slow_readers(ask):
    """Who does not read what is streamed does not keep others from being served."""
    body = json.dumps(dict(prompt="the ", max_tokens=60_000, stream=True, logprobs=5)).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", ask.port)))
            slow.sendall(f"{head}\r\n\r\n".encode() + body)
        for seed in range(20):
            assert len(ask.text(prompt="the ", max_tokens=50, seed=seed)) == 50


@pytest.mark.slow
def test_a_hundred_mixes(ask):
    """Equal seed, equal text, whatever the neighbours."""
    rng = np.random.default_rng(1)
    alone: dict[int, str] = {}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in range(100):
            seeds = rng.integers(0, 40, rng.integers(1, 9)).tolist()
            asked = [
                dict(
                    prompt="the dog sat on"[: 1 + seed % 14], max_tokens=10 + 3 * seed, seed=seed,
                    **({"temperature": 0.2 + seed / 20} if seed % 3 else {}),
                    **({"top_p": 0.8} if seed % 2 else {}),
                )
                for seed in seeds
            ]  # fmt: skip
            texts = pool.map(lambda each: ask.text(**each), asked)
            for seed, text in zip(seeds, texts, strict=True):
                assert alone.setdefault(seed, text) == text


@pytest.mark.slow
def test_a_run_is_followed_while_it_is_trained(run, tmp_path):
    config = dataclasses.replace(load(run).config, characters=2000)
    train(config, out=tmp_path / "grows", note=lambda line: None)
    with served(tmp_path / "grows", "--slots", "2", "--reload") as ask:
        before = ask("/v1/score", dict(text="the cat"))[2]["bits"]
        resume(tmp_path / "grows", budget={"characters": 9000}, note=lambda line: None)
        deadline = time.monotonic() + 30
        while ask("/v1/score", dict(text="the cat"))[2]["bits"] == before:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        wanted = generate(load(tmp_path / "grows"), "the ", 30, seed=1)
        assert ask.text(prompt="the ", max_tokens=30, seed=1) == wanted


def test_the_page_writes_and_scores(ask, run):
    playwright = pytest.importorskip("playwright.sync_api")
    if not shutil.which("chromium-headless-shell"):
        pytest.skip("there is no chromium-headless-shell")
    with playwright.sync_playwright() as player:
        shell = shutil.which("chromium-headless-shell")
        browser = player.chromium.launch(executable_path=shell, args=["--no-sandbox"])
        tab, faults = browser.new_page(), []
        tab.on("console", lambda message: faults.append(message.text))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.goto(f"http://127.0.0.1:{ask.port}/")
        tab.locator("#write:enabled").wait_for()
        tab.fill("#prompt", "the ")
        tab.fill("#temperature", "0")
        tab.fill("#length", "100")
        tab.click("#write")
        tab.locator("#status", has_text="Done: 100 characters").wait_for()
        wanted = generate(load(run), "the ", 100, sampler="greedy")
        assert tab.locator("#written").text_content() == wanted
        tab.fill("#own", "the cat")
        tab.locator("#score", has_text="bits in all").wait_for()
        bits = ask("/v1/score", dict(text="the cat"))[2]["bits"]
        assert f"{bits:.1f} bits in all" in tab.inner_text("#score")
        tab.fill("#prompt", "the Q")
        tab.click("#write")
        tab.locator("#status", has_text="The model cannot go on").wait_for()
        assert "'Q'" in tab.inner_text("#status")
        browser.close()
    assert [fault for fault in faults if "400 (Bad Request)" not in fault] == []


@pytest.mark.slow
def test_two_models_at_an_address_of_ipv6(run, tmp_path):
    dogs = shutil.copytree(run, tmp_path / "dogs")
    with (
        served(run, str(dogs), "--host", "::1", "--slots", "2") as ask,
        contextlib.closing(http.client.HTTPConnection("::1", ask.port)) as connection,
    ):
        for model in ("cats", "dogs", "mice"):
            body = json.dumps({"model": model, "prompt": "the ", "max_tokens": 5, "seed": 1})
            connection.request("POST", "/v1/completions", body)  # Host: [::1]:PORT
            answer = connection.getresponse()
            assert answer.status == (404 if model == "mice" else 200)
            assert model in answer.read().decode()
        connection.request("GET", "/health", headers={"Host": "evil.example"})
        assert connection.getresponse().status == 400


def test_the_client_of_openai_works_as_it_is(ask):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{ask.port}/v1", api_key="none")
    assert [model.id for model in client.models.list()] == ["cats"]
    asked: dict[str, Any] = dict(model="cats", prompt="the ", max_tokens=30, seed=4, top_p=0.9)
    whole = client.completions.create(**asked).choices[0].text
    pieces = client.completions.create(**asked, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == whole and len(whole) == 30
    with pytest.raises(openai.NotFoundError, match="there is no model"):
        client.completions.create(model="dogs", prompt="")


def test_another_address_needs_a_token(charrnn, run):
    refused = charrnn("serve", run, "--host", "0.0.0.0")
    assert refused.returncode == 2 and "add --token" in refused.stderr
    with served(run, "--slots", "2", "--token", "sesame") as ask:
        assert ask("/v1/models")[0] == 401 and ask("/health")[0] == 200 and ask("/")[0] == 200
        assert ask("/v1/models", Authorization="Bearer other")[0] == 401
        assert ask("/v1/models", Authorization="Bearer sesame")[0] == 200
        in_use = charrnn("serve", run, "--port", ask.port, "--slots", "2")
        assert in_use.returncode == 2 and "Address already in use" in in_use.stderr
