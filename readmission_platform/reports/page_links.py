"""Links between the pages of a home, and the index of them all.

What belongs here: which pages there are, what links a page gets, and how the index looks. What does not: the pages
themselves, which know nothing of each other and are the same outside a home (a dossier, ``--out``), and when the links
are renewed (``lifecycle.pages``). Links are relative, lead only to pages that exist, and are left out in print.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

INDEX, ALL_PAGES = "index.html", "All pages"
WORK_LISTS, WORK_LIST = "work_lists", "work_list.html"
# Folder below that of a version.
DRIFT_PAGES = "drift"
MONITOR, EVIDENCE, CARD, REVIEW = "monitor.html", "evidence.html", "model_card.html", "review.html"
# Pages of a version, by file: what they are called, and the command that writes them.
OF_VERSION = {
    EVIDENCE: ("Evidence", "report"),
    CARD: ("Model card", "card"),
    REVIEW: ("Review for approval", "review"),
}
_MOST_VERSIONS = 3
_BEGIN, _END = "<!-- links to other pages -->", "<!-- end of links -->"
_LINKS = re.compile(f"\n?{_BEGIN}.*?{_END}", re.DOTALL)
_STYLE = (
    "<style>.pages{font-size:.85rem;margin-bottom:1rem}.pages *{margin-right:1rem}"
    "@media print{.pages{display:none}}</style>"
)
_TEMPLATE = "index.html.j2"


@dataclass(frozen=True)
class Link:
    """A page by its path below the folder of reports, and what it is called."""

    title: str
    path: str


@dataclass(frozen=True)
class VersionPages:
    """The pages of a version: by file, those there are; and one of each window whose drift was looked at."""

    version: str
    pages: dict[str, Link]
    drift: tuple[Link, ...]

    @property
    def missing(self) -> tuple[tuple[str, str], ...]:
        """Return what has not been written: its title, and the command that writes it."""
        return tuple(
            (title, f"{command} {self.version}") for file, (title, command) in OF_VERSION.items()
            if file not in self.pages
        )  # fmt: skip


@dataclass(frozen=True)
class ModelPages:
    """The pages of a model: versions and days, the newest first."""

    model: str
    monitor: Link | None
    versions: tuple[VersionPages, ...]
    work_lists: tuple[Link, ...]

    @property
    def exist(self) -> bool:
        """Whether there is a page at all."""
        return bool(self.work_lists or any(each.drift for each in self.versions) or self.renewable)

    @property
    def renewable(self) -> list[Link]:
        """The pages whose links are renewed when there are others.

        A work list is put in place whole, with its tables, and gets its links then; the pages of drift are Evidently's.
        """
        return [*([self.monitor] if self.monitor else []),
                *(link for each in self.versions for link in each.pages.values())]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return the paths, below the folder of reports, as plain values."""
        return {
            "model": self.model,
            "monitor": self.monitor.path if self.monitor else None,
            "versions": [
                {"version": each.version, "pages": [link.path for link in each.pages.values()],
                 "drift": [link.path for link in each.drift]}
                for each in self.versions
            ],
            "work_lists": [link.path for link in self.work_lists],
        }  # fmt: skip

    def links_of(self, path: str) -> list[Link]:
        """Return the links of a page of the model: the index, what is about the same version, and what is about now."""
        index, here = [Link(ALL_PAGES, INDEX)], PurePosixPath(path)
        monitor = [self.monitor] if self.monitor else []
        of_version = next((each for each in self.versions if here.parent.name == each.version), None)
        if of_version:
            return [*index, *of_version.pages.values(), *of_version.drift[:1], *monitor]
        if here.name == WORK_LIST:
            return [*index, *monitor]
        return [*index, *self.work_lists[:1], *_evidence(self.versions[:_MOST_VERSIONS]), *monitor]

    def links_of_trace(self, days: Sequence[str], versions: Sequence[str]) -> list[Link]:
        """Return the links of the page on predictions of these days by these versions."""
        lists = [link for link in self.work_lists if PurePosixPath(link.path).parent.name in days]
        evidence = _evidence([each for each in self.versions if each.version in versions])
        return [Link(ALL_PAGES, INDEX), *lists, *evidence, *([self.monitor] if self.monitor else [])]


def _evidence(versions: Sequence[VersionPages]) -> list[Link]:
    return [Link(f"Evidence of version {each.version}", each.pages[EVIDENCE].path)
            for each in versions if EVIDENCE in each.pages]  # fmt: skip


def pages_of(reports: Path, model: str) -> ModelPages:
    """Return the pages of a model that exist below the folder of reports."""
    folder = reports / model

    def link(title: str, path: Path) -> Link:
        return Link(title, path.relative_to(reports).as_posix())

    numbers = sorted((each.name for each in folder.glob("*") if each.is_dir() and each.name.isdigit()),
                     key=int, reverse=True)  # fmt: skip
    days = sorted((each.parent.name for each in folder.glob(f"{WORK_LISTS}/[0-9]*/{WORK_LIST}")), reverse=True)
    monitor = folder / MONITOR
    return ModelPages(
        model=model,
        monitor=link("Monitoring", monitor) if monitor.is_file() else None,
        versions=tuple(
            VersionPages(
                number,
                {file: link(title, folder / number / file) for file, (title, _) in OF_VERSION.items()
                 if (folder / number / file).is_file()},
                tuple(link(f"Drift {page.stem.replace('_', ' to ')}", page)
                      for page in sorted(folder.glob(f"{number}/{DRIFT_PAGES}/[0-9]*_*.html"), reverse=True)),
            )
            for number in numbers
        ),
        work_lists=tuple(link(f"Work list of {day}", folder / WORK_LISTS / day / WORK_LIST) for day in days),
    )  # fmt: skip


def with_links(page: str, path: str, links: Sequence[Link]) -> str:
    """Return a page with these links on top, in the place of those that it has.

    Parameters
    ----------
    page
        A whole HTML document.
    path
        Where it is below the folder of reports; a link to itself is shown as plain text.
    """
    shown = "".join(_shown(link, path) for link in links)
    nav = f'\n{_BEGIN}<nav class="pages" aria-label="Other pages">{shown}</nav>{_END}'
    return without_links(page).replace("</head>", f"{_STYLE}</head>", 1).replace("<body>", f"<body>{nav}", 1)


def without_links(page: str) -> str:
    """Return a page as it was made."""
    return _LINKS.sub("", page, count=1).replace(_STYLE, "", 1)


def _shown(link: Link, path: str) -> str:
    if link.path == path:
        return f"<strong>{escape(link.title)}</strong>"
    up = "../" * path.count("/")
    return f'<a href="{up}{escape(link.path)}">{escape(link.title)}</a>'


def index_html(models: Sequence[ModelPages]) -> str:
    """Render the index."""
    return _template().render(models=[each for each in models if each.exist])


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8"))
