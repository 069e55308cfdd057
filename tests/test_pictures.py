"""Pictures drawn from canned tables, compared with those that a person looked at, and whether their texts have room.

    python -m tests.test_pictures

draws the pictures of `tests/pictures` anew, after a change that is meant: look at them before they are committed.
"""

from functools import partial
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images

from tests.figures import PUBLISHED, counts, enhanced, evaluations, intervals, less_data, losses, misplaced
from workflow_scripts.figures import fig1, fig2, fig5, fig6, fig7, fig8
from workflow_scripts.figures.command import save
from workflow_scripts.figures.style import Style
from workflow_scripts.tables.published import read_published, read_published_counts

PICTURES = Path(__file__).parent / "pictures"
WIDTHS = {"page": 7.0, "column": 3.4}
DPI = 64
TOLERANCE = 0.5
"""Root mean square of the differences of grey levels, of 255: machines round the edges of lines differently."""
PAPER = read_published(PUBLISHED)
SEEDS = evaluations(seeds=(0, 1, 3), above=2.0)
LOSSES = losses(seeds=(0, 0.5, 0.8), settings=("re-searched hyper-parameters", "own grid search"))
LOSSES["value"] *= 1 + 0.3 * (LOSSES["setting"] == "own grid search") + (LOSSES["initialisation"] == "random")
DRAWINGS = {
    "fig1": partial(fig1.draw, SEEDS, published=None, intervals=intervals(SEEDS)),
    "fig1-paper": partial(fig1.draw, evaluations(above=0.2), published=PAPER),
    "fig2": partial(fig2.draw, counts(), published=read_published_counts(PUBLISHED)),
    "fig5": partial(
        fig5.draw, enhanced(seeds=(0, 1)), published=PAPER, intervals=intervals(enhanced(seeds=(0, 1)))
    ),
    "fig6": partial(fig6.draw, evaluations(iou_type="keypoints"), published=PAPER),
    "fig7": partial(fig7.draw, less_data(), published=PAPER, intervals=intervals(less_data())),
    "fig8": partial(fig8.draw, LOSSES, published=None),
}
"""Each figure with all that it may hold, by name."""


def drawing(name: str, width: str) -> Figure:
    """One of `DRAWINGS` at one of `WIDTHS`."""
    return DRAWINGS[name](style=Style(width=WIDTHS[width], font_size=8))


def write(figure: Figure, folder: Path, name: str, width: str) -> Path:
    """The PNG of a drawing."""
    path = folder / f"{name}-{width}.png"
    save(figure, Style(dpi=DPI), [path])
    return path


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_is_the_picture_that_was_looked_at_and_its_texts_have_room(
    tmp_path: Path, name: str, width: str
) -> None:
    figure = drawing(name, width)
    drawn = write(figure, tmp_path, name, width)

    assert compare_images(str(PICTURES / drawn.name), str(drawn), TOLERANCE) is None
    assert misplaced(figure) == []


if __name__ == "__main__":
    for each in DRAWINGS:
        for size in WIDTHS:
            print(write(drawing(each, size), PICTURES, each, size))
