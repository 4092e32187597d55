"""Tests of clusters and object storage: `make test-cluster`, not `make test`."""
