# SPDX-License-Identifier: MIT
"""Real servers as child processes with configurations of their own: knot, nginx, Postfix."""
import contextlib
import os
import pwd
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

from process import DEADLINE, LineReader


def wait_for_port(process, address):
    """Until something listens there."""
    deadline = time.monotonic() + DEADLINE
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.socket(family) as probe:
            probe.connect(address)
            return
        assert process.poll() is None and time.monotonic() < deadline, process.args
        select.select([], [], [], 0.02)


# In front of a command: it gets SIGTERM when the tests end without having stopped it.
END_WITH_US = ["setpriv", "--pdeathsig", "TERM"]


class Program:
    """A process that has a way to wait until it is ready, and ends on SIGTERM."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [*END_WITH_US, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.log = LineReader(self.process.stdout)
        try:
            self.wait_ready()
        except BaseException:
            self.close()
            raise

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


KNOT = """
server:
{listen}
    rundir: {directory}
    pidfile: {directory}/knot.pid
database:
    storage: {directory}
control:
    listen: {directory}/knot.sock
log:
  - target: stderr
    any: info
template:
  - id: default
    storage: {directory}
    semantic-checks: off
    zonefile-sync: -1
    journal-content: none
zone:
"""


class Knot(Program):
    """Authoritative for `zones`, {name: lines}; one without lines cannot be loaded."""

    def __init__(self, directory, addresses, zones):
        self.directory = directory
        self.serial = 0
        listen = "\n".join(f"    listen: {address}@53" for address in addresses)
        config = KNOT.format(listen=listen, directory=directory)
        for name, lines in zones.items():
            if lines is not None:
                self.write(name, lines)
            config += f"  - domain: {name}.\n"
        (directory / "knot.conf").write_text(config)
        self.wanted = [name for name, lines in zones.items() if lines is not None]
        super().__init__("knotd", "-c", directory / "knot.conf")

    def wait_ready(self):
        self.log.wait_for("server started")
        for name in self.wanted:
            assert self.log.find_all(rf"\[{name}\.\] loaded"), self.log.find_all("error")

    def write(self, name, lines):
        self.serial += 1
        start = [
            "$TTL 300",
            f"{name}. SOA ns.{name}. hostmaster.{name}. {self.serial} 3600 600 86400 300",
            f"{name}. NS ns.{name}.",
            f"ns.{name}. A 192.0.2.53",
        ]
        (self.directory / f"{name}.zone").write_text("\n".join([*start, *lines, ""]))

    def replace(self, name, lines):
        """Loads another version of a zone; returns when it is served."""
        self.write(name, lines)
        command = ["knotc", "-b", "-c", self.directory / "knot.conf", "zone-reload", f"{name}."]
        subprocess.run(command, capture_output=True, timeout=DEADLINE, check=True)


NGINX = """
daemon off;
user www-data;
pid {directory}/nginx.pid;
error_log stderr;
worker_processes 1;
events {{}}
http {{
    access_log off;
    server_tokens off;
    default_type text/plain;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{sites}
}}
"""

SITE = """    server {{
        listen {address}:443 ssl;
        server_name {host};
        ssl_certificate {certificate};
        ssl_certificate_key {private_key};
        {more}
        location = /.well-known/mta-sts.txt {{
            alias {directory}/{host};
            {location}
        }}
    }}"""


class Nginx(Program):
    """`sites`: dictionaries for SITE and `policy`, the octets of the file that is served."""

    def __init__(self, directory, sites):
        for site in sites:
            (directory / site["host"]).write_bytes(site["policy"])
        text = "\n".join(SITE.format(directory=directory, **site) for site in sites)
        (directory / "nginx.conf").write_text(NGINX.format(directory=directory, sites=text))
        self.address = sites[0]["address"], 443
        super().__init__("nginx", "-c", directory / "nginx.conf", "-e", "stderr")

    def wait_ready(self):
        wait_for_port(self.process, self.address)


# The programs of Debian's package, with nothing of its configuration.
POSTFIX_LIBRARY = Path("/usr/lib/postfix/sbin")
MAIN_CF = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/queue/mail.log
maillog_file_prefixes = {directory}
myhostname = mx.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_client_connection_count_limit = 0
default_process_limit = 200
inet_protocols = all
"""
MASTER_CF = """
tlsmgr   unix       - - n 1000? 1 tlsmgr
anvil    unix       - - n -     1 anvil
proxymap unix       - - n -     - proxymap
postlog  unix-dgram n - n -     1 postlogd
"""


class Postfix(Program):
    """`services`: {address: options of smtpd}."""

    def __init__(self, directory, services):
        owner = pwd.getpwnam("postfix")
        for name in ("config", "data", "queue/pid", "queue/private", "queue/public"):
            (directory / name).mkdir(parents=True)
        for name in ("data", "queue/private", "queue/public"):
            os.chown(directory / name, owner.pw_uid, owner.pw_gid)
        lines = MASTER_CF
        for address, options in services.items():
            where = f"[{address}]:25" if ":" in address else f"{address}:25"
            words = " ".join(f"-o {name}={value}" for name, value in options.items())
            lines += f"{where} inet n - n - - smtpd {words}\n"
        (directory / "config/main.cf").write_text(MAIN_CF.format(directory=directory))
        (directory / "config/master.cf").write_text(lines)
        self.address = next(iter(services)), 25
        super().__init__(POSTFIX_LIBRARY / "master", "-d", "-c", directory / "config")

    def wait_ready(self):
        wait_for_port(self.process, self.address)
