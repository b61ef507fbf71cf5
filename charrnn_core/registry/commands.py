"""The commands installed, in sections by what a person wants; none is imported.

A command says where it belongs by the group of its entry point: ``charrnn.commands.judge`` puts it
in the section ``judge``. In ``charrnn.commands`` alone, or in a section that does not exist, it
stands under its distribution. That holds for charrnn's own as for anybody's.
"""

from charrnn_core.registry.distribution import whose
from charrnn_core.registry.entrypoints import COMMANDS, Entry, installed

SECTIONS = {
    "train": "Train",
    "write": "Write",
    "judge": "Judge",
    "look": "Look",
    "share": "Share",
    "extend": "Extend",
}
"""The headings of the sections, in order.

* ``train``: make a model, or go on making it.
* ``write``: get text out of a model.
* ``judge``: measure how good a model, a cell or a text is.
* ``look``: see what there is: a text, a run, what a model has learnt.
* ``share``: give a model or a result to somebody else.
* ``extend``: write, check, install or list plugins.
"""


def commands() -> dict[str, Entry]:
    """Return the commands by name, sorted; no plugin can replace one of charrnn's own.

    >>> commands()["eval"].section
    'judge'
    """
    entries = sorted(installed().group(COMMANDS), key=lambda entry: entry.distribution == "charrnn")
    found = {entry.name: entry for entry in entries}
    return {name: found[name] for name in sorted(found)}


def in_sections() -> dict[str, dict[str, Entry]]:
    """Return the commands by name below their headings, those of distributions last.

    >>> list(in_sections())[:2], list(in_sections()["Train"])
    (['Train', 'Write'], ['resume', 'run'])
    """
    found: dict[str, dict[str, Entry]] = {}
    for name, entry in commands().items():
        heading = SECTIONS.get(entry.section) or whose(entry.distribution, entry.version)
        found.setdefault(heading, {})[name] = entry
    places = {heading: place for place, heading in enumerate(SECTIONS.values())}
    return dict(sorted(found.items(), key=lambda item: (places.get(item[0], len(places)), item[0])))
