"""Links from the page to files of the results folder."""

import os
from pathlib import Path
from urllib.parse import quote

from workflow_scripts.jobs.record import record_path


def relative_link(path: str, output: str | Path) -> str:
    """A link to `path` from the page `output`; both are relative to the working folder."""
    return quote(os.path.relpath(path, Path(output).parent))


def home(output: str | Path) -> str:
    """The page's name and that of its folder, by which it knows whether it still lies there: `mini/report.html`."""
    return "/".join(Path(output).parts[-2:])


def file_link(source: str, output: str | Path) -> dict[str, str]:
    """What a table names as its source: `text`, and `link` and `record` ("" where it is no file, or has no record)."""
    is_path = "/" in source and "://" not in source and (" " not in source or Path(source).exists())
    record = record_path(source)
    return {
        "text": source,
        "link": relative_link(source, output) if is_path else "",
        "record": relative_link(str(record), output) if is_path and record.exists() else "",
    }
