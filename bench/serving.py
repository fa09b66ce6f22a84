"""What an answer of the endpoint costs: `python -m bench.serving [--requests N]`.

Ours is the whole way (strict types, two views looked up online, features, score, durable log); the floor is Starlette
on the same server reading a body and answering a constant. CPU is that of the server process; ratios survive a busy
machine, milliseconds do not.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_assets.cli.ports import any_port
from mlops_assets_tests._endpoint import INSTANCE, MODEL, NOON, ServingHome, TrainedModel, running_endpoint

ROUNDS = 5
ENVELOPE = {"at": NOON.isoformat()}
FLOOR = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
async def answer(request):
    await request.body()
    return Response(b'{"predictions": [0.5]}', media_type="application/json")
app = Starlette(routes=[Route("/models/{model}/predict", answer, methods=["POST"])])
uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="error", ws="none")
"""


def request(instances: int) -> bytes:
    """Give the bytes of one HTTP request with so many rows."""
    body = json.dumps({**ENVELOPE, "instances": [INSTANCE] * instances}).encode()
    head = f"POST /models/{MODEL}/predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def exchange(connection: socket.socket, sent: bytes) -> None:
    """Send a request and read its whole answer, which must be a 200."""
    connection.sendall(sent)
    got = connection.recv(65536)
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    if b" 200 " not in head[:15]:
        raise RuntimeError(got.decode())
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)


def cpu_s(pid: int) -> float:
    """Give the CPU time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(port: int, pid: int, sent: bytes, requests: int) -> tuple[float, float, float]:
    """Give CPU us per request, and the 50th and 99th percentile of latency in ms, over one connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(100):
            exchange(connection, sent)
        before, latencies = cpu_s(pid), []
        for _ in range(requests):
            began = time.perf_counter()
            exchange(connection, sent)
            latencies.append(time.perf_counter() - began)
    latencies.sort()
    used = (cpu_s(pid) - before) / requests * 1e6
    return used, latencies[requests // 2] * 1e3, latencies[requests * 99 // 100] * 1e3


def best(rounds: list[tuple[float, float, float]]) -> list[float]:
    """Give the least of each figure over the rounds."""
    return [min(figures) for figures in zip(*rounds, strict=True)]


@contextmanager
def floor() -> Iterator[tuple[int, int]]:
    """Run the floor; give its port and process id."""
    port = any_port()
    process = subprocess.Popen([sys.executable, "-c", FLOOR, str(port)])
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def main() -> None:
    """Print ours, the floor and their ratio; the best of several rounds in turn, which noise cannot improve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    requests = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as folder, floor() as (floor_port, floor_pid):
        home = ServingHome(Path(folder))
        home.fill_online()
        home.release(home.save(TrainedModel().parts))
        began = time.perf_counter()
        with running_endpoint(home.root) as endpoint:
            endpoint.predict(INSTANCE).raise_for_status()
            cold_s, cold_cpu_s = time.perf_counter() - began, cpu_s(endpoint.process.pid)
            memory = Path(f"/proc/{endpoint.process.pid}/status").read_text().split("VmRSS:")[1].split()[0]
            print(f"first prediction after {cold_s:.2f} s ({cold_cpu_s:.2f} s CPU), {int(memory) / 1024:.0f} MB")
            port = int(endpoint.url.rsplit(":", 1)[1])
            for rows, count in ((1, requests), (100, requests // 10)):
                ours, bare = [], []
                for _ in range(ROUNDS):
                    ours.append(measure(port, endpoint.process.pid, request(rows), count))
                    bare.append(measure(floor_port, floor_pid, request(rows), count))
                for label, one, two in zip(("CPU us/request", "p50 ms", "p99 ms"), best(ours), best(bare), strict=True):
                    print(f"{rows:>4} rows  {label:<15} ours {one:8.3f}   floor {two:8.3f}   ratio {one / two:6.2f}")


if __name__ == "__main__":
    main()
