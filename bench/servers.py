# SPDX-License-Identifier: MIT
"""The servers that are measured: how each is started, on one CPU and with one worker, and what it
has used up. All of them listen on the loopback network alone."""
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("BUILD", HERE / "../build")).resolve()
# Another mta-stsd, on a Mbed TLS of our own: see the Makefile.
OWN = os.environ.get("BENCH_OWN")
OWN_NAME = "own library"
HOST = "mta-sts.example.com"
REQUEST = (
    f"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
).encode()
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, CLIENT_CPU = CPUS[0], CPUS[-1]
START_SECONDS = 10
# The servers of a machine are where ordinary users do not look.
os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"


def number(name, default):
    """A setting from the environment."""
    return type(default)(os.environ.get(name) or default)


def output(*command):
    """What a command says, on either stream; empty if it is not there."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60
        )
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Place:
    """A directory with the certificate, the policy and the configurations of one run."""

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="mta-stsd-bench.")
        self.path = Path(self.temporary.name)
        self.path.chmod(0o755)  # workers that have given their rights up read the policy
        subprocess.run(
            [HERE / "../certs-example/make-certs.sh", self.path, HOST],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        self.policy = self.path / "www/.well-known/mta-sts.txt"
        self.policy.parent.mkdir(parents=True)
        self.answer = self.path / "answer"

    def write(self, template, **values):
        """Fills a template of this directory; the path of the result."""
        text = (HERE / template).read_text()
        for name, value in ({"DIR": self.path} | values).items():
            text = text.replace(f"@{name}@", str(value))
        result = self.path / f"{template}.{values['PORT']}"
        result.write_text(text)
        return result


def policy_command(place, port, limits, program=BUILD / "mta-stsd", workers=1):
    if os.geteuid() == 0:
        limits = f"user = 65534:65534\n{limits}"
    ini = place.write("mta-stsd.ini", PORT=port, LIMITS=limits, WORKERS=workers)
    return [program, "-c", ini]


def floor_command(place, port):
    return [
        BUILD / "bench/floor", port, place.path / "fullchain.pem", place.path / "privkey.pem",
        place.answer,
    ]


def nginx_command(place, port, connections=4096):
    conf = place.write("nginx.conf", PORT=port, CONNECTIONS=connections)
    return ["nginx", "-p", place.path, "-e", "stderr", "-c", conf]


def lighttpd_command(place, port, tls):
    conf = place.write("lighttpd.conf", PORT=port, TLS=tls)
    return ["lighttpd", "-D", "-f", conf]


def caddy_command(place, port):
    return ["caddy", "run", "--adapter", "caddyfile", "--config", place.write("Caddyfile", PORT=port)]


def has_lighttpd(module):
    return shutil.which("lighttpd") and any(Path("/usr/lib").glob(f"**/lighttpd/mod_{module}.so"))


UNLIMITED = "max_connections = 4096\nmax_per_source = 0\ntimeout = 60"


def installed():
    """Names and the functions that make their command lines: those that can run here."""
    servers = {
        "mta-stsd": lambda place, port: policy_command(place, port, UNLIMITED),
        "floor": floor_command,
    }
    if OWN:
        servers[OWN_NAME] = lambda place, port: policy_command(place, port, UNLIMITED, OWN)
    if shutil.which("nginx"):
        servers["nginx"] = nginx_command
    for module in ("mbedtls", "openssl"):
        if has_lighttpd(module):
            servers[f"lighttpd-{module}"] = (
                lambda place, port, tls=module: lighttpd_command(place, port, tls)
            )
    if shutil.which("caddy"):
        servers["caddy"] = caddy_command
    return servers


def versions():
    """What is measured here, and where."""
    model = [line.split(":")[1] for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    lines = [
        f"{len(CPUS)} CPUs:{model[0] if model else ' ?'}",
        output(BUILD / "mta-stsd", "--version"),
        f"own library: {output(OWN, '--version')}" if OWN else "",
        f"client: {output(BUILD / 'bench/load', 'version')}",
        output("nginx", "-v").replace("nginx version: ", ""),
        output("lighttpd", "-v").split(" - ")[0],
        f"caddy {output('caddy', 'version')}" if shutil.which("caddy") else "",
    ]
    if SERVER_CPU == CLIENT_CPU:
        lines.append("only one CPU: server and client share it, so fetches/s and times mean little")
    return [line for line in lines if line]


class NotServing(Exception):
    """A server that does not answer; what it said."""


class Server:
    """One server while it runs."""

    def __init__(self, name, command, place, cpus=None):
        self.port = free_port()
        self.log = open(place.path / f"{name}.log", "ab")  # the server's, for its whole life
        command = [str(part) for part in command(place, self.port)]
        environment = os.environ | {"GOMAXPROCS": "1", "HOME": str(place.path)}
        os.sched_setaffinity(0, cpus or {SERVER_CPU})
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env=environment,
            start_new_session=True,
        )
        os.sched_setaffinity(0, {CLIENT_CPU})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()

    def fetch(self):
        """The whole answer, as bytes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.port), START_SECONDS) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms over TLS 1.3
            with context.wrap_socket(plain, server_hostname=HOST) as tls:
                tls.sendall(REQUEST)
                answer = b""
                while part := tls.recv(65536):
                    answer += part
        return answer

    def first_fetch(self):
        """The first answer, and the seconds since the server was executed."""
        while True:
            try:
                answer = self.fetch()
                return answer, time.monotonic() - self.started
            except OSError as error:
                late = time.monotonic() - self.started > START_SECONDS
                if late or self.process.poll() is not None:
                    said = Path(self.log.name).read_text(errors="replace")[-1000:].strip()
                    raise NotServing(f"{error}; exit code {self.process.poll()} {said}") from error
                time.sleep(0.0005)

    def processes(self):
        """The directories in /proc of all processes of the server."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid:
                yield entry

    def cpu_seconds(self):
        """Of all threads, by the scheduler's own clock: utime and stime count in 10 ms."""
        return 1e-9 * sum(
            int(schedstat.read_text().split()[0])
            for process in self.processes()
            for schedstat in process.glob("task/*/schedstat")
        )

    def memory(self):
        """Octets: what is shared by several processes counts once."""
        total = 0
        for process in self.processes():
            for line in (process / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total


def load(server, place, mode, *options, stderr=None):
    """Starts the load client; it ends by itself or when its standard input is closed."""
    command = [BUILD / "bench/load", mode, "-p", server.port, "-H", HOST, "-b", place.policy]
    return subprocess.Popen(
        [str(part) for part in (*command, *options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def result(process):
    """What a load client has printed at its end: by name."""
    text, _ = process.communicate()
    return dict(word.split("=", 1) for word in text.split())


def take_answer(place):
    """The bytes that mta-stsd serves: the floor answers them too, the others have the same body."""
    with Server("mta-stsd", installed()["mta-stsd"], place) as server:
        answer, _ = server.first_fetch()
    place.answer.write_bytes(answer)
    place.policy.write_bytes(answer.partition(b"\r\n\r\n")[2])
