"""The command ``rollout manifests``: the service on a cluster, by the roll-out that is open."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from readmission_platform.commands.terminal import advice, out, workspace
from readmission_platform.foundation.errors import BadInput, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from readmission_platform.governance.rollouts.state import RolloutState
    from readmission_platform.lifecycle.workspace import Workspace
    from readmission_platform.operations.manifests.variants import Variant

_OPTIONS = {"home": "home-claim", "gateway_namespace": "gateway"}
_DIGEST = "name the image with its digest, NAME@sha256: and 64 digits; a tag may come to mean another image"
_WHY = {
    "image": _DIGEST,
    "candidate_image": _DIGEST,
    "hostname": "a name such as scoring.example.org, of small letters, digits, dots and hyphens, without https://",
}
_NAMES = "a name has 1 to 40 small letters, digits and hyphens, begins with a letter and does not end with a hyphen"


def manifests(
    image: Annotated[str, typer.Option(help="Image that holds this package, with its digest: NAME@sha256:...")],
    candidate_image: Annotated[
        str | None, typer.Option(help="Image of the candidate's pods; default: --image.")
    ] = None,
    flavour: Annotated[str, typer.Option(help="kubernetes, kserve or ray.")] = "kubernetes",
    namespace: Annotated[str, typer.Option(help="Namespace of the cluster.")] = "readmission",
    name: Annotated[str | None, typer.Option(help="Name of the service; default: the model's.")] = None,
    home_claim: Annotated[str, typer.Option(help="Claim of the volume with the home.")] = "readmission-home",
    keys: Annotated[str, typer.Option(help="Secret with the files of the folder keys.")] = "readmission-keys",
    ledger: Annotated[str, typer.Option(help="Secret whose url is that of its database.")] = "readmission-ledger",
    gateway: Annotated[str, typer.Option(help="NAMESPACE/NAME of the Gateway.")] = "gateway/gateway",
    hostname: Annotated[str | None, typer.Option(help="What callers call the service.")] = None,
    scraper_namespace: Annotated[str, typer.Option(help="Where metrics are collected from.")] = "monitoring",
    database_namespace: Annotated[str, typer.Option(help="Where the ledger's database is.")] = "database",
    into: Annotated[Path | None, typer.Option("--out", help="Folder for the files, which holds nothing else.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the manifests; write nothing.")] = False,
) -> None:
    """Write what runs the service on Kubernetes: a variant for each version that answers, weighted by its share."""
    from readmission_platform.config.files import serving_config
    from readmission_platform.operations.manifests.variants import Site, variants_of
    from readmission_platform.operations.manifests.written import FLAVOURS, as_one_text, texts_of, write

    if flavour not in FLAVOURS:
        raise BadInput(f"--flavour is one of {', '.join(FLAVOURS)}")
    if into is None and not dry_run:
        raise BadInput("give a folder with --out, or --dry-run to see the manifests")
    gateway_namespace, _, gateway_name = gateway.partition("/")
    if not (gateway_namespace and gateway_name):
        raise BadInput("--gateway is NAMESPACE/NAME, such as gateway/gateway")
    current = workspace()
    try:
        site = Site(
            name=name or current.name.replace("_", "-"), namespace=namespace, model=current.name, image=image,
            candidate_image=candidate_image, environment=current.settings.environment, home=home_claim,
            keys=keys, ledger=ledger, gateway=gateway_name, gateway_namespace=gateway_namespace,
            hostname=hostname, scraper_namespace=scraper_namespace, database_namespace=database_namespace,
            drain_seconds=serving_config(current.settings).drain_seconds,
        )  # fmt: skip
    except ValidationError as error:
        raise BadInput(_said(error)) from error
    production, rollout = _answering(current)
    variants = variants_of(site, production, rollout)
    texts = texts_of(FLAVOURS[flavour](site, variants))
    if dry_run or into is None:
        typer.echo(as_one_text(texts), nl=False)
        return
    try:
        write(texts, into)
    except FileExistsError as error:
        raise BadInput(f"{error}: give another folder with --out") from error
    except OSError as error:
        raise BadInput(f"{into}: cannot be written ({error.strerror})") from error
    out.print(f"{len(texts)} manifests in {into}: {_told(flavour, variants)}", markup=False, soft_wrap=True)
    out.print(advice(f"bring them to the cluster: `kubectl apply -f {into}`"), soft_wrap=True)


def _told(flavour: str, variants: "Sequence[Variant]") -> str:
    """Say which versions answer, and how many of the requests their pods are sent."""
    if flavour == "ray":  # it knows no variants
        versions = " and ".join(each.version for each in variants)
        return f"every pod answers with version {versions}, as the ledger says"
    return ", ".join(f"version {each.version} {each.weight} %" for each in variants) + " of the requests"


def _answering(current: "Workspace") -> "tuple[str, RolloutState | None]":
    """Return the version in production and the roll-out that the service obeys."""
    from readmission_platform.governance.rollouts.proper import rollout_problem
    from readmission_platform.governance.rollouts.state import rollout_of

    with current.ledger() as opened:
        events, pointers = opened.snapshot()
    production = pointers["production"].version
    if production is None:
        raise Refused([f"no version of {current.name} is in production: promote one first"])
    rollout = rollout_of(events)
    problem = rollout_problem(rollout, events) if rollout is not None else None
    if problem:
        raise Refused([problem])
    return production, rollout


def _said(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    field = str(first["loc"][0])
    option = _OPTIONS.get(field, field.replace("_", "-"))
    return f"--{option} cannot be used: {_WHY.get(field, _NAMES)}"
