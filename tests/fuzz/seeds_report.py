# SPDX-License-Identifier: MIT
"""What the fuzzers of mta-sts-report start from."""
import base64
import gzip
import io
import json
import zipfile

REPORT = {
    "organization-name": "Example Inc.",
    "date-range": {"start-datetime": "2026-11-01T00:00:00Z",
                   "end-datetime": "2026-11-01T23:59:59Z"},
    "contact-info": "tls@example.net",
    "report-id": "1",
    "policies": [{
        "policy": {"policy-type": "sts", "policy-domain": "example.org",
                   "policy-string": ["version: STSv1", "mode: testing", "mx: mx.example.org",
                                     "max_age: 86400"],
                   "mx-host": ["mx.example.org"]},
        "summary": {"total-successful-session-count": 5, "total-failure-session-count": 2},
        "failure-details": [{"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.1",
                             "receiving-mx-hostname": "mx.example.org",
                             "receiving-ip": "2001:db8::1", "failed-session-count": 2,
                             "failure-reason-code": "expired"}]}],
}


def changed(**changes):
    """The report with a few top keys of its own."""
    return json.dumps({**REPORT, **changes}).encode()


def with_policy(**changes):
    """The report with a policy that differs."""
    return changed(policies=[{**REPORT["policies"][0], **changes}])


def zipped(data, method, members=1):
    """An archive with its sizes in front of the data."""
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w", method) as archive:
        for i in range(members):
            archive.writestr(f"{i}.json", data)
    return plain.getvalue()


class Pipe(io.RawIOBase):
    """What cannot be sought."""
    def __init__(self):
        super().__init__()
        self.data = b""

    def writable(self):
        return True

    def write(self, data):
        self.data += bytes(data)
        return len(data)


def zipped_to_pipe(data):
    """An archive with its sizes behind the data."""
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.json", data)
    return pipe.data


def mail(*parts, boundary="b"):
    """A multipart of (type, encoding, contents)."""
    text = (f"From: a@example.net\nMIME-Version: 1.0\n"
            f"Content-Type: multipart/report; report-type=tlsrpt; boundary={boundary}\n\n").encode()
    for kind, encoding, contents in parts:
        if encoding == "base64":
            contents = base64.encodebytes(contents)
        text += (f"--{boundary}\nContent-Type: {kind}\n"
                 f"Content-Transfer-Encoding: {encoding}\n\n").encode() + contents + b"\n"
    return text + f"--{boundary}--\n".encode()


def unpack_seeds():
    """Small, so that the fuzzer changes what matters."""
    text = b'{"report-id":"1"}'
    packed = gzip.compress(text, mtime=0)
    part = ("application/tlsrpt+gzip", "base64", packed)
    plain = ("text/plain", "7bit", b"Hello")
    whole = mail(("text/html", "7bit", b"<p>"), part, plain)
    return {
        "json": text, "bom": b"\xef\xbb\xbf\r\n" + text, "array": b"[]", "empty": b"",
        "gzip": packed, "members": packed + packed, "bomb": gzip.compress(b" " * 300000, mtime=0),
        "zip-stored": zipped(text, zipfile.ZIP_STORED),
        "zip-deflated": zipped(text, zipfile.ZIP_DEFLATED), "zip-pipe": zipped_to_pipe(text),
        "zip-two": zipped(text, zipfile.ZIP_DEFLATED, 2), "zip-none": zipped(text, 0, 0),
        "mail": whole, "mail-crlf": whole.replace(b"\n", b"\r\n"),
        "mail-plain": b"Subject: x\n\n" + text,
        "mail-quoted": b"Content-Transfer-Encoding: quoted-printable\n\n{=22a=22=\n:1=7D",
        "mail-uuencode": b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n#>WT*\n`\nend\n",
        "mail-in-mail": mail(plain, ("message/rfc822", "7bit", whole), boundary="c"),
        "mail-encoded": mail(("message/rfc822", "base64", whole), boundary="c"),
        "digest": b"Content-Type: multipart/digest; boundary=d\n\n--d\n\nA: b\n\n{}\n--d--\n",
        "mbox": b"From a\n" + whole + b"\nFrom b\nSubject: 2\n\n" + text + b"\n\nFrom c\n\n[]\n",
    }


def tlsrpt_seeds():
    """The schema, and departures from it that real reporters make."""
    policy = REPORT["policies"][0]
    draft = {key: value for key, value in REPORT.items() if key != "policies"}
    return {
        "report": changed(), "wrapped": json.dumps({"tls-report": REPORT}).encode(),
        "draft": json.dumps({**draft, **policy}).encode(),
        "bom": b"\xef\xbb\xbf" + changed(), "null": changed(**{"contact-info": None}),
        "no-zone": changed(**{"date-range": {"start-datetime": "2026-11-01T00:00:00",
                                             "end-datetime": "2026-10-31T00:00:00+01:00"}}),
        "strings": with_policy(summary={"total-successful-session-count": "5",
                                        "total-failure-session-count": -1}),
        "huge": with_policy(summary={"total-successful-session-count": 10 ** 30}),
        "no-details": with_policy(**{"failure-details": None}),
        "tlsa": changed(policies=[policy, {**policy, "policy": {
            "policy-type": "tlsa", "policy-domain": "Example.ORG.", "policy-string": "3 1 1"}}]),
        "twice": changed(policies=[policy, policy]),
        "no-policy": changed(policies=[{"policy": {"policy-type": "no-policy-found"}}]),
        "control": changed(**{"organization-name": "\x1b[31m<b>\u202e"}),
    }
