# Find the package of this workflow: beside the rules, or in the git repository that Snakemake reads the rules from.

import contextlib
import io
import os
import sys
import tarfile
import tempfile
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.sourcecache import HostingProviderFile, LocalGitFile, LocalSourceFile


def find_root(rules, cache):
    """Return the folder that holds this workflow, extracted to Snakemake's cache if the rules are read from git.

    Snakemake itself reads only the rules and scripts, file by file, and not the package that they import.
    """
    if isinstance(rules, LocalSourceFile):
        return Path(rules.path).resolve().parents[1]
    if isinstance(rules, LocalGitFile):
        import git  # slow, and rarely needed

        repository = git.Repo(rules.repo_path)
    elif isinstance(rules, HostingProviderFile):
        repository = rules.hosted_repo.repo  # Snakemake's clone
    else:
        raise WorkflowError(f"{rules}: these rules need their whole repository; use github() or a local copy")
    commit = repository.commit(rules.ref).hexsha
    root = cache / "mnist-numpy" / commit
    if not root.exists():
        archive = io.BytesIO()
        repository.archive(archive, treeish=commit, path=["workflow", "requirements.txt"])
        archive.seek(0)
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root.parent) as part:
            tarfile.open(fileobj=archive).extractall(f"{part}/root", filter="data")
            with contextlib.suppress(OSError):  # another process has extracted it
                os.rename(f"{part}/root", root)
    return root


sys.path.insert(0, str(find_root(workflow.current_basedir, workflow.sourcecache.cache_path) / "workflow" / "scripts"))
