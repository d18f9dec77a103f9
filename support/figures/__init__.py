"""How a figure is drawn and saved."""
