"""The playground: the page of an exported model, over the server."""

from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files

from charrnn_core.page.frame import escaped
from charrnn_core.page.writer import writer_page
from charrnn_serve.served import Served

_MORE = """<div class="row">
<label for="model">Model <select id="model">{models}</select></label>
<label for="token"{hidden}>Token
<input id="token" type="password" autocomplete="current-password" size="16"></label>
</div>
"""


def html(models: Mapping[str, Served], token: bool) -> str:
    """Return the page.

    Arguments:
        models: what is served, by name.
        token: whether a token has to be typed.
    """
    options = "".join(f"<option>{escaped(name)}</option>" for name in models)
    facts = [
        (name, f"{each.model.config.cell.use}, {each.model.parameters:,} parameters")
        for name, each in models.items()
    ]
    return writer_page(
        "charrnn serve",
        "It reads one character after another and says which comes next.",
        [*facts, ("Served by", f"charrnn {version('charrnn')}")],
        "The model runs on the server that this page came from. "
        "Other programs use it as they use OpenAI's completions: /v1/completions.",
        connection=(files(__package__ or "") / "server.js").read_text(encoding="utf-8"),
        data={},
        more=_MORE.format(models=options, hidden="" if token else " hidden"),
        reaches_its_server=True,
    )
