"""The messages for the bad configs of bad_configs.yaml.

`PYTHONPATH=workflow/scripts .venv/bin/python -m tests.faults.bad_configs` writes the messages to bad_configs.md.
A test compares them with the current ones.
"""

import tempfile
from pathlib import Path

import yaml
from mnist_numpy.planning.config import read_settings
from mnist_numpy.planning.config_file import find_syntax_error
from snakemake.exceptions import WorkflowError

HERE = Path(__file__).parent
LISTED = HERE / "bad_configs.md"
CONFIGS = (HERE / "bad_configs.yaml").read_text(encoding="utf-8").split("\n---\n")[1:]


def message(text: str) -> str:
    """Return the message for a config."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            if error := find_syntax_error(file):
                return error.replace(f"{folder}/", "")
            read_settings(yaml.safe_load(text), [str(file)])
        except WorkflowError as refusal:
            return str(refusal).replace(f"{folder}/", "").removeprefix("the config is not valid:\n  ")
    raise AssertionError(f"accepted as a good config: {text}")


def row(text: str) -> str:
    """Return a config and its message as a row of a Markdown table."""
    config = " ".join(text.replace("\t", "→").split("\n")) if len(text) < 200 else f"{text[:100]}…"
    return f"| `{config.strip()}` | {'<br>'.join(message(text).splitlines())} |"


if __name__ == "__main__":
    head = "# Bad configs and their messages\n\n| config | message |\n|---|---|\n"
    LISTED.write_text(head + "".join(f"{row(text)}\n" for text in CONFIGS), encoding="utf-8")
