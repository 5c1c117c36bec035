# SPDX-License-Identifier: MIT
"""The programs that fetch policies, run with nothing of the caller's settings."""
import ast
import os
import re
import subprocess
from pathlib import Path

from process import DEADLINE
from servers import Program, wait_for_port

PATH = "/.well-known/mta-sts.txt"


def call(*command, stdin=b""):
    return subprocess.run(
        [*map(str, command)],
        input=stdin,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"},
    )


def query(domain, *known_id):
    """mta-sts-query: its verdict, (id, policy) or None, and what it complained of."""
    result = call("mta-sts-query", domain, *known_id)
    match = re.fullmatch(r"\(<STSFetchResult\.(\w+): \d>, (.*)\)\n", result.stdout.decode())
    assert result.returncode == 0 and match, result
    return match[1], ast.literal_eval(match[2]), result.stderr.decode()


def request(host):
    return f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def body_of(result):
    """What follows the head of an answer, for clients that print both."""
    head, separator, octets = result.stdout.partition(b"\r\n\r\n")
    assert not separator or head.startswith(b"HTTP/1.1 200 OK\r\n"), result
    return octets


def wget(host):
    """As Courier runs it."""
    options = "-O - --timeout 60 --max-redirect 0 -q".split()
    result = call("wget", *options, f"https://{host}{PATH}")
    return result.returncode, result.stdout


def curl(host):
    options = "--silent --show-error --fail --proto =https --tlsv1.2 --max-redirs 0".split()
    options += "--max-time 60 --max-filesize 65536".split()
    result = call("curl", *options, f"https://{host}{PATH}")
    return result.returncode, result.stdout


def gnutls_cli(host):
    """It says what it thinks of the certificate in a log, and nothing else than data besides."""
    options = "--logfile=/dev/null --port=443".split()
    result = call("gnutls-cli", *options, host, stdin=request(host))
    return result.returncode, body_of(result)


def s_client(host):
    options = "-quiet -verify_return_error -verify_hostname".split()
    result = call(
        *("openssl", "s_client", *options, host, "-servername", host, "-connect", f"{host}:443"),
        stdin=request(host),
    )
    return result.returncode, body_of(result)


CLIENTS = [wget, curl, gnutls_cli, s_client]


def courier_policy(domain):
    """The id and the lines of the policy that Courier's own code has, which runs wget and keeps a
    cache; None if it has found none or could not fetch it."""
    result = call("testmxlookup", "--sts", domain)
    if result.returncode != 0:
        assert b"STS policy not found" in result.stderr, result
        return None
    text = result.stdout.decode()
    match = re.fullmatch(r"STS Policy ID: (\S+)[^\n]*\n(?:[^\n]+\n)+\n(.+)", text, re.DOTALL)
    assert match, text
    lines = match[2].splitlines()
    return None if any("temporary cache entry" in line for line in lines) else (match[1], lines)


def age_courier_policy(domain, seconds):
    """As if that long had gone by: Courier knows it from the time of the file."""
    path = Path("/var/lib/courier/sts", domain)
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


# Each time a message goes out, the daemon asks for the record (a grace of none), and fetches the
# policy only if the id is another: what the tests wait for does not hang on a clock.
DAEMON_YAML = """
host: 127.0.0.1
port: 8461
shutdown_timeout: 1
cache_grace: 0
cache:
  type: sqlite
  options:
    filename: {directory}/mta-sts-daemon.db
default_zone:
  strict_testing: false
  require_sni: true
  timeout: 4
"""


class Daemon(Program):
    """mta-sts-daemon; its policies lie on disk."""

    policies = "socketmap:inet:127.0.0.1:8461:postfix"

    def __init__(self, directory):
        self.config = directory / "mta-sts-daemon.yml"
        self.config.write_text(DAEMON_YAML.format(directory=directory))
        self.start()

    def start(self):
        super().__init__("mta-sts-daemon", "-c", self.config)

    def wait_ready(self):
        self.log.wait_for("Server started")
        wait_for_port(self.process, ("127.0.0.1", 8461))

    def forget_records(self):
        """As if their TTL were over: newer versions of c-ares keep them in the process. It is
        killed, since it would wait until Postfix has closed its connections."""
        self.process.kill()
        self.process.wait()
        self.start()
