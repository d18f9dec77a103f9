"""The step after the article: one recipe a script, `python -m beyond.NAME`."""
