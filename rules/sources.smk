"""Where the configuration was given; before Snakemake reads config.yaml, for it names no line of what it cannot read."""

import sys

sys.path.insert(0, workflow.basedir)

from workflow_scripts.errors import UserError
from workflow_scripts.study.configuration.sources import attributed, sources


def mistake(message):
    """An error that is for a person to mend: told even with `--quiet all`, with which Snakemake runs without a word."""
    settings = workflow.output_settings
    if not settings.dryrun and any(quiet.name == "ALL" for quiet in settings.quiet or ()):
        print(message, file=sys.stderr)
    return WorkflowError(message)


try:
    SOURCES = sources(workflow.config_settings.configfiles, workflow.config_settings.config, sys.argv)
except UserError as error:
    raise mistake(str(error)) from None
