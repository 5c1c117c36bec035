# SPDX-License-Identifier: MIT
"""What the fuzzers of mta-stsd's own parsers start from: requests, INI files, policies, records, the
environment."""
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "system"))

import vectors  # pylint: disable=wrong-import-position

LINE = b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n"
HOST = b"Host: mta-sts.example.com\r\n"
GET = LINE + HOST


def http_seeds():
    """Requests that real senders send, and one for each way to refuse."""
    old = LINE.replace(b"1.1", b"1.0")
    absolute = LINE.replace(b"GET ", b"GET https://MTA-STS.example.com:443")
    return {
        "go": GET + b"User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n",
        "node": LINE + b"host: mta-sts.example.com\r\nConnection: close\r\n\r\n",
        "mimecast": LINE + b"Content-Type: text/plain\r\n" + HOST + b"\r\n",
        "head": GET.replace(b"GET", b"HEAD") + b"\r\n", "empty-line": b"\r\n" + GET + b"\r\n",
        "old": old + b"\r\n", "old-host": old + HOST + b"\r\n", "absolute": absolute + HOST + b"\r\n",
        "foreign": absolute.replace(b"https", b"http") + HOST + b"\r\n",
        "port": LINE + b"Host: mta-sts.example.com.:8443 \r\n\r\n",
        "literal": LINE + b"Host: [2001:db8::1]:443\r\n\r\n", "no-host": LINE + b"\r\n",
        "two-hosts": GET + HOST + b"\r\n", "post": GET.replace(b"GET", b"POST") + b"\r\n",
        "body": GET + b"Content-Length: 5\r\n\r\nhello", "no-body": GET + b"Content-Length: 0\r\n\r\n",
        "chunked": GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "coding": GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        "both": GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "unknown": b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", "path": b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
        "options": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
        "connect": b"CONNECT example.com:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        "h2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bare-lf": GET.replace(b"\r", b"") + b"\n",
        "fold": GET + b"A: b\r\n c\r\n\r\n", "blank-colon": GET + b"A : b\r\n\r\n",
        "nul": GET + b"A: \0\r\n\r\n", "high": GET + b"A: \xff\r\n\r\n", "cr": GET + b"A: \r b\r\n\r\n",
        "pipeline": GET + b"\r\n" + GET + b"\r\n", "long-line": b"GET /" + b"a" * 4200,
        "long-head": GET + b"A: b\r\n" * 1400,
    }


INI = (b"[server]\nlisten = [::]:443\ncertificate = /c/{host}.pem\nworkers = 2\nsandbox = strict\n"
       b"log = debug\ntimeout = 5\nmetrics_file = m.prom\n\n"
       b"[policy]\ndomain = example.com\ndomain = Example.ORG\nmode = enforce\n"
       b"mx = mail.example.com\nmx = *.example.net\nmax_age = 1209600\nserial = 7\n"
       b"rua = mailto:tls@example.net\nrua = https://r.example.net/v1?a\n\n"
       b"[policy two]\ndomain = example.net\nmode = none\nmx = a.example.net\n"
       b"max_age = 86400\nprevious_max_age = 1209600\n")
# One octet away from what is accepted.
INI_CHANGES = {
    "crlf": (b"\n", b"\r\n"), "domain-underscore": (b"domain = ex", b"domain = e_x"),
    "domain-hyphen": (b"domain = ex", b"domain = -ex"), "domain-number": (b".com", b".1"),
    "mx-underscore": (b"mx = m", b"mx = _m"), "mx-dot": (b"mx = mail.", b"mx = mail.."),
    "mx-star": (b"*.example", b"*.*.example"), "age-zero": (b"1209600", b"01209600"),
    "age-large": (b"1209600", b"31557601"), "serial-long": (b"serial = 7", b"serial = 12345678"),
    "rua-comma": (b"tls@", b"tls,x@"), "label": (b"domain = ex", b"domain = " + b"a" * 64),
    "long-record": (b"serial", b"".join(b"rua = mailto:%s@example.net\n" % (c * 100) for c in
                                        (b"a", b"b", b"c", b"d")) + b"serial"),
}


def ini_seeds():
    """The test files, one without a mistake, and changes to it."""
    files = {path.stem: path.read_bytes() for path in (vectors.DATA / "ini").glob("*.ini")}
    changed = {f"good-{name}": INI.replace(*change) for name, change in INI_CHANGES.items()}
    return {**files, "good": INI, **changed}


def policy_seeds():
    """The tables; what is too long for the fuzzer would be cut."""
    rows = [row for row in vectors.load() if row.record == "policy" and len(row.octets) <= 4096]
    return {row.name: row.octets for row in rows}


def txt_seeds():
    """The tables."""
    rows = [row for row in vectors.load() if row.record != "policy" and len(row.octets) <= 4096]
    return {row.name: row.octets for row in rows}


def env_seeds():
    """Lines: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, NOTIFY_SOCKET, what the descriptors are, whether
    there is somebody behind NOTIFY_SOCKET, the state."""
    def lines(pid="4242", fds="1", path="/run/notify", kinds="l", answers="y", state="fine"):
        return "\n".join([pid, fds, "https", path, kinds, answers, state]).encode()
    return {
        "one": lines(), "two": lines(fds="2", kinds="ll"), "none": lines(fds="0"),
        "other": lines(pid="1"), "many": lines(fds="64", kinds="l" * 64), "65": lines(fds="65"),
        "words": lines(fds="-1"), "zeros": lines(pid="0000004242", fds="0000000001"),
        "eleven": lines(pid="00000004242"), "huge": lines(fds="4294967297"),
        "file": lines(fds="2", kinds="lf"), "datagram": lines(kinds="d"), "deaf": lines(kinds="s"),
        "closed": lines(fds="3"), "abstract": lines(path="@notify"), "dead": lines(answers="n"),
        "long": lines(path="/" + "n" * 107), "longest": lines(path="/" + "n" * 106),
        "relative": lines(path="run"), "state": lines(state="%s" * 300), "busy": lines(answers="b"),
    }
