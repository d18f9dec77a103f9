"""Where images come from, and how `fit` gets them."""
