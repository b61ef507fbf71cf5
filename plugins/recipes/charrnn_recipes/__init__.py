"""The built-in recipes, as a plugin: settings to begin with, some as other systems have them."""

from charrnn_core import RecipePlugin, hookimpl

_ADAM_WITHOUT_FRILLS = {"clip": 0.0, "schedule": "constant", "warmup": 0}


@hookimpl
def charrnn_recipes():
    yield RecipePlugin(
        name="default",
        summary="charrnn's own settings",
        settings={},
    )
    yield RecipePlugin(
        name="notebook",
        summary="the protocol of the teaching notebook charrnn grew from",
        settings={
            "cell": {"use": "elman", "features": 256},
            "embedding": 0,
            "context": 0,
            "counts": 0,
            "dropout_output": 0.0,
            "patience": 0,
            "batching": "subsequences",
            "batch": 1,
            "window": 64,
            "stretch": 5000,
            "optimizer": {
                "use": "adam",
                "learning_rate": 1e-3,
                "b2": 0.999,
                **_ADAM_WITHOUT_FRILLS,
            },
            "epochs": 250,
            "eval_every": 25,
            "sample_every": 10,
            "sample_length": 50,
            "sampler": "temperature:0.1",
        },
    )
    # 20 minutes on two cores for about a megabyte of text; a smaller text wants less time.
    yield RecipePlugin(
        name="best",
        summary="an LSTM of 768 units with dropout of its state and averaging, for 20 minutes",
        settings={
            "cell": {"use": "lstm", "features": 768, "dropout": 0.2},
            "average": 0.999,
            "optimizer": {"use": "adam", "learning_rate": 3e-3},
            "minutes": 20,
        },
    )
    # The learning rate falls by 3 % after each epoch from the tenth.
    # It clips the gradient of a window's sum at 5, which is 0.1 for that of its mean.
    yield RecipePlugin(
        name="char-rnn",
        summary="two LSTM layers of 128 units, as char-rnn trains them",
        imitates="karpathy/char-rnn, train.lua",
        settings={
            "cell": "stacked:lstm:128*2",
            "embedding": 0,
            "context": 0,
            "counts": 0,
            "dropout_output": 0.0,
            "patience": 0,
            "split": "char-rnn-95/5-interleaved",
            "batch": 50,
            "window": 50,
            "optimizer": {
                "use": "rmsprop",
                "learning_rate": 2e-3,
                "decay": 0.95,
                "clip": 0.0,
                "clip_value": 0.1,
                "warmup": 0,
                "schedule": "exponential",
                "final": 0.97**41,
                "hold": 0.18,
                "stairs": 50,
            },
            "epochs": 50,
            "sampler": "temperature:1",
        },
    )
    # The learning rate is halved every 5 epochs.
    yield RecipePlugin(
        name="torch-rnn",
        summary="two LSTM layers of 128 units, as torch-rnn trains them",
        imitates="jcjohnson/torch-rnn, train.lua",
        settings={
            "cell": "stacked:lstm:128*2",
            "embedding": 64,
            "context": 0,
            "counts": 0,
            "dropout_output": 0.0,
            "patience": 0,
            "split": "torch-rnn-80/10/10",
            "batch": 50,
            "window": 50,
            "optimizer": {
                "use": "adam",
                "learning_rate": 2e-3,
                "b2": 0.999,
                "clip": 0.0,
                "clip_value": 5.0,
                "warmup": 0,
                "schedule": "exponential",
                "final": 0.5**10,
                "hold": 0.0,
                "stairs": 10,
            },
            "epochs": 50,
            "sampler": "temperature:1",
        },
    )
    # The options that its README gives for a CPU. An LSTM with as many parameters takes the
    # Transformer's place.
    yield RecipePlugin(
        name="nanogpt",
        summary="an LSTM with as many parameters as nanoGPT's model for a CPU",
        imitates="karpathy/nanoGPT, shakespeare_char",
        settings={
            "cell": "lstm",
            "embedding": 128,
            "context": 0,
            "counts": 0,
            "dropout_output": 0.0,
            "patience": 0,
            "parameters": 800_000,
            "split": "nanogpt-90/10",
            "batch": 12,
            "window": 64,
            "optimizer": {
                "use": "adamw",
                "learning_rate": 1e-3,
                "b2": 0.99,
                "weight_decay": 0.1,
                "clip": 1.0,
                "warmup": 100,
                "schedule": "cosine",
                "final": 0.1,
            },
            "characters": 2000 * 12 * 64,
            "sampler": "top-k:200,temperature:0.8",
        },
    )
