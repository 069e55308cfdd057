"""Where pages get their templates."""

from pathlib import Path
from typing import Any

import jinja2

from workflow_scripts.errors import UserError


def environment_of(template: Path, own: str) -> jinja2.Environment:
    """An environment of the template's folder, in which a name that nothing stands for is an error.

    `own`: where the workflow's own one is.

    Raises:
        UserError: the template is not there.
    """
    if not template.is_file():
        raise UserError(f"{template}: no such template. It is `{own}`.")
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(environment: jinja2.Environment, template: Path, content: dict[str, Any]) -> str:
    """A page. Raises `UserError` on a template that does not render."""
    try:
        return environment.get_template(template.name).render(content)
    except jinja2.TemplateError as error:
        raise UserError(f"{template}: {type(error).__name__}: {error}. Mend the template.") from None
