"""From bytes to ids: decoding, the alphabet, the corpus, its split, mapped ids of any size.

Imports no jax; may import `files`, `console` and `registry`. Start reading with `corpus` and
`alphabet`; `load` reads the text of a source.
"""
