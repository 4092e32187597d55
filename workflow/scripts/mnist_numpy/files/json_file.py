"""Read and write small results as JSON files, which people read too."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_numpy.files.atomic import write_text
from mnist_numpy.files.errors import damaged, not_ours


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file: a complete file or none."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Read a JSON result; raises InputError if it is damaged or a key is missing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise damaged(path, error) from error
    if not isinstance(content, dict) or set(keys) - content.keys():
        raise not_ours(path, f"it does not have the keys {', '.join(keys)}")
    return content
