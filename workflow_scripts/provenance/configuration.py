"""The study's configuration on a command line: as it was given to Snakemake, or whole."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.errors import UserError
from workflow_scripts.study.configuration.config import overlaid
from workflow_scripts.study.configuration.documents import read_mapping


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """The options that `configured` reads."""
    parser.add_argument("--study", type=json.loads, help="the whole configuration, as JSON, instead of files")
    parser.add_argument(
        "--configfile", nargs="+", type=Path, default=[], help="laid over config.yaml, as by Snakemake"
    )
    parser.add_argument(
        "--config", nargs="+", type=_change, default=[], metavar="KEY=VALUE", help="as for Snakemake"
    )


def configured(arguments: argparse.Namespace) -> dict[str, Any]:
    """The configuration as Snakemake reads it from files and from KEY=VALUE, or as it is given whole.

    Raises:
        UserError: no such file, or one that is no YAML.
    """
    if arguments.study:
        return arguments.study
    values: Mapping[str, Any] = {}
    for file in [Path("config.yaml"), *arguments.configfile]:
        if not file.is_file():
            raise UserError(
                f"{file}: no such file; run it in the folder that the workflow ran in, with its --configfile"
            )
        values = overlaid(values, read_mapping(file))
    for change in arguments.config:
        values = overlaid(values, change)
    return dict(values)


def _change(text: str) -> dict[str, Any]:
    """What KEY=VALUE, with a value in YAML, lays over the configuration."""
    key, _, value = text.partition("=")
    try:
        return {key: yaml.safe_load(value)}
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"found {text}, expected KEY=VALUE with a value in YAML") from None
