"""What is installed, read from metadata that anybody may have left there or damaged."""

import importlib.metadata
from pathlib import Path

import pytest
from charrnn_install.distributions import find
from charrnn_install.distributions import installed as distributions

from charrnn_core.errors import PluginError, UnknownNameError
from charrnn_core.registry.commands import SECTIONS
from charrnn_core.registry.entrypoints import COMMANDS, PLUGINS, Entry, installed
from charrnn_core.registry.listing import list_plugins, list_requirements
from charrnn_core.registry.registry import Registry

CELL = """
from charrnn_core import CellPlugin, hookimpl

@hookimpl
def charrnn_cells():
    yield CellPlugin(name={name!r}, target="nowhere:Nothing")
"""


class Site:
    """A directory on the path of modules."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def metadata(self, directory: str, entry_points: str | bytes, text: str | None) -> Path:
        """Leave a directory with metadata there; `text` is its METADATA."""
        path = self.root / directory
        path.mkdir(parents=True)
        data = entry_points.encode() if isinstance(entry_points, str) else entry_points
        (path / "entry_points.txt").write_bytes(data)
        if text is not None:
            (path / "METADATA").write_text(text)
        return path

    def plugin(self, name: str, version: str = "1.0", directory: str | None = None) -> Path:
        """Install a distribution charrnn-NAME with the cell NAME."""
        module = f"charrnn_{name}"
        (self.root / f"{module}.py").write_text(CELL.format(name=name))
        directory = directory or f"{module}-{version}.dist-info"
        text = f"Metadata-Version: 2.1\nName: charrnn-{name}\nVersion: {version}\n"
        return self.metadata(directory, f"[charrnn]\n{name} = {module}\n", text)


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    site = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(site.root)
    return site


def ours(name: str) -> list[Entry]:
    return [entry for entry in installed().entries if entry.distribution == f"charrnn-{name}"]


def fault():
    [found] = installed().faults
    return found


@pytest.mark.parametrize(
    "text, why",
    [
        (None, "METADATA is missing, or has no name"),
        ("", "METADATA is missing, or has no name"),
        ("Metadata-Version: 2.1\nVersion: 1.0\n", "METADATA is missing, or has no name"),
        ("Metadata-Version: 2.1\nName: charrnn-left\n", "METADATA is missing, or has no version"),
    ],
)
@pytest.mark.parametrize("group", [PLUGINS, COMMANDS])
def test_what_was_left_behind_is_named_and_stops_nothing(site, group, text, why):
    path = site.metadata("charrnn_left-1.0.dist-info", f"[{group}]\nleft = charrnn_left\n", text)
    site.plugin("sound")
    assert str(path) in fault().error and why in fault().error and "remove that" in fault().error
    registry = Registry.installed()
    assert registry.find("cell", "sound").distribution == "charrnn-sound"
    assert registry.find("cell", "elman").distribution == "charrnn"
    [row] = [row for row in list_plugins(registry) if row["distribution"] == "charrnn_left"]
    assert row["name"] == "left" and str(path) in row["status"]
    assert row["status"].startswith("failed: ") and row["version"] == "unknown"
    assert "# 'charrnn_left' 'unknown', which no package index has" in list_requirements(registry)
    assert find("sound", distributions()).version == "1.0"
    with pytest.raises(UnknownNameError, match=f"{path} is not the metadata of an installed"):
        find("left", distributions())
    with pytest.raises(PluginError, match=f"comes from charrnn-left 1.0, but .*{path}"):
        registry.require({"kind": "cell", "name": "left", "distribution": "charrnn-left",
                          "version": "1.0", "state_version": 1})  # fmt: skip


def test_it_can_be_left_out_by_name(site):
    site.metadata("charrnn_left-1.0.dist-info", "[charrnn]\nleft = charrnn_left\n", None)
    assert not Registry.installed({"CHARRNN_DISABLE_PLUGINS": "charrnn-left"}).faults


def test_metadata_without_any_name(site):
    path = site.metadata(".dist-info", "[charrnn]\nleft = charrnn_left\n", None)
    assert str(path) in fault().error


@pytest.mark.parametrize(
    "entry_points", ["[charrnn]\nno equals sign\n", b"[charrnn]\na = b\xff\n"], ids=["line", "byte"]
)
def test_entry_points_that_cannot_be_read(site, entry_points):
    site.plugin("sound")
    text = "Metadata-Version: 2.1\nName: charrnn-odd\nVersion: 1.0\n"
    path = site.metadata("charrnn_odd-1.0.dist-info", entry_points, text)
    site.metadata("foreign-1.0.dist-info", b"[others]\nno equals sign\xff\n", text)
    assert f"{path / 'entry_points.txt'} cannot be read" in fault().error
    assert "install it again" in fault().error and ours("sound")


@pytest.mark.parametrize("value", ["", ":x", "not a module", "charrnn_sound:none", "charrnn.no"])
@pytest.mark.parametrize("group", [PLUGINS, COMMANDS])
def test_an_entry_point_that_names_nothing(site, value, group):
    site.plugin("sound")
    text = "Metadata-Version: 2.1\nName: charrnn-odd\nVersion: 1.0\n"
    site.metadata("charrnn_odd-1.0.dist-info", f"[{group}]\nodd = {value}\n", text)
    registry = Registry.installed()
    assert registry.find("cell", "sound")
    if group == PLUGINS:
        assert [fault.entry_point for fault in registry.faults] == ["odd"]
    else:
        from charrnn.cli import cli
        from click.testing import CliRunner

        assert "\ncharrnn-odd 1.0:\n" in CliRunner().invoke(cli, ["--help"]).output
        refused = CliRunner().invoke(cli, ["odd"])
        assert refused.exit_code == 1 and "'odd' (from charrnn-odd 1.0) cannot" in refused.output


def test_two_of_one_name_in_a_directory(site):
    site.plugin("twice", "1.1")
    old = site.plugin("twice", "1.0")
    assert [entry.version for entry in ours("twice")] == ["1.1"]
    assert f"{old} is not the metadata" in fault().error
    assert "charrnn_twice-1.1.dist-info is beside it" in fault().error
    assert Registry.installed().find("cell", "twice").version == "1.1"


def test_what_pip_was_about_to_remove(site):
    site.plugin("twice", "1.1")
    old = site.plugin("twice", "1.0", directory="~harrnn_twice-1.0.dist-info")
    assert [entry.version for entry in ours("twice")] == ["1.1"]
    assert str(old) in fault().error and "about to remove this charrnn-twice 1.0" in fault().error


def test_the_first_on_the_path_counts(site, tmp_path, monkeypatch):
    site.plugin("twice", "1.0")
    first = Site(tmp_path / "first")
    first.plugin("twice", "0.9")
    monkeypatch.syspath_prepend(first.root)
    assert [entry.version for entry in ours("twice")] == ["0.9"]
    assert not installed().faults
    # The same directory by another name is the same.
    (tmp_path / "link").symlink_to(first.root)
    monkeypatch.syspath_prepend(tmp_path / "link")
    assert [entry.version for entry in ours("twice")] == ["0.9"] and not installed().faults


@pytest.mark.parametrize("text", [None, ""])
def test_what_was_left_behind_hides_nothing(site, tmp_path, monkeypatch, text):
    """Neither one with entry points nor one with nothing at all, here or earlier on the path."""
    site.plugin("twice", "1.0")
    site.metadata("charrnn_twice-1.5.dist-info", "[charrnn]\ntwice = charrnn_twice\n", text)
    first = Site(tmp_path / "first")
    first.metadata("charrnn_twice-2.0.dist-info", "", text)
    monkeypatch.syspath_prepend(first.root)
    assert [entry.version for entry in ours("twice")] == ["1.0"]
    assert "charrnn_twice-1.5.dist-info" in fault().error


def test_one_that_is_no_plugin_any_more_hides_the_old_one(site, tmp_path, monkeypatch):
    site.plugin("twice", "1.0")
    first = Site(tmp_path / "first")
    text = "Metadata-Version: 2.1\nName: charrnn-twice\nVersion: 2.0\n"
    first.metadata("charrnn_twice-2.0.dist-info", "", text)
    monkeypatch.syspath_prepend(first.root)
    assert not ours("twice") and not installed().faults


def test_it_finds_what_the_standard_library_finds():
    sections = {f"{COMMANDS}.{section}": section for section in SECTIONS}
    for group, section in {PLUGINS: "", COMMANDS: "", **sections}.items():
        found = {
            (point.dist.name, point.name, point.value)
            for point in importlib.metadata.entry_points(group=group)
            if point.dist is not None
        }
        ours = installed().group(COMMANDS if section else group)
        told = {(e.distribution, e.name, e.value) for e in ours if e.section == section}
        assert found == told, group
