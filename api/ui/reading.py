"""The API reference as a page to read: docs/api.md, made of the document of this process."""

import re
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise

from markupsafe import Markup


@dataclass(frozen=True)
class Heading:
    """A heading, and those below it, as the table of contents shows them."""

    id: str
    text: str
    below: list["Heading"] = field(default_factory=list)


@dataclass(frozen=True)
class Reference:
    """A text with its table of contents."""

    html: Markup
    contents: list[Heading]


def rendered(text: str) -> Reference:
    """Return Markdown as HTML whose headings can be linked to. HTML inside it is shown and not obeyed."""
    # Loaded by who is asked for the page.
    parser = import_module("markdown_it").MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    contents: list[Heading] = []
    taken: Counter[str] = Counter()
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        heading = Heading(_anchor(inline.content, taken), inline.content)
        opening.attrSet("id", heading.id)
        if opening.tag == "h2":
            contents.append(heading)
        elif opening.tag == "h3":
            contents[-1].below.append(heading)
    html = parser.renderer.render(tokens, parser.options, {})
    # The renderer has escaped all that was not Markdown.
    return Reference(Markup(html), contents)  # noqa: S704


def _anchor(text: str, taken: Counter[str]) -> str:
    """Return the anchor that other readers of Markdown make of a heading, so that its links work here too."""
    anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
    taken[anchor] += 1
    return anchor if taken[anchor] == 1 else f"{anchor}-{taken[anchor] - 1}"
