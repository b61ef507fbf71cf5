"""The unroll engine: a cell's step over time, made fast for any cell by reading its jaxpr.

May import: only modules at the root.
Imported by: `javascript`, `network`, `sampling`, `serving`, `evaluation`, `inspection`,
`training`, `testing`.
It knows nothing of networks, texts or runs. Start reading with `unroll`, which puts the others
together in the order `trace`, `stages`, `plan`, `lookup`, `loop`; `stepper` does so for sampling.
"""
