"""Which modules a command passes, and how often the path turns back to one that was passed before.

Every function of the package counts once, when it is first called, in that order. The path goes from the module of one
to the module of the next; it turns back when it comes to a module that it has left before. Run it as
``python -m readmission_platform_tests.benchmarks.module_path review 1`` in a home that has what the command needs.
"""

import sys
from types import FrameType
from typing import Any

PACKAGE = "readmission_platform."


def path_of(called: list[tuple[str, str]]) -> tuple[list[str], int]:
    """Return the modules passed, in order, and how often the path turned back."""
    passed: list[str] = []
    now, turned_back = "", 0
    for module, _ in called:
        if module == now:
            continue
        if module in passed:
            turned_back += 1
        else:
            passed.append(module)
        now = module
    return passed, turned_back


def main(arguments: list[str]) -> int:
    """Run a command of ``readmission`` and print the path that it took; returns the command's exit code."""
    from readmission_platform import cli

    called: dict[tuple[str, str], None] = {}

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith(PACKAGE) and not frame.f_code.co_name.startswith("<"):
            called.setdefault((module, frame.f_code.co_qualname))

    sys.argv = ["readmission", *arguments]
    sys.setprofile(note)
    code: Any = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.setprofile(None)
    passed, turned_back = path_of(list(called))
    print("\n".join(module.removeprefix(PACKAGE) for module in passed), file=sys.stderr)
    print(f"{len(passed)} modules passed, turned back {turned_back} times, {len(called)} functions", file=sys.stderr)
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
