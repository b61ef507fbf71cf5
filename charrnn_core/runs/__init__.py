"""A run on disk: its configuration (the only place for defaults), directory, manifest and model.

May import: `console`, `files`, `network`, `page`, `registry`, `sampling`, `text`, and modules
at the root.
Imported by: `jobs`, `serving`, `compression`, `evaluation`, `training`, `testing`.
It knows nothing of training. Start reading with `config`, then `directory` (readers) and `writer`.
"""
