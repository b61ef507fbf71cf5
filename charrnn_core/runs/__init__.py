"""A run on disk: its configuration (the only home of defaults), directory, manifest, loaded model.

Knows `sampling` and every room below it, and nothing of how a model is trained. Begin with `config`
and `directory`.
"""
