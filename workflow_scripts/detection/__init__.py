"""The only torch and detectron2 of the project. Importing it makes detectron2 importable: see `compat`."""

from workflow_scripts.detection import compat

compat.apply()
