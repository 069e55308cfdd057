"""Reading what the workflow hands its jobs: recipes and segments as JSON, with one message where they are not."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from workflow_scripts.errors import UserError
from workflow_scripts.study.compiled.recipes import Recipe

M = TypeVar("M", bound=BaseModel)


def read_recipe(path: Path) -> Recipe:
    """A recipe.json.

    Raises:
        UserError: it cannot be read, or is no recipe.
    """
    try:
        return validated(Recipe, path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path}: expected a recipe, cannot be read ({error.strerror})") from None


def validated(model: type[M], content: str | bytes, where: str) -> M:
    """JSON as one of the study's models.

    Raises:
        UserError: naming each field at fault and what is expected there.
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc'])) or 'the whole'}: {p['msg']}" for p in error.errors()]
        raise UserError(
            f"{where}: found no {model.__name__.lower()}: {'; '.join(problems)}; give it as the workflow writes it"
        ) from None
