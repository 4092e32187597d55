"""Tests of bad input, damaged results, full disks, and runs that are stopped or killed."""
