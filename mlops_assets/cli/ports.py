"""Ports of the loopback address: those asked for, or the next free ones."""

import random
import socket
from dataclasses import dataclass
from typing import Final

from mlops_assets.cli.servers import HOST
from mlops_assets.errors import StackError

USUAL_PORTS: Final = {"dagster": 3000, "mlflow": 5000, "endpoint": 8080}
PORTS_TRIED: Final = 100

# Below those that systems give to outgoing connections, from 32768 on with Linux and from 49152 on elsewhere: such a
# connection may take a port between the moment it was found free and the moment its server listens.
OTHER_PORTS: Final = range(20_000, 30_000)


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
    """Give a free port that no outgoing connection takes, drawn by lot so that two who look at once seldom meet.

    Raises:
        StackError: None is free.
    """
    for port in random.SystemRandom().sample(OTHER_PORTS, k=len(OTHER_PORTS)):
        if is_free(port):
            return port
    raise StackError(
        f"All ports from {OTHER_PORTS[0]} to {OTHER_PORTS[-1]} of {HOST} are in use, so the servers of the stack "
        "cannot talk to each other. End some of the programs that listen there."
    )


def is_free(port: int) -> bool:
    """Tell whether a server could listen on `port` of the loopback address."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True
