"""All modules that read and write files.

Tables are read by compression, header, columns, pixel_columns, layout and ingest; diagnosis finds the errors in one.
Results are in parquet, dataset (shards), folds, validation, predictions, checkpoints (training states and weights),
csv_file, comparison, history and json_file. `atomic` writes a complete file or none. `errors` has the error that a
user can fix.
"""
