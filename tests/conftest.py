"""What all tests share: a strict JAX, the registry, the real command line, the shared texts."""

import dataclasses
import gc
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# The same small programs are compiled again and again: by all workers, and by what they start.
if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker has its controller's directory
    _COMPILED = tempfile.TemporaryDirectory(prefix="charrnn-tests-xla-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# Compiling is most of what tests do, and runs of a moment need no fast code: LLVM does less to it,
# and XLA makes it the way that is quicker to compile, in one piece. What is computed is the same.
# `.ci/newest` compiles as charrnn does when it is used, and shares no programs. XLA dies of flags
# that it does not know.
QUICK = os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1"
if QUICK:
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        flags = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
        os.environ.setdefault("XLA_FLAGS", flags)
# Some of the commands are killed while they write such a program down; others then make it anew.
os.environ["PYTHONWARNINGS"] = "ignore:Error reading persistent compilation cache entry"
gc.set_threshold(50_000)  # as charrnn.cli does: tracing makes many objects, and few circles

import hypothesis  # noqa: E402  # jax reads the environment when it is imported
import jax  # noqa: E402
import pytest  # noqa: E402

from tests.foreign import forgotten  # noqa: E402
from tests.lowering import in_one_context  # noqa: E402
from tests.sharing import apart, share_programs  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

in_one_context()
if QUICK:
    share_programs()
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

PLAIN = {"context": 0, "counts": 0}
"""Settings of a network that remembers no strings: a training of it compiles a third less.

For tests that are not about what a training computes.
"""
PLAIN_OPTIONS = ("--context", "0", "--counts", "0")

hypothesis.settings.register_profile("default", deadline=None, max_examples=60)
hypothesis.settings.load_profile("default")


_SLOW = (
    "test_affine.py::test_affine_steps",
    "test_affine.py::test_cells[minlstm",
    "test_affine.py::test_cells[rglru",
    "test_affine.py::test_cells[stacked",
    "test_affine.py::test_inside[",
    "test_affine.py::test_long_windows_of_strong_decay",
    "test_baselines.py::test_published_figures_of_compressors",
    "test_begun_runs.py::test_it_begins_with_the_bits_it_would_have_had",
    "test_benchmarks.py::test_cells",
    "test_benchmarks.py::test_notebook",
    "test_benchmarks.py::test_regularisation",
    "test_benchmarks.py::test_texts",
    "test_benchmarks.py::test_unroll[engine",
    "test_best.py::test_a_run_that_goes_on_ends_with_the_same_best",
    "test_best.py::test_an_interruption_does_not_put_off_the_stop",
    "test_best.py::test_nothing_stops_a_run_with_patience_0",
    "test_bytes.py::test_characters_that_stand_for_bytes_are_written_as_bytes",
    "test_cell_limits.py::test_dropout_hides_the_same_units_throughout_a_window[mogrifier",
    "test_cell_reference.py::test_values_and_gradients[gru, normalised",
    "test_cell_reference.py::test_values_and_gradients[lstm, more",
    "test_cells.py::test_a_built_in_cell[indrnn",
    "test_cells.py::test_a_built_in_cell[mgu",
    "test_cells.py::test_a_built_in_cell[minlstm",
    "test_cells.py::test_a_built_in_cell[mlstm",
    "test_cells.py::test_a_built_in_cell[mogrifier",
    "test_cells.py::test_a_built_in_cell[rglru",
    "test_cells.py::test_a_built_in_cell[rhn",
    "test_cells.py::test_a_built_in_cell[slstm",
    "test_cells.py::test_flax_cells_and_stacks_in_short",
    "test_cli.py::test_a_full_disk_ends_the_run",
    "test_compiled.py::test_a_folder_that_may_only_be_read",
    "test_compiled.py::test_programs_that_jax_cannot_load_are_made_again",
    "test_context.py::test_a_model_keeps_its_owners[3000",
    "test_context.py::test_optimizers_of_other_kinds",
    "test_context.py::test_steps_and_windows_agree[separator1",
    "test_context.py::test_what_has_no_memory_is_exactly_dense[clipped",
    "test_corpora.py::test_memory_stays_bounded",
    "test_corpora.py::test_training_on_a_mapped_text",
    "test_counts.py::test_what_is_read_is_mixed_with_the_counts_of_its_longest_strings[1-",
    "test_counts.py::test_what_is_read_is_mixed_with_the_counts_of_its_longest_strings[3-",
    "test_counts.py::test_what_is_read_is_mixed_with_the_counts_of_its_longest_strings[4-context1",
    "test_docs.py::test_what_a_page_shows_works[api.md]",
    "test_docs.py::test_what_a_page_shows_works[concepts.md]",
    "test_docs.py::test_what_a_page_shows_works[evaluation.md]",
    "test_docs.py::test_what_a_page_shows_works[hooks/",
    "test_docs.py::test_what_a_page_shows_works[index.md]",
    "test_docs.py::test_what_a_page_shows_works[loggers.md]",
    "test_doctor.py::test_no_false_alarm[shakespeare",
    "test_dynamic.py::test_without_learning_it_is_the_single_pass[stacked",
    "test_engine_cells.py::test_float32[linen",
    "test_engine_cells.py::test_float32[nnx",
    "test_engine_cells.py::test_float32[registered",
    "test_example_plugin.py::test_a_distribution_settles_the_tie",
    "test_example_plugin.py::test_a_missing_sampler_is_named_too",
    "test_example_plugin.py::test_its_cell_nests_in_stacked",
    "test_fuzz.py::test_little_memory_and_time_are_enough_for_the_nastiest_input[config",
    "test_fuzz.py::test_little_memory_and_time_are_enough_for_the_nastiest_input[spec",
    "test_fuzz.py::test_little_memory_and_time_are_enough_for_the_nastiest_input[stripper",
    "test_inspection.py::test_a_text_is_read_as_step_by_step[one-hot",
    "test_inspection.py::test_a_text_is_read_as_step_by_step[stacked",
    "test_inspection.py::test_dependence_is_the_gradient_of_the_log_probability[documents",
    "test_inspection.py::test_dependence_is_the_gradient_of_the_log_probability[one-hot",
    "test_inspection.py::test_dependence_is_the_gradient_of_the_log_probability[stacked",
    "test_install.py::test_a_broken_plugin_is_told_and_can_be_removed[exits",
    "test_install.py::test_a_broken_plugin_is_told_and_can_be_removed[kills",
    "test_live_runs.py::test_a_signal_saves_and_says_how_to_go_on[SIGHUP",
    "test_live_runs.py::test_a_signal_saves_and_says_how_to_go_on[SIGINT",
    "test_live_runs.py::test_the_machine_that_resumes_may_have_fewer_cores",
    "test_local_files.py::test_a_run_keeps_a_copy_and_says_how_to_go_on",
    "test_mixed_sampling.py::test_the_log_probabilities_are_of_model_and_mixture",
    "test_mixed_sampling.py::test_the_samplers_shape_the_mixture",
    "test_network.py::test_the_engine_draws_what_a_plain_scan_draws",
    "test_nocopy.py::test_nothing_longer_is_copied[temperature",
    "test_notebook_cells.py::test_a_cell_of_this_program[linen",
    "test_overflow.py::test_a_stream_whose_carry_overflows_starts_afresh[rollback",
    "test_overflow.py::test_an_optimizer_whose_state_overflows_is_noticed[skip",
    "test_policies.py::test_a_new_training_begins_with_the_parameters_of_another",
    "test_programs.py::test_documents_and_bytes_are_continued_alike[{'documents': 'blank'}",
    "test_programs.py::test_documents_and_bytes_are_continued_alike[{'documents': 'lines'}",
    "test_programs.py::test_each_prompt_is_continued_as_it_would_be_alone[elman",
    "test_programs.py::test_each_prompt_is_continued_as_it_would_be_alone[gru",
    "test_programs.py::test_each_prompt_is_continued_as_it_would_be_alone[lstm",
    "test_programs.py::test_each_prompt_is_continued_as_it_would_be_alone[minlstm",
    "test_programs.py::test_each_prompt_is_continued_as_it_would_be_alone[mlstm",
    "test_programs.py::test_each_prompt_is_continued_as_it_would_be_alone[rglru",
    "test_programs.py::test_each_prompt_is_continued_as_it_would_be_alone[rhn",
    "test_programs.py::test_each_prompt_is_continued_as_it_would_be_alone[slstm",
    "test_report.py::test_a_run_and_its_info_have_a_curve_in_a_terminal[60",
    "test_resume.py::test_another_sampler",
    "test_resume.py::test_every_cell",
    "test_resume.py::test_every_optimizer",
    "test_resume.py::test_every_recipe[default",
    "test_resume.py::test_every_recipe[notebook",
    "test_resume.py::test_noise_averages_and_documents",
    "test_second_example.py::test_distributions_mix",
    "test_selfcheck.py::test_an_optimizer_that_remembers_outside_its_state_is_caught",
    "test_selfcheck.py::test_the_command_says_what_it_compared[command1",
    "test_settings_of_networks.py::test_a_cell_gets_as_wide_as_its_parameters_allow[gru",
    "test_settings_of_networks.py::test_a_cell_gets_as_wide_as_its_parameters_allow[lstm",
    "test_settings_of_networks.py::test_a_model_of_lines_knows_nothing_of_the_line_before",
    "test_training.py::test_devices_share_the_streams",
    "test_training.py::test_evaluations_have_a_budget[0.3",
    "test_training.py::test_evaluations_have_a_budget[1.0",
    "test_training.py::test_every_optimizer_learns[adam",
    "test_training.py::test_every_optimizer_learns[rmsprop",
    "test_training.py::test_every_optimizer_learns[sgd",
    "test_training.py::test_nothing_is_evaluated_after_the_first_update[15.0",
    "test_typing.py::test_a_users_program[mypy",
)
"""Variations, of many seconds each, of what is tested beside them; ``pytest -m slow`` has them."""


_LONG = (
    "live_runs", "cli", "kits_of_other_hooks", "training", "doctests", "inspect", "bench", "counts",
    "context", "programs", "compiled", "engine_cells", "resume", "install", "readme", "javascript",
    "held_out", "report", "doctor", "score", "policies", "overflow", "cell_reference", "fuzz",
    "docs", "output", "devices", "kit_of_cells", "inspection", "best",
)  # fmt: skip
"""The files that take longest, which begin first: so no worker is left with one at the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if any(name in item.nodeid for name in _SLOW):
            item.add_marker(pytest.mark.slow)
    last = len(_LONG)
    places = {f"test_{name}.py": place for place, name in enumerate(_LONG)}
    items.sort(key=lambda item: places.get(item.path.name, last))


@pytest.fixture(autouse=True)
def no_module_stays(tmp_path_factory):
    """A plugin that one test writes and imports is not there for the next."""
    with forgotten(tmp_path_factory.getbasetemp()):
        yield


@pytest.fixture(autouse=True)
def changed_code_is_traced(request):
    """What a test changes in the core is in no program of before, nor in one of later."""
    with apart(when="monkeypatch" in request.fixturenames):
        yield


@pytest.fixture(scope="module")
def optimized():
    """Let LLVM do all it does when charrnn is used: for tests of bits."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def registry():
    from charrnn_core.registry.registry import Registry

    return Registry.installed()


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The local mirror with book 520, or skip."""
    if not (SHARED / "gutenberg").is_dir():
        pytest.skip("../shared/gutenberg is absent")
    return SHARED / "gutenberg"


@pytest.fixture
def charrnn(tmp_path):
    """Run a command in this process: ``charrnn("run", "--cell", "elman")``."""
    from tests.commands import in_process

    def call(*arguments: object, env: dict[str, str] | None = None, stdin: str | None = None):
        more = {"CHARRNN_CACHE": str(tmp_path / "cache"), **(env or {})}
        return in_process(arguments, tmp_path, more, stdin)

    return call


@pytest.fixture
def charrnn_process(tmp_path):
    """Run a command in a process of its own, for what only a process can show."""

    def call(*arguments: object, env: dict[str, str] | None = None, stdin: str | None = None):
        return subprocess.run(
            [sys.executable, "-m", "charrnn_core", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            input=stdin,
            timeout=120,
            env={**os.environ, "CHARRNN_CACHE": str(tmp_path / "cache"), **(env or {})},
        )

    return call


@pytest.fixture(scope="session")
def small_text() -> str:
    """A few thousand characters with structure, made here."""
    names = ("Ann", "Bob", "Cyd", "Dee")
    verbs = ("sees", "hears", "likes", "finds")
    lines = [
        f"{names[i % 4]} {verbs[i * i % 4]} {names[(i + i // 4 + 1) % 4]} and {i * 7 % 100}.\n"
        for i in range(200)
    ]
    return "".join(lines)


@pytest.fixture(scope="session")
def text_file(tmp_path_factory, small_text) -> Path:
    path = tmp_path_factory.mktemp("text") / "small.txt"
    path.write_text(small_text)
    return path


@pytest.fixture(scope="module")
def plain(config):
    """The fixture `config` of a file of tests, plain."""
    return dataclasses.replace(config, **PLAIN)


@pytest.fixture(scope="session")
def first_begun(tmp_path_factory, text_file) -> Path:
    """What `begun` copies."""
    from charrnn_core import RunConfig, train

    out = tmp_path_factory.mktemp("begun") / "run"
    config = RunConfig(
        source=str(text_file), cell="elman:4", batch=4, window=8, characters=2000,
        observers="jsonl", sample_length=5, shards=1,
    )  # fmt: skip
    train(config, out=out, stop=lambda: True, note=lambda line: None)
    return out


@pytest.fixture(scope="module")
def begun(tmp_path_factory, first_begun) -> Path:
    """A run that was interrupted at once, of which each file of tests has a copy."""
    return shutil.copytree(first_begun, tmp_path_factory.mktemp("begun") / "run")
