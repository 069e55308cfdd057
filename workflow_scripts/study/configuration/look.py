"""What may be changed about how figures look, and within which bounds."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

LIMITS = {"width": (2, 40), "font_size": (4, 40), "dpi": (50, 1200)}


class Colours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A colour (any of matplotlib's) by initialisation; the defaults are of seaborn's palette for the colour-blind."""

    random: str = "#d55e00"
    pretrained: str = "#0173b2"


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that may be changed about a figure's look: `width` in inches, `font_size` in points."""

    colours: Colours = Colours()
    width: float = 7.0
    font_size: float = 9.0
    dpi: int = 200


L = TypeVar("L", bound=Look)


def read_look(values: Mapping[str, Any], kind: type[L]) -> L:
    """The look that a mapping describes; what it leaves out keeps its default.

    Raises:
        msgspec.ValidationError: an unknown key, or a wrong type.
    """
    # Snakemake's --config passes numbers within braces on as text.
    return msgspec.convert(values, kind, strict=False)


def out_of_bounds(look: Look) -> Iterator[str]:
    """A line for each colour that matplotlib does not know and each size out of range."""
    for name, colour in msgspec.structs.asdict(look.colours).items():
        if colour != getattr(Colours(), name) and not _is_colour(colour):
            yield f"colours.{name} is {colour!r}; expected a colour such as #22629b or teal."
    if look.colours.random == look.colours.pretrained:
        yield f"colours.random and colours.pretrained are both {look.colours.random!r}; expected two colours."
    for name, (low, high) in LIMITS.items():
        value = getattr(look, name)
        if not low <= value <= high:
            yield f"{name} is {value}; expected {low} to {high}."


def look_problems(values: Mapping[str, Any]) -> Iterator[str]:
    """A line for each thing that is wrong with `figures` of the configuration."""
    try:
        yield from (f"config.yaml: figures: {line}" for line in out_of_bounds(read_look(values, Look)))
    except msgspec.ValidationError as error:
        keys = ", ".join(Look.__struct_fields__)
        yield f"config.yaml: figures: {error}; found {dict(values)}, expected any of {keys}"


def _is_colour(colour: str) -> bool:
    # Here, since most studies name no colour, and each job reads the configuration.
    from matplotlib.colors import is_color_like

    return is_color_like(colour) and colour.lower() != "none"  # which shows nothing
