# SPDX-License-Identifier: MIT
"""Wrappings of mail that Python's email package makes: whatever type and name say, the first bytes
of a part decide."""
import gzip
import io
import json
import mailbox
import zipfile
from email.message import EmailMessage
from email.policy import SMTP

import pytest
import runner

PLAIN = (runner.DATA / "plain.json").read_bytes()
GZIP = gzip.compress(PLAIN, mtime=0)


def zipped(data, name="report.json"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


ZIP = zipped(PLAIN)
TYPES = [
    "application/tlsrpt+json",
    "application/tlsrpt+gzip",
    "application/tlsrpt+x-gzip",
    "application/tlsrpt+zip",
    "application/tlsrpt",
    "application/gzip",
    "application/x-zip-compressed",
    "application/octet-stream",
    "image/png",
    "text/plain",
]
NAMES = ["a.json", "a.json.gz", "a.zip", "a.exe", None]


def message(data, type="application/tlsrpt+gzip", name="a.json.gz", text="A report.", cte="base64"):
    mail = EmailMessage()
    mail["From"] = "tlsrpt@example.net"
    mail["To"] = "tlsrpt@example.com"
    mail["Subject"] = "Report Domain: example.com Submitter: example.net Report-ID: <1>"
    mail.set_content(text)
    maintype, _, subtype = type.partition("/")
    mail.add_attachment(data, maintype=maintype, subtype=subtype, filename=name, cte=cte)
    return mail


def is_counted(path, **more):
    report = runner.report(path, **more)
    return (report.sessions(), report.result.err, report.result.code) == (
        {"example.com": (5, 0)},
        "",
        0,
    )


@pytest.mark.parametrize("data", [PLAIN, GZIP, ZIP], ids=["json", "gzip", "zip"])
@pytest.mark.parametrize("type", TYPES)
def test_first_bytes_decide_whatever_the_type(file, data, type):
    assert is_counted(file(message(data, type).as_bytes(policy=SMTP)))


@pytest.mark.parametrize("data", [PLAIN, GZIP, ZIP], ids=["json", "gzip", "zip"])
@pytest.mark.parametrize("name", NAMES)
def test_first_bytes_decide_whatever_the_name(file, data, name):
    assert is_counted(file(message(data, name=name).as_bytes()))


@pytest.mark.parametrize("data", [PLAIN, GZIP, ZIP], ids=["json", "gzip", "zip"])
@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.zip", "a.eml", "a"])
def test_first_bytes_decide_whatever_the_file_is_called(file, data, name):
    assert is_counted(file(data, name))


@pytest.mark.parametrize("cte", ["base64", "quoted-printable"])
def test_transfer_encodings(file, cte):
    assert is_counted(file(message(PLAIN, cte=cte).as_bytes()))
    assert is_counted(file(message(GZIP, cte=cte).as_bytes(policy=SMTP)))


def test_json_as_seven_bit(file):
    mail = message(PLAIN).as_bytes().split(b"\n\n")[0] + b"\n\n"
    head = mail.replace(b"multipart/mixed", b"application/tlsrpt+json")
    assert is_counted(file(head + PLAIN))


def test_report_alone_is_the_message(file):
    mail = EmailMessage()
    mail["Subject"] = "Report Domain: example.com"
    mail.set_content(GZIP, maintype="application", subtype="tlsrpt+gzip")
    assert is_counted(file(mail.as_bytes()))


def test_two_reports_in_a_message(file):
    other = json.loads(PLAIN) | {"report-id": "another"}
    mail = message(PLAIN)
    mail.add_attachment(json.dumps(other).encode(), maintype="application", subtype="tlsrpt+json")
    assert runner.report(file(mail.as_bytes())).sessions() == {"example.com": (10, 0)}


def test_same_report_twice_in_a_message_counts_once(file):
    mail = message(PLAIN)
    mail.add_attachment(GZIP, maintype="application", subtype="tlsrpt+gzip")
    report = runner.report(file(mail.as_bytes()))
    assert report.sessions() == {"example.com": (5, 0)}
    assert report.data["duplicates"] == 1


def test_forwarded_message(file):
    outer = EmailMessage()
    outer["Subject"] = "Fwd: a report"
    outer.set_content("See below.")
    outer.add_attachment(message(GZIP))
    assert is_counted(file(outer.as_bytes()))


def test_one_bad_report_does_not_hide_the_other(file):
    mail = message(GZIP[:-40])
    mail.add_attachment(GZIP, maintype="application", subtype="tlsrpt+gzip")
    report = runner.report(file(mail.as_bytes()))
    assert report.sessions() == {"example.com": (5, 0)}
    assert (report.data["unreadable"], report.result.code) == (1, 2)
    assert "part" in report.result.err and report.result.err.count("\n") == 1


def test_standard_input(file):
    for data in (PLAIN, GZIP, ZIP, message(GZIP).as_bytes()):
        assert is_counted("-", stdin=data)


def test_mbox_of_a_mail_program(directory):
    box = mailbox.mbox(directory / "box")
    for number in range(20):
        tree = json.loads(PLAIN) | {"report-id": str(number)}
        text = "From here on\n\nFrom there\n" if number % 2 else "words\n"
        box.add(message(gzip.compress(json.dumps(tree).encode()), text=text))
    box.add(EmailMessage())
    box.close()
    report = runner.report(directory / "box")
    assert report.sessions() == {"example.com": (100, 0)}
    assert report.result.code == 0
    report = runner.report("-", stdin=(directory / "box").read_bytes())
    assert report.sessions() == {"example.com": (100, 0)}


def test_maildir_of_a_mail_program(directory):
    box = mailbox.Maildir(directory / "box")
    for number in range(6):
        tree = json.loads(PLAIN) | {"report-id": str(number)}
        entry = mailbox.MaildirMessage(message(gzip.compress(json.dumps(tree).encode())))
        entry.set_subdir("cur" if number % 2 else "new")
        box.add(entry)
    (directory / "box/tmp/half").write_bytes(GZIP[:20])
    (directory / "box/index").write_bytes(b"\x00\x00 of the mail program")
    report = runner.report(directory / "box")
    assert report.sessions() == {"example.com": (30, 0)}
    assert (report.result.err, report.result.code) == ("", 0)


def test_directory_of_everything(directory):
    (directory / "a/b/c").mkdir(parents=True)
    for number, place in enumerate(["a/1.json", "a/b/2.gz", "a/b/c/3.zip", "4.eml", "5.mbox"]):
        data = json.dumps(json.loads(PLAIN) | {"report-id": str(number)}).encode()
        mail = message(data).as_bytes()
        packed = {
            "json": data,
            "gz": gzip.compress(data),
            "zip": zipped(data),
            "eml": mail,
            "mbox": b"From a@example.net Wed Mar  6 01:02:03 2024\n" + mail,
        }
        (directory / place).write_bytes(packed[place.rpartition(".")[2]])
    (directory / ".hidden").write_bytes(b"not looked at")
    assert runner.report(directory).sessions() == {"example.com": (25, 0)}
    # Named twice, counted once.
    twice = runner.report(directory, directory / "a")
    assert twice.sessions() == {"example.com": (25, 0)}
    assert twice.data["duplicates"] == 3
