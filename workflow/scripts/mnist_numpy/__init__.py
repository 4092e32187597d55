"""The planning of a run: what it is made of."""
