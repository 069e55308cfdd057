"""From a checkpoint to numbers. Only `detect` needs torch."""

import workflow_scripts.models  # noqa: F401 - makes detectron2 importable
