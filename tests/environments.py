"""Environments to install plugins into, and distributions made by hand, so that nothing is built.

An environment lies on top of this one: what is installed here can be imported there, charrnn too.
"""

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Environment:
    """A fresh environment of Python in a directory, without a way to the network."""

    def __init__(self, root: Path) -> None:
        self.root = root
        venv.create(root / "env", symlinks=True)
        self.python = root / "env" / "bin" / "python"
        [site] = (root / "env" / "lib").glob("*/site-packages")
        # By addsitedir the .pth files of the libraries are read, those of editable installs too.
        libraries = [path for path in sys.path if path.endswith("site-packages")]
        lines = [f"import site; site.addsitedir({path!r})\n" for path in libraries]
        (site / "libraries.pth").write_text("".join(lines))

    def run(
        self,
        *arguments: object,
        stdin: str = "",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run this environment's Python."""
        inherited = {
            key: text
            for key, text in os.environ.items()
            if not key.startswith(("CHARRNN_", "PIP_", "PYTHONPATH"))
        }
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
        return subprocess.run(
            [str(self.python), *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=cwd or self.root,
            env=inherited | offline | dict(env or {}),
        )

    def charrnn(self, *arguments: object, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run ``charrnn``."""
        return self.run("-m", "charrnn_core", *arguments, **how)


def wheel(folder: Path, name: str, code: str, entry_points: str = "", version: str = "1.0") -> Path:
    """Make a distribution whose only module has this code."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": entry_points,
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in files.items():
            archive.writestr(inner, text)
    return path
