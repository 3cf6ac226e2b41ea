"""Manifests as files.

What belongs here: which flavours there are, and YAML. What does not: what the manifests say.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from readmission_platform.operations.manifests import kserve, kubernetes, ray
from readmission_platform.operations.manifests.variants import Site, Variant

FLAVOURS: Final[Mapping[str, Callable[[Site, Sequence[Variant]], list[dict[str, Any]]]]] = {
    "kubernetes": kubernetes.manifests,
    "kserve": kserve.manifests,
    "ray": ray.manifests,
}


def texts_of(manifests: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return manifests as YAML, each under the name of its file."""
    return {f"{each['kind'].lower()}-{each['metadata']['name']}.yaml": _text(each) for each in manifests}


def as_one_text(texts: Mapping[str, str]) -> str:
    """Return manifests as one text that ``kubectl apply -f -`` takes."""
    return "---\n".join(texts.values())


def write(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write manifests into a folder, and take away those of an earlier time that are not among them; returns paths.

    Raises
    ------
    FileExistsError
        When the folder holds something else than manifests.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = sorted(folder.iterdir())
    if any(path.suffix != ".yaml" or not path.is_file() for path in there):
        raise FileExistsError(f"{folder} holds something else than manifests")
    for path in there:
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and nothing as a reference to something above."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _lines(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _lines)


def _text(manifest: Mapping[str, Any]) -> str:
    return yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=120)
