"""What a program gives in the wrong place: one sentence that says what was expected."""

from pathlib import Path

import pytest

from charrnn_core import RunConfig, evaluate, generate, load, resume, score, train
from charrnn_core.errors import CharRNNError, OptionError, UnknownNameError
from tests.resuming import quiet


@pytest.fixture(scope="module")
def model(begun):
    return load(begun, note=quiet)


CALLS = {
    "a model as a text": (lambda m: generate(m, 5), "a prompt is 5; expected a text"),
    "prompts": (lambda m: generate(m, prompts=5), "prompts is 5; expected a list, or use prompt"),
    "a length": (lambda m: generate(m, length="x"), "length is 'x'; expected a number of charac"),
    "a sampler": (lambda m: generate(m, sampler=5), "sampler is 5; expected a sampler spec, such"),
    "no model": (lambda m: generate("santa"), "model is 'santa'; expected a Model, from load or"),
    "load": (lambda m: load(5), "run is 5; expected a run directory or a checkpoint file"),
    "resume": (lambda m: resume(None), "run is None; expected a run directory"),
    "train": (lambda m: train(5), r"config is 5; expected a RunConfig, such as RunConfig\(cell="),
    "a name": (lambda m: train("elman"), "config is 'elman'; expected a RunConfig"),
    "out": (lambda m: train(out=5), "out is 5; expected a run directory"),
    "observers": (lambda m: train(observers=5), "observers is 5; expected a list"),
    "score": (lambda m: score(m, 5), "text is 5; expected a text, or a list of documents"),
    "no model to score": (lambda m: score(5, "ho"), "model is 5; expected a Model"),
    "evaluate": (lambda m: evaluate(5), "model is 5; expected a Model"),
    "a source": (lambda m: evaluate(m, source=5), "source is 5; expected a source spec, such as"),
}


@pytest.mark.parametrize("call, message", CALLS.values(), ids=CALLS)
def test_a_value_of_a_wrong_type(model, call, message):
    with pytest.raises(OptionError, match=message) as told:
        call(model)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "name, hint",
    [
        ("cel", "did you mean 'cell'"),
        ("lr", "here it is optimizer = "),
        ("nonsense", "'nonsense'; available: alphabet, average, batch, "),
    ],
)
def test_a_setting_that_does_not_exist(name, hint):
    with pytest.raises(UnknownNameError, match=f"no option of the run named '{name}'.*") as told:
        RunConfig(**{name: "elman"})
    assert hint in str(told.value) and isinstance(told.value, CharRNNError)


def test_a_text_that_is_the_name_of_a_file_is_told(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.txt").write_text("Ann sees Bob.\n")
    notes: list[str] = []
    scored = list(score(model, "own.txt", unknown="skip", note=notes.append))
    assert len(scored) == len("own.txt")
    assert notes[0] == (
        "note: scoring the 7 characters 'own.txt' themselves, not the file of that name; for the "
        "file: score(model, source='own.txt')"
    )
    notes.clear()
    list(score(model, "Ann sees Bob.", note=notes.append))
    assert not any("themselves" in note for note in notes)
