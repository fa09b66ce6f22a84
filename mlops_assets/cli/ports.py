"""Ports of the loopback address: those asked for, or the next free ones."""

import socket
from dataclasses import dataclass
from typing import Final

from mlops_assets.cli.servers import HOST
from mlops_assets.errors import StackError

USUAL_PORTS: Final = {"dagster": 3000, "mlflow": 5000, "endpoint": 8080}
PORTS_TRIED: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports asked for; None takes the usual one, or the next free one."""

    dagster: int | None = None
    mlflow: int | None = None
    endpoint: int | None = None


USUAL: Final = Ports()


def choose_port(name: str, asked: int | None) -> int:
    """Give the port asked for if it is free, else the first free one from the usual one upwards.

    Raises:
        StackError: It is in use.
    """
    if asked is not None and not is_free(asked):
        raise StackError(
            f"Port {asked}, asked for with --{name}-port, is in use by another program. "
            f"End that program, or leave --{name}-port out to take the next free port.",
            port=asked,
        )
    usual = USUAL_PORTS[name]
    for port in (asked,) if asked is not None else range(usual, usual + PORTS_TRIED):
        if is_free(port):
            return port
    raise StackError(f"{PORTS_TRIED} ports from {usual} on are in use. Name a free one with --{name}-port.", port=usual)


def any_port() -> int:
    """Give a free port that the system chooses."""
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


def is_free(port: int) -> bool:
    """Tell whether a server could listen on `port` of the loopback address."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True
