"""Tests of clusters and object storage, which `make test-cluster` runs and `make test` does not."""
