"""Tests of the HTML report in a browser, of the figures, and of the text that a run prints."""
