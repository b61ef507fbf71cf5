"""What differs between the projects of two kinds of plugin, but for the implementation itself."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The words of one kind. They are templates too, see `charrnn_newplugin.project.words`.

    Arguments:
        hook: the hook that offers it.
        target: what of the implementation the plugin names.
        option: the line that declares its option.
        argument: the option that the text after the colon fills; None where there is none.
        summary: the idea in one line.
        use: a command that uses it.
    """

    hook: str
    target: str
    option: str
    argument: str | None
    summary: str
    use: str


KINDS = {
    "cell": Kind(
        hook="charrnn_cells",
        target="${Class}Cell",
        option='features: int = opt(256, help="width of the hidden state (H)", ge=1)',
        argument="features",
        summary="h' = tanh(W h + U x + b)",
        use="charrnn run --cell $name",
    ),
    "source": Kind(
        hook="charrnn_sources",
        target="read",
        option='lines: int = opt(10_000, help="how many lines the text has", ge=1)',
        argument=None,
        summary="lines a^n b^n, with n at most the number after the colon",
        use="charrnn run --source $name",
    ),
    "loss": Kind(
        hook="charrnn_losses",
        target="make_loss",
        option='smoothing: float = opt(0.05, help="share of all symbols alike", ge=0, lt=1)',
        argument="smoothing",
        summary="cross-entropy with smoothed labels",
        use="charrnn run --loss $name",
    ),
    "sampler": Kind(
        hook="charrnn_samplers",
        target="make_sampler",
        option='a: float = opt(0.2, help="least share of the largest p, squared", ge=0, le=1)',
        argument="a",
        summary="the symbols with p >= a max(p)^2",
        use="charrnn run --sampler $name",
    ),
    "optimizer": Kind(
        hook="charrnn_optimizers",
        target="make_optimizer",
        option='learning_rate: float = opt(1e-3, help="peak learning rate", gt=0)',
        argument="learning_rate",
        summary="the sign of an average of gradients",
        use="charrnn run --optimizer $name",
    ),
    "observer": Kind(
        hook="charrnn_observers",
        target="${Class}Observer",
        option='least: float = opt(0.01, help="nats that are worth a line", ge=0)',
        argument="least",
        summary="a line whenever the held-out loss is the best so far",
        use="charrnn run --observer $name",
    ),
}
"""The words of every kind."""
