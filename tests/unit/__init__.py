"""Tests of single functions and modules: no job is run."""
