# SPDX-License-Identifier: MIT
"""Two Postfix systems of our own: one that takes the mail of all MX hosts, and one that sends."""
import email
import os
import pwd
import re
import select
import smtplib
import time

from process import DEADLINE
from senders import call
from servers import POSTFIX_LIBRARY, Program, wait_for_port

NOBODY = 65534
MAIN_CF = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = /dev/stdout
inet_protocols = ipv4
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
"""
MASTER_CF = """
pickup    unix       n - n 60    1 pickup
cleanup   unix       n - n -     0 cleanup
qmgr      unix       n - n 300   1 qmgr
rewrite   unix       - - n -     - trivial-rewrite
bounce    unix       - - n -     0 bounce
defer     unix       - - n -     0 bounce
trace     unix       - - n -     0 bounce
retry     unix       - - n -     - error
error     unix       - - n -     - error
flush     unix       n - n 1000? 0 flush
smtp      unix       - - n -     - smtp
virtual   unix       - n n -     - virtual
proxymap  unix       - - n -     - proxymap
tlsmgr    unix       - - n 1000? 1 tlsmgr
anvil     unix       - - n -     1 anvil
postlog   unix-dgram n - n -     1 postlogd
"""
QUEUES = (
    "active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace"
)


class Postfix(Program):
    """`services`: {address: options of smtpd}; `options`: of all."""

    def __init__(self, directory, services, options):
        self.directory = directory
        owner = pwd.getpwnam("postfix")
        for name in ["data", *(f"queue/{queue}" for queue in QUEUES.split())]:
            (directory / name).mkdir(parents=True)
            os.chown(directory / name, owner.pw_uid, owner.pw_gid)
        for name in ("queue/pid", "config"):
            (directory / name).mkdir()
        main = MAIN_CF.format(directory=directory)
        main += "".join(f"{name} = {value}\n" for name, value in options.items())
        master = MASTER_CF
        for address, more in services.items():
            words = " ".join(f"-o {name}={value}" for name, value in more.items())
            master += f"{address}:25 inet n - n - - smtpd {words}\n"
        self.config = directory / "config"
        (self.config / "main.cf").write_text(main)
        (self.config / "master.cf").write_text(master)
        self.address = next(iter(services)), 25
        super().__init__(POSTFIX_LIBRARY / "master", "-d", "-c", self.config)

    def wait_ready(self):
        wait_for_port(self.process, self.address)


class Receiver(Postfix):
    """Keeps the mail of every domain in one Maildir."""

    def __init__(self, directory, services):
        self.mail = directory / "mail"
        self.mail.mkdir()
        os.chown(self.mail, NOBODY, NOBODY)
        options = {
            "virtual_mailbox_domains": "static:all",
            "virtual_mailbox_maps": "static:mail/",
            "virtual_mailbox_base": directory,
            "virtual_uid_maps": f"static:{NOBODY}",
            "virtual_gid_maps": f"static:{NOBODY}",
        }
        super().__init__(directory, services, options)

    def find(self, recipient):
        """The messages that have arrived for this address."""
        paths = self.mail.glob("new/*")
        messages = [email.message_from_bytes(path.read_bytes()) for path in paths]
        return [message for message in messages if message["Delivered-To"] == recipient]

    def wait_for_mail(self, recipient):
        """Until it lies in the Maildir; returns what is there for this address."""
        self.log.wait_for(rf"/virtual\[\d+\]: .*to=<{recipient}>, .*status=sent ")
        return self.find(recipient)


class Sender(Postfix):
    """Asks mta-sts-daemon about each domain, and trusts what the system trusts."""

    def __init__(self, directory, daemon):
        self.daemon = daemon
        options = {
            "myhostname": "sender.test",
            "inet_interfaces": "127.0.0.1",
            "smtp_tls_security_level": "may",
            "smtp_tls_policy_maps": daemon.policies,
            "smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt",
            "smtp_tls_loglevel": "1",
        }
        super().__init__(directory, {"127.0.0.1": {}}, options)

    def policy(self, domain):
        """What Postfix is told about a domain: its words; none if it is told nothing."""
        result = call("postmap", "-c", self.config, "-q", domain, self.daemon.policies)
        assert result.stderr == b"", result
        return result.stdout.decode().split()

    def send(self, recipient):
        """Takes a message in, and returns what happened to it."""
        since = self.log.mark()
        with smtplib.SMTP("127.0.0.1", 25, timeout=DEADLINE) as client:
            text = f"From: a@sender.test\r\nTo: {recipient}\r\nSubject: test\r\n\r\nHello.\r\n"
            client.sendmail("", [recipient], text)
        return self.outcome(recipient, since)

    def flush(self, recipient):
        """Tries everything that is in the queue again; returns what happened to one message."""
        since = self.log.mark()
        result = call("postqueue", "-c", self.config, "-f")
        assert result.returncode == 0, result
        return self.outcome(recipient, since)

    def outcome(self, recipient, since):
        line = self.log.wait_for(rf"/smtp\[\d+\]: .*to=<{recipient}>, .*status=", since)
        process, number = re.search(r"(/smtp\[\d+\]: )(\w+):", line).groups()
        outcome = Outcome(line, self.log.find_all(re.escape(process), since))
        if outcome.status == "deferred":
            self.wait_until_deferred(number)
        return outcome

    def wait_until_deferred(self, number):
        """Before that, it would not be among what is flushed."""
        deadline = time.monotonic() + DEADLINE
        while not any(self.directory.glob(f"queue/deferred/*/{number}")):
            assert time.monotonic() < deadline, f"{number} is not in the queue"
            select.select([], [], [], 0.02)


class Outcome:
    """`status`: sent or deferred; `relay`: the host that it was about; `text`: why; `tls`: what
    Postfix calls the connection; `said`: all that it logged about this delivery."""

    def __init__(self, line, said):
        match = re.search(r"relay=([^\[,]+).*, status=(\w+) \((.*)\)$", line)
        assert match, line
        self.relay, self.status, self.text = match.groups()
        self.said = "\n".join(said)
        tls = re.findall(rf"(\w+) TLS connection established to {self.relay}\[", self.said)
        self.tls = tls[-1] if tls else None

    def __repr__(self):
        return self.said
