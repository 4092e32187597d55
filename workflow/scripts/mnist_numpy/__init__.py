"""The workflow as a Python package."""
