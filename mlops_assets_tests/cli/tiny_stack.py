"""A stack of two servers that start in a blink; also a script, `tiny_stack.py HOME`, for tests that kill it."""

import sys
from contextlib import suppress
from functools import partial

from mlops_assets.cli.servers import Server, Site, answers
from mlops_assets.cli.stack import Stack

WEB = """
import http.server, socketserver, subprocess, sys
child = subprocess.Popen(["sleep", "600"])  # what a run worker is to the code server
print("child", child.pid, flush=True)
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def endpoint(site: Site) -> Server:
    """Give a web server with a child."""
    command = (sys.executable, "-S", "-c", WEB, str(site.endpoint_port))
    return Server(
        name="endpoint", command=command, cwd=site.home, answers=lambda: answers(f"{site.addresses.endpoint}/")
    )


def daemon(site: Site) -> Server:
    """Give a daemon that only sleeps, but waits for the endpoint first."""
    return Server(name="daemon", command=("sleep", "600"), cwd=site.home, answers=lambda: True, needs=("endpoint",))


def tiny_servers(site: Site) -> tuple[Server, ...]:
    """Give both."""
    return endpoint(site), daemon(site)


TinyStack = partial(Stack, servers=tiny_servers)

if __name__ == "__main__":
    say = partial(print, flush=True)
    with TinyStack(sys.argv[1], say=say) as stack, suppress(KeyboardInterrupt):  # it may come before `wait` does
        say("up")
        stack.wait()
    say("down")
