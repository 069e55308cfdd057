"""What a job ran on and with: code, versions, machine. Looked up after it ran, so that only what it used is named.

The code is looked up before, too: a repository may change while a job runs.
"""

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from workflow_scripts.files import sha256
from workflow_scripts.jobs.record import Code

REPOSITORY = Path(__file__).parents[2]
PACKAGES = (
    "torch",
    "torchvision",
    "detectron2",
    "numpy",
    "pillow",
    "pycocotools",
    "hotcoco",
    "opencv-python-headless",
    "safetensors",
    "pandas",
    "matplotlib",
    "seaborn",
    "snakemake",
)


def module() -> str:
    """The module that this process runs as a command, as one names it after `python -m`."""
    spec = sys.modules["__main__"].__spec__
    return spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).stem


def code(begun: Code | None = None) -> Code:
    """The repository's commit, and the modules of it that this process imported, its command among them.

    begun: what was found when the job began. It stands, and modules that were imported since are added.
    """
    modules = dict(begun.modules) if begun else {}
    for path in [getattr(module, "__file__", None) for module in list(sys.modules.values())]:
        if path and Path(path).is_relative_to(REPOSITORY / "workflow_scripts"):
            name = str(Path(path).relative_to(REPOSITORY))
            modules[name] = modules.get(name) or sha256(path)
    of = (begun.commit, begun.dirty) if begun else (commit(), _dirty())
    return Code(*of, dict(sorted(modules.items())))


def commit() -> str | None:
    """The commit of the repository; none where it is no checkout."""
    return _git("rev-parse", "HEAD")


def origin() -> str | None:
    """Where the repository was cloned from; none where it is no clone."""
    return _git("remote", "get-url", "origin")


def module_of(path: str) -> str | None:
    """The name within the repository of a file that is code or template of it; none of any other."""
    resolved = Path(path).resolve()
    if any(resolved.is_relative_to(REPOSITORY / folder) for folder in ("workflow_scripts", "reports")):
        return str(resolved.relative_to(REPOSITORY))
    return None


def _dirty() -> bool | None:
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return None if changes is None else bool(changes)


def _git(*words: str) -> str | None:
    """What git says of the repository; none where it is no checkout, or git is not there."""
    if not (REPOSITORY / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(REPOSITORY), *words],
            capture_output=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def versions() -> dict[str, str | None]:
    """Of Python and of the installed libraries that matter; of CUDA and cuDNN where this process loaded torch."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if "detectron2" in found:
        found["detectron2 build"] = _detectron2_build()
    torch = sys.modules.get("torch")
    if torch is not None:
        found["cuda"] = torch.version.cuda
        found["cudnn"] = str(torch.backends.cudnn.version()) if torch.cuda.is_available() else None
    return found


def _detectron2_build() -> str:
    """Where it was installed from, and whether it has its compiled operators."""
    distribution = metadata.distribution("detectron2")
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id")
    compiled = any(file.name.startswith("_C.") for file in distribution.files or [])
    return f"{commit or 'release'}, {'with' if compiled else 'without'} compiled operators"


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system, and the GPUs that this job sees."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "gpus": _gpus(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """Name and driver of each, where this process loaded torch and torch sees any."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return [torch.cuda.get_device_name(gpu) for gpu in range(torch.cuda.device_count())]
