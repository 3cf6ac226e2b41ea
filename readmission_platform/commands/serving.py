"""Commands about the service: ``serve``, and the tokens of its clients (``tokens create``, ``list``, ``revoke``)."""

import socket
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from readmission_platform import tables
from readmission_platform.commands.terminal import Json, home, out, print_json
from readmission_platform.config.environment import Settings
from readmission_platform.foundation.errors import BadInput, Refused, Unavailable

if TYPE_CHECKING:
    from readmission_platform.serving.tokens import Token

# Whose token it is that the service makes in the local environment.
_MACHINE = "this-machine"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
Name = Annotated[str, typer.Argument(help="Which client: a name for the list and the log.")]


def serve(
    model: Annotated[list[str] | None, typer.Option("--model", help="A model to serve; default: all in use.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; one that dies is replaced if several.")] = 1,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate (PEM); needs --key.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key of the certificate (PEM).")] = None,
    request_log: Annotated[bool, typer.Option(help="A line of log for each request.")] = True,
) -> None:
    """Answer for single rows over HTTP, by the version that is in production, until stopped."""
    from readmission_platform.lifecycle.workspace import Platform
    from readmission_platform.serving.server import Address, check_certificate, check_startable, serve

    current = home()
    for file in (certificate, key):
        if file is not None and not file.is_file():
            raise BadInput(f"{file}: no such file")
    if (certificate is None) != (key is None):
        raise BadInput("a certificate needs its key, and a key its certificate: give --certificate and --key")
    platform = Platform(current)
    served = [platform.model(name) for name in model] if model else platform.workspaces
    check_startable(current)
    if certificate is not None and key is not None:
        check_certificate(certificate, key)
    token_file = _make_sure_of_a_token(current)
    _check_free(host, port)
    address = Address(host, port, certificate, key)
    for each in served:
        with each.ledger() as ledger:
            if ledger.pointers()["production"].version is None:
                out.print(f"note: no version of {each.name} is in production; it answers once one is", markup=False)
    out.print(f"serving on {address.url} (documentation: {address.url}/docs; stop with Ctrl-C)", markup=False)
    if token_file is not None:
        out.print(f"token of this machine: {token_file}; for example\n  curl -H \"Authorization: Bearer "
                  f"$(cat '{token_file}')\" {address.url}/v1/models", markup=False, soft_wrap=True)  # fmt: skip
    if host not in _LOOPBACK and certificate is None:
        out.print("note: tokens and rows travel unencrypted; put TLS in front, or give --certificate and --key")
    serve(current, address, models=model or [], workers=workers, request_log=request_log)


def create(
    name: Name,
    scope: Annotated[
        list[str], typer.Option("--scope", help="What for: score, read (models, versions, metrics), admin. Repeatable.")
    ],
    expires: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day that it is valid.")] = None,
    as_json: Json = False,
) -> None:
    """Make a token for a client. It is shown this once; a running service takes it within seconds."""
    from readmission_platform.serving.tokens import SCOPES, create_token, tokens_file

    scopes = [each for each in SCOPES if each in scope]
    if len(scopes) != len(set(scope)):
        raise BadInput(f"scopes are {', '.join(SCOPES)}")
    token = create_token(tokens_file(home()), name, scopes, expires.date() if expires else None)
    if as_json:
        print_json({"name": name, "scopes": scopes, "token": token})
    else:
        out.print(token, markup=False, soft_wrap=True)


def list_tokens(as_json: Json = False) -> None:
    """List the clients that have a token: what for, since when, until when. Tokens themselves are kept nowhere."""
    from readmission_platform.serving.tokens import read_tokens, tokens_file

    found = read_tokens(tokens_file(home()))
    if as_json:
        print_json([_described(each) for each in found])
    elif not found:
        out.print("no client has a token: `readmission tokens create NAME --scope score`", markup=False)
    else:
        rows = (
            (escape(each.name), ", ".join(each.scopes), str(each.created), str(each.expires or "")) for each in found
        )
        out.print(tables.make_table(("client", "scopes", "since", "until"), rows))


def revoke(name: Name) -> None:
    """Take the token of a client away; a running service refuses it within seconds."""
    from readmission_platform.serving.tokens import revoke_token, tokens_file

    revoke_token(tokens_file(home()), name)
    out.print(f"the token of {name} is revoked", markup=False)


def _described(token: "Token") -> dict[str, object]:
    return {"name": token.name, "scopes": list(token.scopes), "created": str(token.created),
            "expires": str(token.expires) if token.expires else None}  # fmt: skip


def _make_sure_of_a_token(current: Settings) -> Path | None:
    """Return the file with the token of this machine, making both in the local environment; None elsewhere.

    Raises
    ------
    Refused
        When nobody could ask.
    """
    from readmission_platform.governance.ledger.binding import LOCAL
    from readmission_platform.serving.tokens import SCOPES, Tokens, create_token, read_tokens, tokens_file
    from readmission_platform.storage.home import replace_file

    path, own = tokens_file(current), current.keys / "serving_token"
    tokens = Tokens(path)
    tokens.refresh()
    if current.environment != LOCAL:
        if not read_tokens(path):
            raise Refused(["no client has a token; `readmission tokens create NAME --scope score` makes one"])
        return None
    if own.exists() and tokens.client(own.read_text(encoding="ascii").strip()) is not None:
        return own
    if any(each.name == _MACHINE for each in read_tokens(path)):
        return None
    replace_file(own, (create_token(path, _MACHINE, SCOPES, None) + "\n").encode(), mode=0o600)
    return own


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {host}:{port} ({error.strerror}); give another --port or --host"
            ) from error
