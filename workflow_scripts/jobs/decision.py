"""When it was decided which jobs to run. Jobs inherit it, on a cluster as well."""

import os
import time
from pathlib import Path

DECIDED = "STUDY_DECIDED"


def decide() -> None:
    """Tell all jobs that are started from here that it was decided now to run them."""
    os.environ[DECIDED] = str(time.time())


def decided() -> float:
    """When it was decided to run this job, in seconds since the epoch; never, if a person runs its command."""
    return float(os.environ.get(DECIDED, "inf"))


def made_since_decided(path: str | Path) -> bool:
    """Whether a file is there that was made since then: by another job, or by an earlier attempt at this one."""
    try:
        return os.stat(path).st_mtime > decided()
    except FileNotFoundError:
        return False
