"""From bytes to ids: decoding, the alphabet, the corpus, its split, mapped ids of any size.

May import: `console`, `files`, `registry`, and modules at the root.
Imported by: `javascript`, `sampling`, `runs`, `serving`, `compression`, `evaluation`, `inspection`,
`training`, `testing`.
Imports no jax. Start reading with `corpus` and `alphabet`; `load` reads the text of a source.
"""
