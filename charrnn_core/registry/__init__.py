"""From a name to a component: specs, options, descriptors, hooks and the plugins installed.

Imports no jax; knows `files` and `console` alone. Only this room imports pluggy. Begin with `spec`
and `descriptors`; `registry` puts them together.
"""

from charrnn_core.moved import names_of_old

__getattr__ = names_of_old(__name__)
