"""From a segment to a state."""

import workflow_scripts.models  # noqa: F401 - makes detectron2 importable
