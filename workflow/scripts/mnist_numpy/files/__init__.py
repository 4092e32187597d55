"""All that reads and writes files.

Tables: compression, header, columns, layout, ingest; diagnosis says what is wrong with one. Results: parquet,
dataset (shards), folds, validation, predictions, checkpoints (training states and weights), csv_file, comparison,
history, json_file. `atomic` writes a file whole or not at all; `errors` has the error that is the user's to fix.
"""
