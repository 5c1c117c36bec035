# SPDX-License-Identifier: MIT
"""The recipes of config/proxy, tried with the real proxies in front of a server."""
import contextlib
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import client
import process
import pytest
from policies import TESTING_BODY

RECIPES = Path(__file__).resolve().parents[2] / "config/proxy"
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def wait_until(condition):
    pause = threading.Event()
    deadline = time.monotonic() + process.DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def nginx(directory, recipe):
    (directory / "error.log").touch()
    path = directory / "nginx.conf"
    path.write_text(
        f"daemon off; pid {directory}/pid; error_log {directory}/error.log;\n"
        f"load_module {STREAM_MODULE};\nevents {{}}\n{recipe}"
    )
    return ["nginx", "-c", str(path), "-e", f"{directory}/error.log"]


def haproxy(directory, recipe):
    path = directory / "haproxy.cfg"
    path.write_text(recipe)
    return ["haproxy", "-db", "-f", str(path)]


@contextlib.contextmanager
def running(command, port):
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as proxy:
        try:
            wait_until(lambda: proxy.poll() is not None or answers(port))
            assert proxy.poll() is None, command
            yield
        finally:
            proxy.terminate()


@pytest.mark.parametrize(
    ("program", "name", "build"),
    [("nginx", "nginx.conf", nginx), ("haproxy", "haproxy.cfg", haproxy)],
)
def test_the_policy_is_fetched_through_a_proxy(serve, trust, directory, program, name, build):
    if shutil.which(program) is None or (program == "nginx" and not STREAM_MODULE.exists()):
        pytest.skip(f"{program} is not installed")
    server = serve(max_per_source=0)
    port = free_port()
    recipe = (RECIPES / name).read_text()
    lines = [line for line in recipe.splitlines() if "[::]" not in line]
    recipe = "\n".join(lines).replace("listen 443", f"listen 127.0.0.1:{port}")
    recipe = recipe.replace("bind :443", f"bind 127.0.0.1:{port}")
    recipe = recipe.replace("127.0.0.1:8443", f"127.0.0.1:{server.port}") + "\n"
    with running(build(directory, recipe), port):
        response = client.ask(("127.0.0.1", port), trust, client.request(), client.HOST)
    assert (response.status, response.body) == (200, TESTING_BODY)
