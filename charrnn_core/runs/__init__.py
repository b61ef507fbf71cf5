"""A run on disk: its configuration (the only place for defaults), directory, manifest and model.

May import `sampling` and every folder below it; knows nothing of training. Start reading with
`config` and `directory`.
"""
