"""The corpus sources ``file:PATH`` and ``python-docs``: text that is already on this machine."""

from charrnn_core import SourcePlugin, hookimpl


@hookimpl
def charrnn_sources():
    yield SourcePlugin(
        name="file",
        target="charrnn_text.files:file",
        summary="a file, a directory, a pattern such as file:corpus/*.txt, or - for standard input",
    )
    yield SourcePlugin(
        name="python-docs",
        target="charrnn_text.python_docs:python_docs",
        summary="the language reference that ships inside Python; needs no download",
    )
