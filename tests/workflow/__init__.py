"""Tests of the workflow with the real `snakemake`: what reruns, and what a run produces."""
