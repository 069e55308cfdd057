"""Where the configuration was given; before Snakemake reads config.yaml, for it names no line of what it cannot read."""

import sys

sys.path.insert(0, workflow.basedir)

from workflow_scripts.errors import UserError
from workflow_scripts.study.configuration.sources import attributed, sources

try:
    SOURCES = sources(workflow.config_settings.configfiles, workflow.config_settings.config, sys.argv)
except UserError as error:
    raise WorkflowError(str(error)) from None
