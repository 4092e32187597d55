"""The tests of the workflow; README.md says which folder proves what."""
