"""A hook of MkDocs: pages also link files of the repository, which are no pages of the site."""

import posixpath
import re

from mkdocs.structure.pages import Page

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)\s]+)\)")


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Such a link becomes the file's path: a checkout does not know at which address its repository is published."""

    def path(match: re.Match[str]) -> str:
        label, target = match.groups()
        file = posixpath.normpath(
            posixpath.join("docs", posixpath.dirname(page.file.src_uri), target.split("#")[0])
        )
        return label if file in label else f"{label} (`{file}`)" if label != file else f"`{file}`"

    return LINK.sub(path, markdown)
