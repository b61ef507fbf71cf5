"""The unroll engine: a cell's step over time, made fast for any cell by reading its jaxpr.

It imports modules at the root alone and knows nothing of networks, texts or runs; the rooms
`network`, `evaluation` and `training` import it. Begin with `unroll`, which puts the others
together in the order `trace`, `stages`, `plan`, `lookup`, `loop`; `stepper` does so for sampling.
"""
