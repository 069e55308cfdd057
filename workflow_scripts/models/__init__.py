"""A recipe as a detectron2 model. Importing this package makes detectron2 importable: see `compat`."""

from workflow_scripts.models import compat

compat.apply()
