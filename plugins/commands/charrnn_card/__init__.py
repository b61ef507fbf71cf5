"""The command ``charrnn card``: a model card, made of what the files of a run say."""
