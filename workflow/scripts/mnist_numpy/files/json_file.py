"""Small results in JSON files, which people read too."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_numpy.files.atomic import write_text
from mnist_numpy.files.errors import damaged, not_ours


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, the whole file or none."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Read a JSON file of ours; raises InputError where it is damaged or has not these keys."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise damaged(path, error) from error
    if not isinstance(content, dict) or set(keys) - content.keys():
        raise not_ours(path, f"it has not the keys {', '.join(keys)}")
    return content
