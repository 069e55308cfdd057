"""A person's own template that is not there, or does not render, is named."""

from pathlib import Path

import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.report.templates import environment_of, render


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("{{ titel }}", "UndefinedError: 'titel' is undefined"),
        ("{% if title %}", "TemplateSyntaxError: Unexpected end of template"),
        ("{% include 'part.html.j2' %}", "TemplateNotFound: 'part.html.j2' not found"),
    ],
)
def test_a_template_that_does_not_render_is_named(tmp_path: Path, written: str, found: str) -> None:
    template = tmp_path / "page.html.j2"
    template.write_text(written)
    with pytest.raises(UserError) as refused:
        render(environment_of(template, "reports/page.html.j2"), template, {"title": "A page"})
    assert str(refused.value).startswith(f"{template}: {found}")
    assert str(refused.value).endswith("Mend the template.")


def test_a_template_that_is_not_there_is_named(tmp_path: Path) -> None:
    template = tmp_path / "page.html.j2"
    with pytest.raises(UserError, match=r"page.html.j2: no such template. It is `reports/page.html.j2`"):
        environment_of(template, "reports/page.html.j2")


def test_what_is_filled_in_is_text_and_not_html(tmp_path: Path) -> None:
    template = tmp_path / "page.html.j2"
    template.write_text("<p>{{ title }}</p>")
    page = render(environment_of(template, ""), template, {"title": "a <b> & c"})
    assert page == "<p>a &lt;b&gt; &amp; c</p>"
