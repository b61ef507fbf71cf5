"""What processes that train together have in common: versions, plugins, settings and the text."""

import json
from collections.abc import Callable
from importlib.metadata import version

from charrnn_core.runs.config import RunConfig
from charrnn_core.runs.environment import environment
from charrnn_core.text.corpus import Corpus
from charrnn_core.training.context import TrainingContext
from charrnn_core.training.processes import Processes

_VERSIONS = ("python", "jax", "jaxlib", "optax", "flax")
"""What processes that train together need in the same version, besides charrnn itself."""


def demand_same(config: RunConfig, context: TrainingContext) -> None:
    """Refuse to train with processes that have other versions, plugins or settings."""
    if not context.processes.has_others:
        return
    versions = {f"the version of {name}": environment()[name] for name in _VERSIONS}
    versions["the version of charrnn"] = version("charrnn")
    plugins = {
        f"the plugin of {record['kind']} {record['name']!r}": f"{record['distribution']} "
        f"{record['version']}, state {record['state_version']}"
        for record in config.records(context.registry)
    }
    context.processes.demand_same({**versions, **plugins, **config.table()})


def config_of_leader(processes: Processes, make: Callable[[], RunConfig]) -> RunConfig:
    """Return the configuration that the leader makes."""
    if not processes.has_others:
        return make()
    if not processes.leads:
        return RunConfig.read(json.loads(processes.told(None)))
    config = make()
    processes.told(json.dumps(config.table()).encode())
    return config


def read_in_turn(read: Callable[[], Corpus], processes: Processes, passed: bool = False) -> Corpus:
    """Read a text in every process, in the leader first: what it downloads the others find.

    What can be read only once, such as standard input, the leader passes on.

    Arguments:
        read: reads the text.
        processes: those that train together.
        passed: whether the leader passes it on in any case, since only it has what it reads.

    Raises:
        OptionError: it is not the same for all.
    """
    if not processes.leads:
        about = json.loads(processes.told(None))
        corpus = read() if about is None else _passed(processes, about)
    else:
        corpus = read()
        about = {key: getattr(corpus, key) for key in ("name", "origin", "licence", "documents")}
        passed = passed or corpus.once
        processes.told(json.dumps(about if passed else None).encode())
        if passed and processes.has_others:
            processes.told("".join(corpus.read()).encode("utf-8", "surrogatepass"))
    processes.demand_same({f"the SHA-256 of {corpus.name}": corpus.sha256})
    return corpus


def _passed(processes: Processes, about: dict[str, str | None]) -> Corpus:
    text = processes.told(None).decode("utf-8", "surrogatepass")
    return Corpus(text=text, name=about["name"] or "", origin=about["origin"] or "",
                  licence=about["licence"], documents=about["documents"])  # fmt: skip
