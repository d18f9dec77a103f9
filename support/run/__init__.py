"""A run that goes on: training, its record, what is saved."""
