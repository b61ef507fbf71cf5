"""The command ``charrnn serve``: models over HTTP, as OpenAI's clients ask for completions."""
