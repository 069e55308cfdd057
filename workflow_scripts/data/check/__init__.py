"""Checks of a data set before anything trains on it; `python -m workflow_scripts.data.check` is the command."""
