"""``charrnn score`` and ``charrnn eval``: one number, told in several ways."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from charrnn_core import RunConfig, evaluate, score, train
from charrnn_core.errors import CorpusError, UnknownNameError, UnknownSymbolError


def make_run(out: Path, source: Path, **settings):
    config = RunConfig(
        source=str(source), cell="elman:8", embedding=0, batch=4, window=16, characters=6000,
        observers=(), unroll="scan", sample_length=5, **settings,
    )  # fmt: skip
    return train(config, out=out, note=lambda line: None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, text_file):
    return make_run(tmp_path_factory.mktemp("score") / "run", text_file)


@pytest.fixture(scope="module")
def model(trained):
    return trained.model


@pytest.fixture
def other(tmp_path):
    """A text with characters the model does not know, also at its very ends."""
    path = tmp_path / "other.txt"
    path.write_text("ßAnn sees Bob and 7.\nZoë hears Dee and 12.€ Cyd? sees\n☃")
    return path


def test_score_evaluate_and_training_agree(trained, model, text_file):
    notes = []
    scored = [*score(model, note=notes.append)]
    assert notes == ["note: scoring the valid part of last-10%"]
    result = evaluate(model)
    text = text_file.read_text()
    assert "".join(s.symbol for s in scored) == text[len(text) * 9 // 10 :]
    assert np.mean([s.bits for s in scored]) == pytest.approx(result.bits_per_char, abs=1e-6)
    assert result.nats_per_char == pytest.approx(trained.held_out.nats_per_char, abs=1e-6)
    assert result.baselines == trained.held_out.baselines and len(result.baselines) == 2
    assert result.interval == pytest.approx(trained.held_out.interval, abs=1e-5)
    # The whole text begins with its first character, predicted from the beginning of a line.
    parts = [evaluate(model, split=part) for part in ("train", "valid", "all")]
    assert [part.characters for part in parts[:2]] == [len(text) * 9 // 10, len(scored)]
    assert parts[2].characters == len(text) == len([*score(model, split="all")])


def test_what_the_model_has_learnt_from_gets_no_baselines(model):
    for split in ("train", "torch-rnn-80/10/10"):
        result = evaluate(model, split=split)
        assert result.baselines == ()
        assert result.remarks == (
            "the model was trained on this text, so no baselines are computed",
        )
    notes = []
    score(model, split="all", note=notes.append)
    assert notes == ["note: the model was trained on this text"]
    result = evaluate(model, split="last-5%", baselines=False)
    assert result.remarks == result.baselines == ()


def test_another_text_stands_beside_n_grams_of_the_training_text(model, tmp_path, text_file):
    words = tmp_path / "words.txt"
    words.write_text("Bob hears Ann and 3.\n" * 50)
    result = evaluate(model, source=str(words))
    assert (result.part, result.characters) == ("all", 21 * 50)
    assert [row.name.split(",")[0] for row in result.baselines] == ["unigram", "n-gram", "xz -9e"]
    copy = tmp_path / "copy.txt"
    copy.write_text(text_file.read_text())  # the model has learnt from it under another name
    assert evaluate(model, source=str(copy)).baselines == ()


def test_without_the_training_text_there_are_remarks(model, tmp_path, small_text, other):
    source = tmp_path / "mine.txt"
    source.write_text(small_text + "and\n")
    config = dataclasses.replace(model.config, source=str(source)).resolve(model.registry)
    corpus = {**model.table["corpus"], "origin": str(source)}  # nor is the old one found there
    changed = dataclasses.replace(model, config=config, table={**model.table, "corpus": corpus})
    lines = []
    assert evaluate(changed, note=lines.append).baselines and "has changed since" in lines[0]
    result = evaluate(changed, source=str(other), unknown="skip")
    assert result.baselines == () and "has changed since training" in result.remarks[-1]


def test_unknown_characters_are_refused_skipped_or_charged(model, other):
    text = other.read_text()
    lacking = [symbol for symbol in text if symbol not in model.alphabet.symbols]
    assert lacking == ["ß", "Z", "ë", "€", "?", "☃"]
    with pytest.raises(UnknownSymbolError, match="lacks '[?]', 'Z', 'ß'"):
        evaluate(model, source=str(other))
    with pytest.raises(UnknownNameError, match="did you mean 'skip'"):
        evaluate(model, source=str(other), unknown="skipp")
    for unknown in ("skip", "escape"):
        scored = [*score(model, source=str(other), unknown=unknown, note=lambda line: None)]
        result = evaluate(model, source=str(other), unknown=unknown)
        assert "".join(s.symbol for s in scored) == text
        assert [s.symbol for s in scored if not s.known] == lacking
        bits = [s.bits for s in scored if not math.isnan(s.bits)]
        assert result.characters == len(bits)
        assert result.bits_per_char == pytest.approx(np.mean(bits), abs=1e-6)
        if unknown == "skip":
            assert len(bits) == len(text) - 6
            skipping = result.baselines
            assert result.remarks[0] == (
                "6 unknown characters are skipped; the figures cover the "
                f"{len(bits)} known characters"
            )
            without = other.with_name("without.txt")
            without.write_text("".join(s.symbol for s in scored if s.known))
            known = [s.bits for s in score(model, source=str(without))]
            assert known == pytest.approx(bits, abs=1e-6)
        else:
            n = model.table["corpus"]["characters"]
            cost = math.log2(n + 1) + math.log2(0x110000 - len(model.alphabet))
            charged = [s.bits for s in scored if not s.known]
            assert charged == pytest.approx([cost] * 6)
            extra = -math.log2(1 - 1 / (n + 1))
            ours = [s.bits - extra for s in scored if s.known]
            assert ours == pytest.approx(known, abs=1e-6)
            for row, before in zip(result.baselines, skipping, strict=True):  # charged alike
                total = before.bits_per_char * len(known) + len(known) * extra + 6 * cost
                assert row.bits_per_char == pytest.approx(total / len(text), rel=1e-9)
            assert f"among the {len(text)}, at {cost:.2f} bits each" in result.remarks[0]


def test_dynamic_evaluation_is_one_more_row(model):
    result = evaluate(model, dynamic=True)
    assert result.dynamic is not None and result.dynamic.interval is not None
    assert result.dynamic.name.startswith("dynamic, rate ")
    assert result.rows[2] is result.dynamic and result.table()["dynamic"]["nats_per_char"] > 0
    # A model that has seen so little has much to learn.
    assert result.dynamic.nats_per_char < result.nats_per_char


def test_a_mixture_with_counts_is_a_row_beside_the_models(model, text_file):
    plain, result = evaluate(model), evaluate(model, mix="ngram", dynamic=True)
    assert plain.mixed is plain.dynamic_mixed is plain.table()["mixed"] is None
    own, alone, mixed, dynamic, both, *_ = result.rows
    assert alone.name == "network alone" and alone.nats_per_char > own.nats_per_char
    assert [row.name for row in (mixed, both)] == [
        "mixed with n-grams, order 6", "dynamic, mixed with n-grams, order 6",
    ]  # fmt: skip
    assert own.nats_per_char == pytest.approx(plain.nats_per_char, abs=1e-5)
    assert dynamic.nats_per_char == pytest.approx(
        evaluate(model, dynamic=True).dynamic.nats_per_char, abs=1e-5
    )
    # A model that has seen so little profits from counts, also while it goes on learning.
    assert mixed.nats_per_char < own.nats_per_char and both.nats_per_char < dynamic.nats_per_char
    assert result.table()["mixed"]["nats_per_char"] == mixed.nats_per_char
    assert result.table()["dynamic_mixed"]["nats_per_char"] == both.nats_per_char
    scored = [*score(model, mix="ngram")]
    assert "".join(s.symbol for s in scored) == text_file.read_text()[-len(scored) :]
    assert np.mean([s.bits for s in scored]) == pytest.approx(mixed.bits_per_char, abs=1e-6)


def test_a_mixture_charges_unknown_characters_alike(model, other):
    for unknown in ("skip", "escape"):
        scored = [*score(model, source=str(other), unknown=unknown, mix="ngram")]
        result = evaluate(model, source=str(other), unknown=unknown, mix="ngram")
        assert "".join(s.symbol for s in scored) == other.read_text()
        bits = [s.bits for s in scored if not math.isnan(s.bits)]
        assert result.mixed is not None and result.characters == len(bits)
        assert result.mixed.bits_per_char == pytest.approx(np.mean(bits), abs=1e-6)
    plain = [*score(model, source=str(other), unknown="escape")]
    for one, two in zip(plain, scored, strict=True):
        assert one.known == two.known and (one.bits == two.bits) == (not one.known)


def test_a_mixture_needs_the_training_text(model, tmp_path, small_text, other):
    with pytest.raises(UnknownNameError, match="no mixture named 'ngrams' .did you mean 'ngram'"):
        evaluate(model, mix="ngrams")
    source = tmp_path / "mine.txt"
    source.write_text(small_text + "and\n")
    config = dataclasses.replace(model.config, source=str(source)).resolve(model.registry)
    corpus = {**model.table["corpus"], "origin": str(source)}
    changed = dataclasses.replace(model, config=config, table={**model.table, "corpus": corpus})
    for use in (score, evaluate):
        with pytest.raises(CorpusError, match="changed since training; this needs the very text"):
            use(changed, source=str(other), unknown="skip", mix="ngram")


@pytest.mark.slow
def test_interleaved_parts_train_and_evaluate(tmp_path, text_file):
    source = tmp_path / "longer.txt"
    source.write_text(text_file.read_text() * 15)
    trained = make_run(tmp_path / "run", source, split="char-rnn-95/5-interleaved")
    batches = len(source.read_text()) // 2500
    assert batches > 20 and trained.held_out.characters == 2500 * (batches - int(batches * 0.95))
    assert evaluate(trained.model).nats_per_char == pytest.approx(
        trained.held_out.nats_per_char, abs=1e-6
    )


def test_the_command(trained, charrnn, charrnn_process, other, tmp_path):
    done = charrnn_process("score", trained.directory, other, "--unknown", "escape")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(line["char"] for line in lines) == other.read_text()
    assert lines[0].keys() == {"char", "bits", "unknown"} and lines[1].keys() == {"char", "bits"}
    *_, total = done.stderr.splitlines()
    bits = sum(line["bits"] for line in lines)
    assert total.startswith(f"{len(lines)} characters, {bits:,.1f} bits, ")
    assert total.endswith(" nats per character, 6 unknown")
    result = json.loads(
        charrnn("eval", trained.directory, "--source", other, "--unknown", "escape", "--json",
                "--streams", 1).stdout
    )  # fmt: skip
    assert result["bits_per_char"] == pytest.approx(bits / len(lines), abs=1e-5)
    mixed = charrnn_process(
        "score", trained.directory, other, "--unknown", "escape", "--mix", "ngram"
    )
    *_, mixed_total = mixed.stderr.splitlines()
    result = json.loads(
        charrnn("eval", trained.directory, "--source", other, "--unknown", "escape", "--json",
                "--mix", "ngram").stdout
    )["mixed"]  # fmt: skip
    assert f", {result['bits_per_char']:.4f} bits and " in mixed_total != total
    piped = charrnn(
        "score", trained.directory, "-", "--unknown", "skip", "--out", "x.jsonl",
        stdin=other.read_text(),
    )  # fmt: skip
    assert piped.stdout == "" and piped.stderr.splitlines()[-1].endswith("6 unknown")
    first = json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])
    assert first == {"char": "ß", "bits": None, "unknown": True}
    refused = charrnn("score", trained.directory, other)
    assert refused.returncode == 2 and refused.stderr.startswith("Error: the alphabet of")


@pytest.mark.slow
def test_a_model_of_bytes_scores_bytes(tmp_path, text_file, other):
    model = make_run(tmp_path / "run", text_file, alphabet="bytes").model
    scored = [*score(model, source=str(other))]
    assert bytes(int(s.symbol) for s in scored) == other.read_bytes()
    result = evaluate(model, source=str(other))
    assert (result.symbol, result.characters) == ("byte", len(scored))
    assert result.bits_per_char == pytest.approx(np.mean([s.bits for s in scored]), abs=1e-6)
