# SPDX-License-Identifier: GPL-2.0-only
"""How Sphinx makes HTML of these pages: scripts/htmldocs.sh, 'make htmldocs'."""

import re
from pathlib import Path

from docutils import nodes

HERE = Path(__file__).parent

project = "afsync"
release = version = (HERE.parent / "VERSION").read_text(encoding="utf-8").strip()
# performance.rst includes it.
exclude_patterns = ["afsync/performance-results.rst"]
html_theme = "alabaster"
html_theme_options = {"page_width": "65em"}
html_copy_source = False


def link_paths(app, doctree, docname):
    """The path of a page, as ``Documentation/afsync/design.rst``, becomes a link."""
    for node in list(doctree.findall(nodes.literal)):
        page = re.fullmatch(r"Documentation/(.*)\.rst", node.astext())
        if page and page[1] in app.env.found_docs:
            uri = app.builder.get_relative_uri(docname, page[1])
            node.replace_self(nodes.reference("", "", node.deepcopy(), refuri=uri))


def link_manuals(app, doctree, docname):
    """So does the name of a manual page of ours, as afsync(4)."""
    man = "../" * docname.count("/") + "man"
    for node in list(doctree.findall(nodes.Text)):
        if isinstance(node.parent, (nodes.literal, nodes.literal_block, nodes.reference)):
            continue
        new = []
        for part in re.split(r"((?:lib)?afsync[\w-]*\(\d\))", node.astext()):
            page = re.sub(r"^([\w-]+)\((\d)\)$", r"\1.\2", part)
            if page != part and (HERE / "man" / page).exists():
                new.append(nodes.reference("", part, refuri=f"{man}/{page}.html"))
            else:
                new.append(nodes.Text(part))
        node.parent.replace(node, new)


def setup(app):
    app.connect("doctree-resolved", link_paths)
    app.connect("doctree-resolved", link_manuals)
    return {"parallel_read_safe": True}
