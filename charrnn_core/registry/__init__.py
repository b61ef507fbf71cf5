"""From a name to a component: specs, options, descriptors, hooks and the plugins installed.

May import: `console`, `files`, and modules at the root.
Imported by: `text`, `network`, `runs`, `compression`, `evaluation`, `jobs`, `training`, `testing`.
Imports no jax; no other folder imports pluggy. Start reading with `spec` and `descriptors`;
`registry` puts them together.
"""

from charrnn_core.moved import names_of_old

__getattr__ = names_of_old(__name__)
