"""A question to a trained network, one script a question: `python -m explore.NAME`."""
