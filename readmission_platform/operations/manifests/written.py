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
    """Return the manifests of a service as YAML, each under the name of its file and marked as ours."""
    return {f"{each['kind'].lower()}-{each['metadata']['name']}.yaml": _text(each) for each in manifests}


def as_one_text(texts: Mapping[str, str]) -> str:
    """Return manifests as one text that ``kubectl apply -f -`` takes."""
    return "---\n".join(texts.values())


def write(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write manifests into a folder, and take away those of an earlier time that are not among them; returns paths.

    Only what begins with the same mark is replaced or taken away.

    Raises
    ------
    FileExistsError
        When the folder holds something else: nothing is written.
    """
    marks = {_first_line(text.encode()) for text in texts.values()}
    folder.mkdir(parents=True, exist_ok=True)
    there = sorted(folder.iterdir())
    for path in there:
        if not path.is_file() or _first_line(path.read_bytes()) not in marks:
            raise FileExistsError(f"{folder} holds something else than the manifests of this service: {path.name}")
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
    service = manifest["metadata"]["labels"]["app.kubernetes.io/instance"]
    mark = f"# Of the service {service}, written by `readmission rollout manifests`, which replaces and deletes it.\n"
    return mark + yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=120)


def _first_line(content: bytes) -> bytes:
    return content.partition(b"\n")[0]
