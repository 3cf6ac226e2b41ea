"""The care team's list: what is on it, what is not, and what it looks like."""

import html
import io
import re
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation.words import Words
from readmission_platform.models.readmission_30d.evidence import WORDS
from readmission_platform.reports.work_list import (
    JUDGE_BY_HAND,
    WorkList,
    columns_of,
    csv_text,
    listed,
    made_from,
    page_html,
    write_work_list,
)

PREDICTIONS = [
    {"encounter_id": 11, "risk": 0.08, "band": "low", "rank": 2, "flagged": False, "reasons": ""},
    {"encounter_id": 12, "risk": 0.3149, "band": "very_high", "rank": 1, "flagged": True,
     "reasons": "4 inpatient stays in the past year; left against medical advice"},
    {"encounter_id": 13, "risk": None, "band": None, "rank": None, "flagged": False, "reasons": None,
     "status": "withheld", "withheld_because": "no diagnosis is recorded"},
]  # fmt: skip


def predictions(rows: list[dict[str, Any]] = PREDICTIONS) -> pd.DataFrame:
    return pd.DataFrame([
        {"status": "scored", "withheld_because": None, "entity_key": "0123abcd", "contributions": "{}", **row}
        for row in rows
    ])  # fmt: skip


def of_encounters(rows: pd.DataFrame) -> pd.DataFrame:
    return listed(rows, row="encounter_id")


def work_list(rows: pd.DataFrame, **facts: Any) -> WorkList:
    usual = {"day": "2024-03-01", "simulated": False, "example": False, "model": "readmission_30d", "version": "3",
             "source": "uci", "limit_set": "real", "row": "encounter_id", "words": WORDS,
             "scored_at": "2024-03-02 06:00 UTC", "made_from": "sha256:predictions"}  # fmt: skip
    return WorkList(**{**usual, **facts}, rows=rows)


def rows_of(page: str, kind: str) -> str:
    return page.split(f'<table class="{kind}">')[1].split("</table>")[0]


def text_of(page: str) -> str:
    text = re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    return " ".join(html.unescape(text).split())


@pytest.fixture
def rows() -> pd.DataFrame:
    return of_encounters(predictions())


def test_it_has_these_columns_and_no_other(rows: pd.DataFrame) -> None:
    assert list(rows.columns) == columns_of("encounter_id")
    assert work_list(rows).records()[0] == {
        "rank": 1, "encounter_id": 12, "risk_percent": 31.5, "band": "very high", "follow_up": "yes",
        "reasons": "4 inpatient stays in the past year; left against medical advice", "status": "scored",
    }  # fmt: skip


def test_those_that_were_not_scored_come_last_and_say_why(rows: pd.DataFrame) -> None:
    assert list(rows["encounter_id"]) == [12, 11, 13]
    assert work_list(rows).records()[-1] == {
        "rank": None, "encounter_id": 13, "risk_percent": None, "band": None, "follow_up": None,
        "reasons": "no diagnosis is recorded", "status": JUDGE_BY_HAND,
    }  # fmt: skip


def test_an_encounter_with_which_nothing_stands_out_says_so() -> None:
    found = of_encounters(predictions([{**row, "reasons": None} for row in PREDICTIONS[:2]]))
    assert list(found["reasons"]) == ["", ""]
    assert "no notable reason" in text_of(page_html(work_list(found)))


def test_a_list_of_another_model_speaks_of_its_own_rows() -> None:
    words = Words(title="sepsis", row="stay", rows="stays", entity="infant", entities="infants", event="sepsis",
                  events="cases of sepsis", positive="septic within 48 hours", delivery="admissions")  # fmt: skip
    found = listed(predictions().rename(columns={"encounter_id": "stay_id"}), row="stay_id")
    assert list(found.columns) == columns_of("stay_id")
    page = text_of(page_html(work_list(found, row="stay_id", words=words, model="sepsis")))
    assert "Work list: admissions of 2024-03-01" in page
    assert "Follow up: 1 stay " in page
    assert not re.search("encounter|patient|readmi|discharge", page.replace("inpatient stays", ""))


def test_a_day_of_nobody_but_withheld_has_no_one_to_follow_up(tmp_path: Path) -> None:
    found = work_list(of_encounters(predictions(PREDICTIONS[2:])))
    page = text_of(page_html(found))
    assert "None: no encounter of this day could be scored" in page
    assert "Not scored, use your own judgement: 1 encounter" in page
    assert "The rest of the day" not in page
    assert pd.read_parquet(write_work_list(found, tmp_path / "day")["parquet"]).equals(found.rows)


def test_the_page_shows_the_flagged_first_then_the_rest_then_those_to_judge_and_says_so_at_the_top(
    rows: pd.DataFrame,
) -> None:
    page = text_of(page_html(work_list(rows)))
    said_in_order = (
        "1 encounter could not be scored. Use your own judgement", "Follow up: 1 encounter", "31.5 %",
        "left against medical advice", "The rest of the day: 1 encounter", "8.0 %",
        "use your own judgement: 1 encounter",
        "no diagnosis is recorded", "does not replace your judgement",
    )  # fmt: skip
    places = [page.index(said) for said in said_in_order]
    assert places == sorted(places)
    assert "readmission_30d, version 3, scored 2024-03-02 06:00 UTC" in page
    assert "Work list: discharges of 2024-03-01" in page


def test_the_page_loads_nothing_from_anywhere_and_runs_nothing(rows: pd.DataFrame) -> None:
    page = page_html(work_list(rows))
    assert not re.search(r"https?://|<script|<link|@import|url\(|<img|src=|href=", page)
    assert "default-src 'none'" in page


def test_it_prints_with_whole_rows_and_repeated_headers(rows: pd.DataFrame) -> None:
    page = page_html(work_list(rows))
    for said in ("@page", "table-header-group", "break-inside: avoid"):
        assert said in page


@pytest.mark.parametrize(("facts", "said"), [({"simulated": True}, "Simulated date"),
                                             ({"limit_set": "synthetic"}, "Trained on synthetic data")])  # fmt: skip
def test_simulated_dates_and_synthetic_data_say_so(rows: pd.DataFrame, facts: dict[str, Any], said: str) -> None:
    assert said in text_of(page_html(work_list(rows, **facts)))
    assert said not in text_of(page_html(work_list(rows)))


def test_text_of_the_data_cannot_become_markup() -> None:
    found = of_encounters(predictions([{**PREDICTIONS[1], "reasons": "<script>alert(1)</script>"}]))
    assert "<script" not in page_html(work_list(found))


@given(text=st.text(max_size=20), first=st.sampled_from("=+-@\t\r\n"))
def test_no_cell_of_the_csv_is_a_formula_to_a_spreadsheet(text: str, first: str) -> None:
    written = csv_text(of_encounters(predictions([{**PREDICTIONS[1], "reasons": first + text}])))
    cells = pd.read_csv(io.StringIO(written, newline=""), dtype=str, keep_default_na=False).iloc[0]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


def test_the_csv_reads_back_as_the_list(rows: pd.DataFrame) -> None:
    again = pd.read_csv(io.StringIO(csv_text(rows)), dtype=str, keep_default_na=False)
    assert list(again.columns) == columns_of("encounter_id")
    shown = rows.astype(object).where(rows.notna(), "").map(str)
    assert again.to_dict("records") == shown.to_dict("records")


def test_the_files_are_for_owner_and_group_only_whatever_was_there(rows: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "work_lists" / "2024-03-01"
    folder.mkdir(parents=True)
    (folder / "work_list.csv").write_text("older", encoding="utf-8")
    (folder / "work_list.csv").chmod(0o666)
    paths = write_work_list(work_list(rows), folder)
    names = ["predictions.sha256", "work_list.csv", "work_list.html", "work_list.parquet"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert made_from(folder) == "sha256:predictions"
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths.values()} == {0o640}
    assert {stat.S_IMODE(each.stat().st_mode) for each in (folder, folder.parent)} == {0o750}
    assert pd.read_parquet(paths["parquet"]).equals(rows)
    assert paths["csv"].read_text(encoding="utf-8") == csv_text(rows)


def test_a_reader_finds_the_files_of_one_revision_and_nothing_is_left_of_the_others(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    folder = tmp_path / "work_lists" / "2024-03-01"
    revisions = [work_list(rows.assign(reasons=f"reason {number}"), made_from=f"sha256:{number}") for number in (0, 1)]
    expected = {each.made_from: csv_text(each.rows) for each in revisions}
    write_work_list(revisions[0], folder)
    done = Event()

    def read() -> list[tuple[str | None, str]]:
        seen = []
        while not done.is_set():
            at = folder.resolve()
            with suppress(FileNotFoundError):  # replaced twice while it was read
                pair = made_from(at), (at / "work_list.csv").read_text(encoding="utf-8")
                seen += [pair] if pair[0] is not None else []
        return seen

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        for number in range(60):
            write_work_list(revisions[number % 2], folder)
            assert made_from(folder) == f"sha256:{number % 2}"
        done.set()
    seen = {pair for reader in readers for pair in reader.result()}
    assert seen <= set(expected.items())
    assert len(seen) == 2
    assert len([path for path in folder.parent.iterdir() if path.is_dir() and not path.is_symlink()]) == 1


def test_writers_of_one_day_do_not_get_in_each_others_way(rows: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "work_lists" / "2024-03-01"
    lists = [work_list(rows, made_from=f"sha256:{number}") for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: write_work_list(each, folder), lists))
    assert made_from(folder) in {each.made_from for each in lists}


def test_what_a_killed_writer_left_and_a_copied_folder_are_replaced(rows: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "work_lists" / "2024-03-01"
    write_work_list(work_list(rows), folder)
    copied = tmp_path / "elsewhere" / "work_lists"
    shutil.copytree(folder.parent, copied)  # follows links: the day is a folder of its own now
    (copied / ".2024-03-01-left").mkdir()
    (copied / ".2024-03-01-left.link").symlink_to("nowhere")
    write_work_list(work_list(rows, made_from="sha256:new"), copied / folder.name)
    assert made_from(copied / folder.name) == "sha256:new"
    assert len(list(copied.glob(".2024-03-01-*"))) == 1


def test_a_list_of_which_a_file_is_missing_is_none(rows: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "work_lists" / "2024-03-01"
    assert made_from(folder) is None
    paths = write_work_list(work_list(rows), folder)
    paths["csv"].unlink()
    assert made_from(folder) is None


def test_the_printed_list_has_room_for_what_the_ward_does_and_says_whom_to_ask(rows: pd.DataFrame) -> None:
    page = page_html(work_list(rows, ask="the discharge office, extension 12"))
    flagged = rows_of(page, "flagged")
    for title in ("done", "by whom", "note"):
        assert f">{title}</th>" in flagged
    assert flagged.count('<td class="ward') == 3 * flagged.count('class="row"')
    assert "ward" not in rows_of(page, "rest")
    assert ".ward { display: none; }" in page.split("@media print")[0]
    assert ".ward { display: table-cell" in page.split("@media print")[1]
    assert "Questions about this list: the discharge office, extension 12" in text_of(page)
