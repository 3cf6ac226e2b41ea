"""Writing the pages of a home, so that each leads to the others and the index leads to all.

What belongs here: putting a page in its place, and renewing the index and the links of the pages beside it. What does
not: which links a page gets and how they look (``reports.page_links``), and the pages.
"""

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from readmission_platform.config.environment import Settings
from readmission_platform.reports.page_links import INDEX, ModelPages, index_html, pages_of, with_links
from readmission_platform.reports.trace import FOLDER as TRACES
from readmission_platform.reports.trace import Trace, trace_html
from readmission_platform.reports.work_list import FILE_MODE, FOLDER, FOLDER_MODE, PAGE, WorkList, write_work_list
from readmission_platform.storage.home import replace_file


def write_page(settings: Settings, target: Path, page: str) -> Path:
    """Write a page, whole or not at all; in the home's reports with links to the others. Returns where it is.

    Raises
    ------
    OSError
        When a file cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.absolute().is_relative_to(settings.reports.absolute()):
        replace_file(target, page.encode())
        return target
    with _one_writer(settings.reports):
        replace_file(target, page.encode())
        _renew(settings.reports)
    return target


def write_work_lists(settings: Settings, lists: Sequence[WorkList]) -> list[Mapping[str, Path]]:
    """Write the lists of days of a model, with links to other pages; returns where the files of each are.

    Raises
    ------
    OSError
        When a file cannot be written.
    """
    written = []
    models = {name: pages_of(settings.reports, name) for name in {each.model for each in lists}}
    for each in lists:
        model, path = models[each.model], Path(each.model, FOLDER, each.day)
        written.append(
            write_work_list(each, settings.reports / path, links=model.links_of(f"{path.as_posix()}/{PAGE}"))
        )
    renew_links(settings)
    return written


def write_trace(settings: Settings, trace: Trace) -> Path:
    """Write the page of a trace, for those who may read work lists; returns where it is.

    It leads to the work lists of its days and to the evidence of its versions, as far as there are any now.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    path = Path(trace.model, TRACES, f"{trace.row}.html")
    links = pages_of(settings.reports, trace.model).links_of_trace(trace.days, list(trace.found["versions"]))
    target = settings.reports / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.parent.chmod(FOLDER_MODE)
    replace_file(target, with_links(trace_html(trace), path.as_posix(), links).encode(), mode=FILE_MODE)
    renew_links(settings)
    return target


def renew_links(settings: Settings) -> Path:
    """Write the index anew, and the links of the pages that it lists; returns where the index is.

    Raises
    ------
    OSError
        When a file cannot be written.
    """
    settings.reports.mkdir(parents=True, exist_ok=True)
    with _one_writer(settings.reports):
        _renew(settings.reports)
    return settings.reports / INDEX


def pages_of_home(settings: Settings) -> list[ModelPages]:
    """Return the pages there are, by model."""
    return _models(settings.reports)


def _renew(reports: Path) -> None:
    models = _models(reports)
    replace_file(reports / INDEX, index_html(models).encode())
    for model in models:
        for link in model.renewable:
            before = (reports / link.path).read_text(encoding="utf-8")
            page = with_links(before, link.path, model.links_of(link.path))
            if page != before:
                replace_file(reports / link.path, page.encode())


def _models(reports: Path) -> list[ModelPages]:
    return [pages_of(reports, each.name) for each in sorted(reports.glob("*")) if each.is_dir()]


@contextmanager
def _one_writer(reports: Path) -> Iterator[None]:
    """Let one process at a time write pages, so that no older page takes the place of a newer one."""
    with (reports / ".writing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
