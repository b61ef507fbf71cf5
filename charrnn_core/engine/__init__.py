"""The unroll engine: a cell's step over time, made fast for any cell by reading its jaxpr.

Knows nothing of networks, texts or runs; imports only modules at the root. Begin with `unroll`,
which puts the others together in the order `trace`, `plan`, `loop`.
"""
