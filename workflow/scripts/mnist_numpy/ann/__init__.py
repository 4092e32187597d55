"""A multi-layer perceptron in NumPy, its training, and the measures of its accuracy.

The modules import NumPy, the standard library and each other; `provenance` also asks threadpoolctl for the
name of the BLAS. They read and write no files and print nothing. In the order in which they build on each
other: state, network, augment, preprocess, prediction; vectors, options, optimizers, provenance, training.
`metrics` stands alone.
"""
