"""What other programs of this kind call things, and how to say it here."""

import json
import shlex
from collections.abc import Collection

_HABITS: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "hidden hidden_size hidden_dim hidden_units hidden_width rnn_size rnn_units state_size "
        "cell_size size num_units units width features n_hidden num_hidden nhid",
        {"features": "512", "cell": "lstm:512"},
    ),
    ("layers num_layers n_layers nlayers rnn_layers depth", {"cell": "stacked:lstm:256*2"}),
    (
        "model model_type rnn rnn_type rnn_cell cell_type arch architecture network",
        {"cell": "lstm"},
    ),
    (
        "seq_length seq_len seqlen sequence_length block_size bptt tbptt timesteps time_steps "
        "chunk_len chunk_length context_length unroll_length",
        {"window": "64"},
    ),
    ("batch_size batchsize bs", {"batch": "32"}),
    (
        "lr learning_rate",
        {
            "learning_rate": "0.004",
            "lr": "0.004",
            "optimizer": '{use = "adam", learning_rate = 0.004}',
        },
    ),
    (
        "clip clip_grad grad_clip gradient_clip max_grad_norm",
        {"clip": "1.0", "optimizer_opt": "clip=1.0", "optimizer": '{use = "adam", clip = 1.0}'},
    ),
    (
        "weight_decay wd",
        {
            "weight_decay": "0.01",
            "optimizer": '{use = "adamw", weight_decay = 0.01}',
        },
    ),
    ("optim", {"optimizer": "adam"}),
    ("dropout dropout_rate drop drop_prob", {"dropout": "0.2", "dropout_output": "0.2"}),
    (
        "embed embed_size embed_dim embedding_size embedding_dim emb_size emsize",
        {"embedding": "64"},
    ),
    (
        "input input_file input_data data data_file data_path data_dir dataset file filename text "
        "text_file corpus train train_file path",
        {"source": "FILE"},
    ),
    (
        "val_frac valid_frac val_split validation_split test_frac train_frac holdout",
        {"split": "last-10%"},
    ),
    ("temp temperature", {"temperature": "0.7", "sampler": "temperature:0.7"}),
    ("topk top_k", {"sampler": "top-k:40,temperature:0.7"}),
    ("topp top_p nucleus", {"sampler": "top-p:0.9,temperature:0.7"}),
    (
        "chars n_chars num_chars nchars characters",
        {"length": "500", "characters": "5000000", "budget": "chars=5M"},
    ),
    (
        "length max_length sample_len max_new_tokens num_tokens n_tokens tokens gen_length",
        {"length": "500", "sample_length": "500"},
    ),
    ("samples num_samples n_samples count", {"n": "3"}),
    ("params num_params n_params model_size", {"parameters": "1000000", "budget": "params=1M"}),
    ("epoch max_epochs num_epochs n_epochs nepochs", {"epochs": "10"}),
    (
        "steps num_steps max_steps train_steps iters iterations max_iters n_iters updates",
        {"characters": "5000000", "budget": "chars=5M"},
    ),
    ("minutes time time_limit max_time hours seconds", {"minutes": "10", "budget": "10m"}),
    (
        "start start_text start_string prime prime_text primetext prime_str seed_text prefix",
        {"prompt": "The "},
    ),
    ("eval_interval val_interval val_every", {"eval_every": "1"}),
    ("checkpoint_every save_interval save_freq", {"save_every": "1"}),
    (
        "output output_dir outdir out_dir save_dir savedir checkpoint_dir log_dir logdir run_dir",
        {"out": "runs/mine"},
    ),
    ("random_seed rng_seed", {"seed": "1"}),
)


def _here(name: str, known: Collection[str]) -> tuple[str, str] | None:
    """Return what a foreign `name` means here, with an example value."""
    said = name.strip("-").lower().replace("-", "_")
    for names, answers in _HABITS:
        if said in names.split():
            return next(((key, answers[key]) for key in answers if key in known), None)
    return None


def setting_for(name: str, known: Collection[str]) -> str | None:
    """Return the equivalent of a foreign setting as a line of TOML; None if unknown.

    Arguments:
        known: the available names.

    >>> setting_for("hidden_size", {"cell", "window"}), setting_for("hidden", {"features"})
    ('cell = "lstm:512"', 'features = 512')
    """
    if (found := _here(name, known)) is None:
        return None
    key, value = found
    plain = value.startswith("{") or value.replace(".", "").isdigit()
    return f"{key} = {value if plain else json.dumps(value)}"


def option_for(name: str, known: Collection[str]) -> str | None:
    """Return the command-line equivalent of a foreign option; None if unknown.

    Arguments:
        known: the available options, such as ``"--cell"``.

    >>> option_for("--num-layers", {"--cell"}), option_for("--prime", {"--prompt"})
    ("--cell 'stacked:lstm:256*2'", "--prompt 'The '")
    """
    found = _here(name, {option.strip("-").replace("-", "_") for option in known})
    return found and f"--{found[0].replace('_', '-')} {shlex.quote(found[1])}"
