"""A multi-layer perceptron in NumPy, its training, and its metrics.

The modules import only NumPy, the standard library and each other; `provenance` also imports threadpoolctl for
the name of the BLAS. They do not read or write files and do not print. Each module imports only modules
before it in this list: state, rows, edges, network, augment, preprocess, prediction, optimizers, options, vectors,
worker, provenance, training. `metrics` and `photo` are independent of the others.
"""
