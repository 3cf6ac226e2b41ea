"""Links between the pages of a home: every one leads to a page that exists, from where the page lies on the disk."""

import re
from pathlib import Path

import pytest

from readmission_platform.config.environment import Settings
from readmission_platform.lifecycle.pages import renew_links, write_page
from readmission_platform.reports.page_links import INDEX, pages_of, with_links, without_links

PAGE = (
    "<!doctype html>\n<html>\n<head>\n<title>x</title>\n</head>\n<body>\n<p>what the page says</p>\n</body>\n</html>\n"
)
FILES = (
    *("m/monitor.html", "m/2/evidence.html", "m/2/model_card.html", "m/10/evidence.html", "m/10/review.html"),
    *("m/10/drift/2026-01-01_2026-01-08.html", "m/work_lists/2026-01-09/work_list.html", "n/1/evidence.html"),
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def write(settings: Settings, *files: str) -> None:
    for file in files:
        write_page(settings, settings.reports / file, PAGE)


def links_of(settings: Settings, file: str) -> set[str]:
    """Return where the links of a page lead, below the folder of reports."""
    page = (settings.reports / file).read_text(encoding="utf-8")
    targets = [(settings.reports / file).parent / target for target in re.findall(r'href="([^"]*)"', page)]
    assert all(target.resolve().is_file() for target in targets), file
    return {target.resolve().relative_to(settings.reports.resolve()).as_posix() for target in targets}


def test_the_index_leads_to_every_page_and_every_page_to_the_index(settings: Settings) -> None:
    write(settings, *FILES)
    assert links_of(settings, INDEX) == set(FILES)
    for file in FILES:
        if "drift" not in file and "work_lists" not in file:
            assert INDEX in links_of(settings, file)


def test_a_page_leads_to_the_others_of_its_version_whichever_was_written_first(settings: Settings) -> None:
    write(settings, *FILES)
    assert links_of(settings, "m/10/evidence.html") == {
        INDEX, "m/10/review.html", "m/10/drift/2026-01-01_2026-01-08.html", "m/monitor.html",
    }  # fmt: skip
    assert links_of(settings, "n/1/evidence.html") == {INDEX}
    assert links_of(settings, "m/monitor.html") == {
        INDEX, "m/10/evidence.html", "m/2/evidence.html", "m/work_lists/2026-01-09/work_list.html",
    }  # fmt: skip


def test_a_link_goes_with_the_page_it_leads_to(settings: Settings) -> None:
    write(settings, *FILES)
    (settings.reports / "m/10/review.html").unlink()
    renew_links(settings)
    assert "m/10/review.html" not in links_of(settings, "m/10/evidence.html") | links_of(settings, INDEX)


def test_the_newest_version_comes_first(settings: Settings) -> None:
    write(settings, *FILES)
    assert [each.version for each in pages_of(settings.reports, "m").versions] == ["10", "2"]


def test_links_are_replaced_and_the_page_below_them_is_the_same(settings: Settings) -> None:
    write(settings, *FILES)
    links = pages_of(settings.reports, "m").links_of("m/2/evidence.html")
    once = with_links(PAGE, "m/2/evidence.html", links)
    assert with_links(once, "m/2/evidence.html", links) == once
    assert without_links(once) == PAGE
    assert once.count("<nav") == 1


def test_a_page_written_elsewhere_has_no_links(settings: Settings, tmp_path: Path) -> None:
    write(settings, *FILES)
    page = write_page(settings, tmp_path / "mail" / "evidence.html", PAGE)
    assert page.read_text(encoding="utf-8") == PAGE


def test_an_empty_home_has_an_index_that_says_what_writes_pages(settings: Settings) -> None:
    assert "No page has been written yet" in renew_links(settings).read_text(encoding="utf-8")
