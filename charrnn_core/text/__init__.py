"""From bytes to ids: decoding, the alphabet, the corpus, its split, ids of any size in a file.

Imports no jax; knows `files`, `console` and `registry`. Begin with `corpus` and `alphabet`; `load`
reads the text of a source.
"""
