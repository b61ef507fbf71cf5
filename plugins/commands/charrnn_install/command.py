"""``charrnn install`` and ``charrnn uninstall``: plugins, with pip, in charrnn's environment."""

import contextlib
from collections.abc import Iterable

import click

from charrnn_core.errors import PluginError, UsageError
from charrnn_core.registry.distribution import canonical
from charrnn_core.terminal import aligned, printable, say, to_stderr
from charrnn_install import pip
from charrnn_install.distributions import find, installed


@click.command()
@click.argument("packages", nargs=-1)
@click.option("-e", "--editable", multiple=True, metavar="DIR", help="A project you are editing.")
@click.option("-U", "--upgrade", is_flag=True, help="Upgrade to the newest versions.")
def install(packages: tuple[str, ...], editable: tuple[str, ...], upgrade: bool) -> None:
    """Install plugins where charrnn finds them: charrnn install charrnn-mycell

    PACKAGES are whatever pip accepts: names, with or without versions, files, directories, URLs.
    """
    if not packages and not editable:
        raise UsageError("nothing to install; expected PACKAGES or -e DIR")
    before: list[pip.Component] = []
    with contextlib.suppress(PluginError):  # the upgrade may fix what is broken
        before = pip.components()
    projects = [part for directory in editable for part in ("--editable", directory)]
    newest = ["--upgrade"] if upgrade else []
    asked = pip.install([*newest, *projects, *(["--", *packages] if packages else [])])
    after = pip.components()
    names = {canonical(name) for name, _ in asked}
    theirs = [row for row in after if row not in before or canonical(row["distribution"]) in names]
    for line in available(theirs):
        say(line)
    for row in theirs:
        if row["status"] != "ok":
            to_stderr(f"Warning: {row['name']} of {row['distribution']} {row['status']}")
    for name, version in asked:
        if canonical(name) not in {canonical(row["distribution"]) for row in after}:
            to_stderr(f"Warning: {name} {version} is installed, but is not a charrnn plugin")


def available(rows: Iterable[pip.Component]) -> list[str]:
    """Return the components now available, as lines.

    >>> row = {"kind": "cell", "name": "mycell", "distribution": "charrnn-mycell"}
    >>> available([row | {"version": "0.1.0", "status": "ok"}])
    ['available now:', '  cell  mycell  charrnn-mycell 0.1.0']
    """
    columns = [
        (f"  {row['kind']}", row["name"], f"{row['distribution']} {row['version']}")
        for row in rows
        if not row["status"].startswith("failed")
    ]
    return ["available now:", *aligned(columns)] if columns else ["nothing new is available"]


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
def uninstall(names: tuple[str, ...], yes: bool) -> None:
    """Uninstall plugins, even broken ones: charrnn uninstall charrnn-mycell

    NAMES are distributions, or plugins in them: mycell also finds charrnn-mycell.
    """
    offers = installed()
    chosen = list(dict.fromkeys(find(name, offers) for name in names))
    if not yes:
        click.confirm(printable(f"Remove {', '.join(map(str, chosen))}?"), abort=True)
    pip.uninstall([offer.name for offer in chosen])
    left = {canonical(offer.name) for offer in installed()}
    if stay := [str(offer) for offer in chosen if canonical(offer.name) in left]:
        raise PluginError(
            f"{', '.join(stay)} can still be found: it is installed outside this environment, or "
            "twice on sys.path"
        )
