"""A closed loop of clients: each sends its next request when it has the answer to the last one.

What belongs here: asking and measuring, over kept-alive connections, with as little of a client's own work as can be.
What does not: who is asked (``serving_speed``).
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Loop:
    """What a loop of clients saw: milliseconds of each request at the client and inside the service, and failures."""

    clients: int
    seconds: float
    seen: np.ndarray
    inside: np.ndarray
    failed: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return the figures: requests a second, and percentiles in milliseconds."""
        return {
            "clients": self.clients,
            "requests": len(self.seen),
            "failed": self.failed,
            "requests_per_second": round(len(self.seen) / self.seconds, 1),
            **{f"p{part}_ms": _percentile(self.seen, part) for part in (50, 95, 99)},
            **{f"inside_p{part}_ms": _percentile(self.inside, part) for part in (50, 99)},
        }


def closed_loop(
    host: str,
    port: int,
    path: str,
    bodies: Sequence[dict[str, object]],
    *,
    clients: int,
    seconds: float,
    token: str = "",
) -> Loop:
    """Have clients ask for some seconds; the bodies are sent in turn."""
    head = (f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            + (f"Authorization: Bearer {token}\r\n" if token else ""))  # fmt: skip
    requests = [_request(head, json.dumps(body).encode()) for body in bodies]
    return asyncio.run(_asked(host, port, requests, clients, seconds))


async def _asked(host: str, port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Loop:
    seen: list[float] = []
    inside: list[float] = []
    failed = 0
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(host, port)
        place = number
        while time.perf_counter() < end:
            began = time.perf_counter()
            writer.write(requests[place % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            lowered = {name.lower(): value for name, value in headers.items()}
            await _rest(reader, lowered)
            seen.append((time.perf_counter() - began) * 1000)
            if not head.startswith(b"HTTP/1.1 200"):
                failed += 1
            if b"server-timing" in lowered:
                inside.append(float(lowered[b"server-timing"].rpartition(b"=")[2]))
            place += clients
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    return Loop(clients, time.perf_counter() - began, np.array(seen), np.array(inside), failed)


async def _rest(reader: asyncio.StreamReader, headers: dict[bytes, bytes]) -> bytes:
    if b"content-length" in headers:
        return await reader.readexactly(int(headers[b"content-length"]))
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _request(head: str, body: bytes) -> bytes:
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def _percentile(values: np.ndarray, part: int) -> float | None:
    return round(float(np.percentile(values, part)), 3) if len(values) else None
