"""A multi-layer perceptron in plain NumPy, with the tables it reads and writes.

The package knows nothing of Snakemake and prints nothing. Its modules build on each other in these
rows: wrapping, refusal, header, columns, layout, ingest; parquet, dataset, tables; network, augment, ensemble;
state, vectors, optimizers, schedules, training. straighten, metrics, pictures and plots stand alone.
"""


class InputError(Exception):
    """The user's data, configuration or results are not as they must be.

    The message is one to show as it is: what is wrong, where, and what to do.
    """
