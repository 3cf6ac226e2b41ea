"""Numbers are written for people in one way."""

import re
from pathlib import Path

import readmission_platform
from readmission_platform.foundation.counting import percent


def test_a_share_has_a_space_before_its_percent_sign_wherever_it_is_written():
    assert (percent(0.2768, 1), percent(0.9)) == ("27.7 %", "90 %")
    package = Path(readmission_platform.__file__).parent
    sources = [file for kind in ("*.py", "*.j2") for file in package.rglob(kind)]
    assert len(sources) > 100
    # What Python's own format writes has none.
    assert [file.name for file in sources if re.search(r":\.\d%\}", file.read_text(encoding="utf-8"))] == []
