"""What all unit tests share."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def single_threaded_blas() -> Iterator[None]:
    """Limit the BLAS to one thread, since several processes run tests at the same time."""
    with threadpool_limits(1):
        yield
