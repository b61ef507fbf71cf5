"""The network: input layer, cell, readout; its parameters as a pytree; what the engine makes of it.

It imports `engine`, `files`, `registry` and modules at the root; the rooms that sample, evaluate,
train or keep a run import it. Begin with `network`; `documents` says where the carry starts
afresh, `calling` how a cell's functions are called, `explain` what is said of the engine.
"""
