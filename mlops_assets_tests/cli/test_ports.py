"""Ports that are not the usual ones."""

import socket
from pathlib import Path

import pytest

from mlops_assets.cli import ports
from mlops_assets.cli.ports import any_port
from mlops_assets.cli.servers import HOST
from mlops_assets.errors import StackError


def test_no_outgoing_connection_takes_the_port_before_its_server_listens():
    """Linux says which ports it gives to those; the drawn ones are others."""
    first, last = (int(port) for port in Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())

    drawn = {any_port() for _ in range(20)}

    assert len(drawn) > 1
    assert not any(first <= port <= last for port in drawn)


def test_a_port_in_use_is_not_drawn(monkeypatch):
    free = any_port()
    with socket.create_server((HOST, any_port())) as taken:
        monkeypatch.setattr(ports, "OTHER_PORTS", sorted([taken.getsockname()[1], free]))

        assert {any_port() for _ in range(10)} == {free}


def test_where_all_are_in_use_it_says_so(monkeypatch):
    with socket.create_server((HOST, any_port())) as taken:
        monkeypatch.setattr(ports, "OTHER_PORTS", [taken.getsockname()[1]])

        with pytest.raises(StackError, match=r"in use.*End some"):
            any_port()
