"""The report's curves to touch: the tidy table of a figure as charts in Vega-Lite that a browser draws.

A chart holds its data and what may be changed about it as parameters: which `series` is shown, which initialisations
are `hidden`, which schedules are `shown`, the `top` of what a figure's charts show, and the record that is looked `at`.
`reports/curves.js` draws the charts and sets the parameters; the static figure stays for readers without JavaScript and
for print.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert
from markupsafe import Markup
from matplotlib.colors import to_hex

from workflow_scripts.figures.style import Style
from workflow_scripts.report.checkpoints import Categories, Panel, panels
from workflow_scripts.tables.convergence import UNCONVERGED_IF
from workflow_scripts.tables.tidy import INITIALISATION_LABELS, INITIALISATIONS

HEIGHT = 340
"""Of a panel's axes, in pixels; the width is the page's."""
SHAPES = {"random": "circle", "pretrained": "square"}
DASHES = {"random": [1, 0], "pretrained": [6, 3]}
"""What tells the initialisations apart without colour."""
CURVE_COLUMNS = {"iteration", "iou_type", "metric"}
"""That a table of evaluations has, and one of counts or losses has not."""


@dataclass(frozen=True)
class Curves:
    """What the page needs: charts by figure as JSON, the scripts that draw them, a colour by initialisation."""

    charts: Markup
    library: Markup
    colours: dict[str, str]


def curves(
    tables: Mapping[str, pd.DataFrame],
    intervals: Mapping[str, pd.DataFrame],
    metrics: Iterable[Path],
    style: Style,
) -> Curves | None:
    """The curves of the figures whose tidy `tables` hold any; None where none does.

    intervals: by figure, those of its table, if it has some. metrics: files of the evaluations that the tables were
    gathered from, for categories. Raises `UserError` where one of them cannot be read.
    """
    evaluated = {name: table for name, table in tables.items() if set(table.columns) >= CURVE_COLUMNS}
    categories = Categories(metrics)
    found = {name: panels(table, intervals.get(name), categories) for name, table in evaluated.items()}
    figures = {name: [described(panel) for panel in own] for name, own in found.items() if own}
    if not figures:
        return None
    return Curves(
        charts=_data(figures),
        library=_code(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")),
        colours={name: to_hex(getattr(style.colours, name)) for name in INITIALISATIONS},
    )


def described(panel: Panel) -> dict[str, Any]:
    """A panel as plain data: what can be chosen, and `chart`, its specification in Vega-Lite."""
    started = {record["initialisation"] for record in panel.records}
    return {
        "title": panel.title,
        "series": panel.series,
        "categories": panel.categories,
        "methods": panel.methods,
        "unconverged": "" if all(record["converged"] for record in panel.records) else UNCONVERGED_IF,
        "initialisations": {label: name for name, label in INITIALISATION_LABELS.items() if label in started},
        "schedules": panel.schedules,
        "seeds": panel.seeds,
        "chart": chart(panel),
    }


def chart(panel: Panel) -> dict[str, Any]:
    """A panel in Vega-Lite, its records as data.

    Its colours are the page's CSS variables, so that they follow light and dark.
    """
    records = [{"id": index, **record} for index, record in enumerate(panel.records)]
    layered = (
        alt.layer(
            _ends(),
            _bands(),
            _lines(),
            _checkpoints(),
            _looked_at(),
            _targets(),
            data=alt.InlineData(records),
        )
        .transform_filter("indexof(hidden, datum.initialisation) < 0 && (datum.mask & shown) > 0")
        .transform_calculate(cell="datum[series]")
        .transform_filter("isArray(datum.cell)")
        .transform_calculate(value="datum.cell[0]", low="datum.cell[1]", high="datum.cell[2]")
        .add_params(
            alt.param("series", value=panel.series[0]),
            alt.param("hidden", value=[]),
            alt.param("shown", value=(1 << len(panel.schedules)) - 1),
            alt.param("top", value=None),
            alt.param("at", value=None),
        )
        .properties(
            width="container",
            height=HEIGHT,
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
            description=f"{panel.title}: learning curves",
            title=alt.TitleParams(alt.expr("series + ' (%)'"), anchor="start", frame="group"),
        )
    )
    with alt.data_transformers.enable(consolidate_datasets=False):
        return _styled(layered).to_dict()


def _x() -> alt.X:
    axis = alt.Axis(title="iterations", labelExpr="format(datum.value, '~s')", grid=False, tickCount=6)
    # The padding is for the marks of the last ends.
    return alt.X("iteration:Q", axis=axis, scale=alt.Scale(zero=True, nice=False, padding=10))


def _y(field: str = "value") -> alt.Y:
    scale = alt.Scale(zero=True, domainMax=alt.expr("top"))
    return alt.Y(f"{field}:Q", axis=alt.Axis(title=None, tickCount=6), scale=scale)


def _by_initialisation(channel: Any, values: Mapping[str, Any]) -> Any:
    domain = [INITIALISATION_LABELS[name] for name in INITIALISATIONS]
    scale = alt.Scale(domain=domain, range=[values[name] for name in INITIALISATIONS])
    return channel("initialisation:N", scale=scale, legend=None)


def _colour() -> alt.Color:
    return _by_initialisation(alt.Color, {name: f"var(--curve-{name})" for name in INITIALISATIONS})


def _ends() -> Any:
    """Where schedules end: a dotted line, and their names above."""
    ends = alt.Chart().transform_filter("datum.end != ''").transform_aggregate(groupby=["iteration", "end"])
    rule = ends.mark_rule(strokeDash=[1, 3], color="var(--curve-muted)", clip=True).encode(x=_x())
    name = ends.mark_text(dy=-6, baseline="bottom", color="var(--curve-muted)", clip=False)
    within = alt.condition("inrange(datum.iteration, domain('x'))", alt.value(1), alt.value(0))
    return alt.layer(rule, name.encode(x=_x(), y=alt.value(0), text="end:N", opacity=within))


def _bands() -> alt.Chart:
    """The intervals, as far as AP goes; where there is none, they are as thin as the line."""
    band = alt.Chart().transform_calculate(
        bottom="isValid(datum.low) ? max(0, datum.low) : datum.value",
        top="isValid(datum.high) ? min(100, datum.high) : datum.value",
    )
    return band.mark_area(opacity=0.18, clip=True).encode(
        x=_x(), y=_y("bottom"), y2="top:Q", color=_colour(), detail="line:N"
    )


def _lines() -> alt.Chart:
    return (
        alt.Chart()
        .mark_line(strokeWidth=2, clip=True)
        .encode(
            x=_x(),
            y=_y(),
            color=_colour(),
            strokeDash=_by_initialisation(alt.StrokeDash, DASHES),
            detail="line:N",
        )
    )


def _checkpoints() -> alt.Chart:
    """Small marks; larger ones at ends, open where the training has not converged."""
    points = alt.Chart().transform_filter("!datum.start")
    return points.mark_point(clip=True, opacity=1).encode(
        x=_x(),
        y=_y(),
        color=_colour(),
        shape=_by_initialisation(alt.Shape, SHAPES),
        fill=alt.condition("datum.converged", _colour(), alt.value("var(--curve-paper)")),
        size=alt.condition("datum.end != ''", alt.value(70), alt.value(18)),
    )


def _looked_at() -> alt.Chart:
    """A ring around the checkpoint that the pointer or the keyboard is at."""
    chosen = alt.condition("datum.id === at", alt.value(1), alt.value(0))
    ring = alt.Chart().mark_point(size=240, strokeWidth=2, color="var(--curve-ink)", clip=True)
    return ring.encode(x=_x(), y=_y(), opacity=chosen)


def _targets() -> alt.Chart:
    """What the pointer meets: for each place the checkpoint nearest to it."""
    nearest = alt.selection_point(
        name="hover",
        fields=["id"],
        nearest=True,
        toggle=False,
        on="pointerover",
        clear="pointerout",
        empty=False,
    )
    view = alt.selection_interval(
        name="zoomed",
        bind="scales",
        # A page scrolls on under the wheel and under a finger: both need a key or a button to zoom.
        zoom="wheel![event.ctrlKey || event.metaKey || event.shiftKey]",
        translate="[mousedown, window:mouseup] > window:mousemove!",
    )
    points = alt.Chart().transform_filter("!datum.start").mark_point(size=400, opacity=0, clip=True)
    return points.encode(x=_x(), y=_y()).add_params(nearest, view)


def _styled(layered: Any) -> Any:
    muted, ink, grid = (f"var(--curve-{name})" for name in ("muted", "ink", "grid"))
    return layered.configure(
        background="transparent",
        font="system-ui, sans-serif",
        aria=False,
        view=alt.ViewConfig(stroke=None, cursor="crosshair"),
        axis=alt.AxisConfig(
            labelColor=ink, titleColor=ink, titleFontWeight="normal", labelFontSize=12, titleFontSize=12
        ).to_dict()
        | {"domainColor": muted, "tickColor": muted, "gridColor": grid},
        title=alt.TitleConfig(color=ink, fontSize=13, fontWeight="normal", offset=20),
    )


def _data(value: Any) -> Markup:
    """JSON as it may stand within a `script` element, whose end it must not hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _code(text: str) -> Markup:
    """The same of JavaScript, where what could end the element stands in strings alone."""
    return Markup(text.replace("</script", "<\\/script").replace("<!--", "\\x3c!--"))
