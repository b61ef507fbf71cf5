"""Compression without loss: a model's predictions, and an entropy coder that spends what they say.

May import: `network`, `registry`, `runs`, `sampling`, `text`, and modules at the root.
Imported by: `testing`.
Start reading with `archive`, the whole way from bytes to bytes; then `blocks` and `predictor`,
where the model meets the coder; `distribution` and `coder`; `container`, what a file looks like.
"""
