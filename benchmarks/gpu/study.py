"""The `smoke` study, whole, with its trainings and evaluations on the GPU."""

import json
import os
import shutil
import subprocess
import sys
import time

from benchmarks.gpu.kit import Kit, Row, Rows
from workflow_scripts.jobs.environment import REPOSITORY

SIDE_BY_SIDE = 8
"""Jobs that share the GPU."""
NUMBERS = {"resources": {"train": {"gpu": 1}, "evaluate": {"gpu": 1}}}


def smoke(kit: Kit) -> Rows:
    """Seconds of the study of config.yaml at scale `smoke`; where all is small, only its plan."""
    folder = kit.folder / "study"
    folder.mkdir()
    shutil.copyfile(REPOSITORY / "config.yaml", folder / "config.yaml")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--profile", str(REPOSITORY / "profiles/workstation"), "--resources", f"gpu={SIDE_BY_SIDE}"]
    command += ["--dry-run"] if kit.small else []
    command += ["--config", "scale=smoke", f"numbers={json.dumps(NUMBERS)}"]
    if kit.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"snakemake ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    if kit.small:
        yield Row("study", "planning smoke", seconds, "s")
        return
    yield Row("study", f"smoke, {SIDE_BY_SIDE} jobs side by side", seconds, "s")
    records = [json.loads(path.read_text()) for path in folder.rglob("*.record.json")]
    yield Row("study", "jobs that passed", len(records))
    devices = {
        note["device"]
        for record in records
        for attempt in record["attempts"]
        for note in attempt.get("notes", [])
        if "device" in note
    }
    yield Row("study", "devices that trained", ", ".join(sorted(devices)))
    if not (folder / "results/smoke/report.html").exists() or any(
        device.partition(":")[0] != kit.device.partition(":")[0] for device in devices
    ):
        raise RuntimeError(f"no report, or trained elsewhere: {devices}")
