"""Files in a crate: small ones are copied and checked against their records, the others described by their SHA-256."""

from pathlib import Path
from urllib.parse import quote

from rocrate.model import ContextEntity, Entity
from rocrate.rocrate import ROCrate

from workflow_scripts.files import sha256
from workflow_scripts.jobs.environment import REPOSITORY
from workflow_scripts.jobs.record import File, describe

LIMIT = 1_000_000
"""Bytes up to which a result is copied."""
ALWAYS = ("figures", "tables", "data")
"""Folders of a study whose files are copied whatever their size: what it found, and what it rests on."""
WORKFLOW = (
    "Snakefile",
    "config.yaml",
    "LICENSE",
    "README.md",
    "Makefile",
    "pyproject.toml",
    "rules/*.smk",
    "scales/*.yaml",
    "profiles/*/config.yaml",
    "reports/*",
    "envs/*",
    "workflow_scripts/**/*.py",
)
"""What of the repository makes the workflow run."""
ENCODINGS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".j2": "text/plain",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": "text/x-python",
    ".smk": "text/plain",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
    ".txt": "text/plain",
    ".in": "text/plain",
    "": "text/plain",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
}


class Files:
    """The files of a crate, each version of a file once.

    A crate is laid out as the folder that the workflow ran in. A file that is not in it is an entity with a local
    identifier, `#` and its path: nothing that a reader could look for in the crate.
    """

    def __init__(self, crate: ROCrate, root: Path) -> None:
        self.missing: list[str] = []
        """Recorded files of the study that are gone."""
        self.altered: list[str] = []
        """Recorded files of the study that are no longer as recorded."""
        self.copied_bytes = 0
        self._crate = crate
        self._here = Path.cwd()
        self._root = Path(self.place(root))
        self._entities: dict[tuple[str, str], Entity] = {}
        self._workflow: set[str] = set()

    @property
    def described(self) -> int:
        """How many are not in the crate."""
        return sum(entity.id.startswith("#") for entity in self._entities.values())

    @property
    def copied(self) -> int:
        """How many are in the crate."""
        return len(self._entities) - self.described

    def place(self, path: str | Path) -> str:
        """Where a file lies in a crate, if it is copied: relative to where the workflow ran or was; else its path."""
        full = self._here / path
        for base in (self._here, REPOSITORY):
            if full.is_relative_to(base) and ".." not in full.parts:
                return str(full.relative_to(base))
        return str(full)

    def within(self, path: str) -> tuple[str, ...]:
        """The parts of a result's path below the folder of results; none of another file."""
        place = Path(self.place(path))
        return place.relative_to(self._root).parts if place.is_relative_to(self._root) else ()

    def is_code(self, path: str) -> bool:
        """Whether a file is of the workflow itself, in any version."""
        return not self.within(path) and self.place(path) in self._workflow

    def add_workflow(self) -> None:
        """Copy the workflow, as it is now; its main file is added by itself."""
        for pattern in WORKFLOW:
            for path in sorted(REPOSITORY.glob(pattern)):
                if path.is_file():
                    self._workflow.add(str(path.relative_to(REPOSITORY)))
        for place in sorted(self._workflow - {"Snakefile"}):
            self.add(describe(REPOSITORY / place))

    def add_here(self, path: str) -> Entity:
        """The entity of a file as it is now."""
        return self.add(describe(Path(path)))

    def add(self, file: File) -> Entity:
        """The entity of a file as a record describes it."""
        key = self.place(file.path), file.sha256
        if key not in self._entities:
            why_not = self._why_not(file)
            self._entities[key] = self._described(file, why_not) if why_not else self._copied(file)
        return self._entities[key]

    def _why_not(self, file: File) -> str:
        """Why a file is not copied; nothing if it is."""
        parts, code = self.within(file.path), self.is_code(file.path)
        if not parts and not code:
            return "It is no part of the study's results."
        if parts and file.bytes > LIMIT and parts[0] not in ALWAYS:
            return f"It is larger than {LIMIT / 1e6:g} MB."
        path = self._source(file)
        if not path.exists():
            self.missing.append(file.path)
            return "It was gone when this crate was made."
        if sha256(path) != file.sha256:
            if parts:
                self.altered.append(file.path)
            return "It was another version when this crate was made."
        return ""

    def _source(self, file: File) -> Path:
        return REPOSITORY / self.place(file.path) if self.is_code(file.path) else Path(file.path)

    def _copied(self, file: File) -> Entity:
        self.copied_bytes += file.bytes
        place = self.place(file.path)
        return self._crate.add_file(self._source(file), place, properties=_properties(file, place))

    def _described(self, file: File, why_not: str) -> Entity:
        place = self.place(file.path)
        identifier = f"#{quote(place)}"
        if identifier in self._crate:
            identifier += f"?sha256={file.sha256}"
        properties = _properties(file, place) | {
            "@type": "File",
            "description": f"Not in this crate. {why_not}",
        }
        return self._crate.add(ContextEntity(self._crate, identifier, properties))


def _properties(file: File, place: str) -> dict[str, str]:
    return {
        "name": place,
        "encodingFormat": ENCODINGS.get(Path(place).suffix, "application/octet-stream"),
        "contentSize": str(file.bytes),
        "sha256": file.sha256,
    }
