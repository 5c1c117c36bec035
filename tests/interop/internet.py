# SPDX-License-Identifier: MIT
"""The small internet of the tests: name server, policy hosts and mail exchangers."""
import contextlib
import hashlib
import re
import signal
import subprocess

import domains
import namespace
import process
import world
from domains import MAX_AGES
from faults import Listener, Place, head, http, length
from mail import Receiver
from pki import Authority
from policies import body, policy, server_section
from servers import END_WITH_US, Knot

NAME_SERVER = namespace.address(53)
POLICY_HOST, OTHER_POLICY_HOST = namespace.address(10), namespace.address(11)
FETCHED = "^level=info event=fetch domain={} status=200 "
RUA = "mailto:tls-reports@reports.example"
ADDRESSES = {host: namespace.address(40 + i) for i, host in enumerate(domains.EXCHANGES)}


def serve_policy(octets):
    """How the other policy host talks."""
    return http(lambda _: head(length(len(octets))) + octets)


class Internet:
    def __init__(self, directory, certificates):
        self.directory, self.certificates = directory, certificates
        self.pki = Authority(self.subdirectory("pki"))
        self.ini = directory / "a.ini"
        self.policies = dict(domains.BY_NAME)  # as the INI has them
        self.exchanges = {domain.name: domain.exchanges for domain in domains.SERVED}
        self.cleanup = contextlib.ExitStack()

    def start(self):
        namespace.prepare()
        self.trust_ourselves()
        self.start_stsd()
        self.start_other_policy_host()
        self.start_knot()
        self.start_receiver()
        return self

    def subdirectory(self, name):
        path = self.directory / name
        path.mkdir()
        return path

    def keep(self, server):
        self.cleanup.callback(server.close)
        return server

    def trust_ourselves(self):
        """Our root becomes the one that the system trusts in here."""
        store = self.certificates / "ca-certificates.crt"
        store.write_bytes(self.pki.root.read_bytes())
        subprocess.run(["openssl", "rehash", self.certificates], check=True)

    # The policy hosts.

    def start_stsd(self):
        hosts = [f"mta-sts.{name}" for name in domains.NAMES]
        self.pair = self.pki.pair("stsd", hosts)
        self.write_ini()
        self.stsd = process.Server(self.ini, before=END_WITH_US)
        self.cleanup.callback(self.stsd.stop)
        self.stsd.wait_ready()

    def write_ini(self):
        """By rename, so that nobody sees half of it."""
        text = server_section([f"{POLICY_HOST}:443"], **self.pair._asdict())
        for name, mode, patterns, _ in self.policies.values():
            more = {"previous_max_age": MAX_AGES["enforce"]} if mode == "none" else {}
            text += policy([name], mode, patterns, MAX_AGES[mode], [RUA], **more)
        beside = self.ini.with_suffix(".new")
        beside.write_text(text)
        beside.rename(self.ini)

    def change_policy(self, name, **changes):
        """As an administrator does: the INI, then SIGHUP; returns when it is served."""
        self.policies[name] = self.policies[name]._replace(**changes)
        since = self.stsd.mark()
        self.write_ini()
        self.stsd.signal(signal.SIGHUP)
        self.stsd.wait_for("^level=info event=reloaded ", since)

    def body(self, name):
        """The octets of its policy as the INI has it."""
        domain = self.policies[name]
        return body(domain.mode, domain.patterns, MAX_AGES[domain.mode])

    def lines(self, name):
        return self.body(name).decode().splitlines()

    def identifier(self, name):
        """What a sender must be told is the id of that policy."""
        return hashlib.sha256(self.body(name)).hexdigest()[:24]

    def fetches(self, name, since):
        """The lines of the log that say so."""
        return self.stsd.find_all(FETCHED.format(re.escape(name)), since)

    def wait_for_fetch(self, name, since):
        return self.stsd.wait_for(FETCHED.format(re.escape(name)), since)

    def start_other_policy_host(self):
        pair = self.pki.pair("other", [f"mta-sts.{domains.ELSEWHERE}"])
        octets = body("enforce", [domains.ROGUE], MAX_AGES["enforce"])
        place = Place(world.tls_settings(pair), octets)
        address = OTHER_POLICY_HOST, 443
        self.other = self.keep(Listener(address, serve_policy(octets), place))

    # Names.

    def print_dns(self, *names):
        result = process.run("-c", self.ini, "--print-dns", *names)
        assert (result.returncode, result.stderr) == (0, b"")
        return result.stdout

    def zone_lines(self, name):
        """A zone as its administrator has it; what mta-stsd printed is included as it is."""
        printed = self.directory / f"{name}.printed"
        printed.write_bytes(self.printed[name])
        return [
            f"mta-sts.{name}. A {POLICY_HOST}",
            *self.exchange_lines(name),
            f'$INCLUDE "{printed}"',
        ]

    def exchange_lines(self, name):
        lines = [f"{name}. MX {10 + i} {host}." for i, host in enumerate(self.exchanges[name])]
        ours = [host for host in ADDRESSES if host.endswith(f".{name}")]
        return lines + [f"{host}. A {ADDRESSES[host]}" for host in ours]

    def start_knot(self):
        self.printed = {name: self.print_dns(name) for name in domains.NAMES}
        zones = {name: self.zone_lines(name) for name in domains.NAMES}
        mail = f"MX 10 {domains.ROGUE}."
        record = '_mta-sts TXT "v=STSv1; id=1;"'
        zones["rogue.test"] = [f"{domains.ROGUE}. A {ADDRESSES[domains.ROGUE]}"]
        zones[domains.NO_POLICY] = [f"@ {mail}"]
        zones[domains.STRANGER] = [f"@ {mail}", record, f"mta-sts A {POLICY_HOST}"]
        zones[domains.MISNAMED_HOST] = [f"@ {mail}", record, f"mta-sts A {OTHER_POLICY_HOST}"]
        zones[domains.ELSEWHERE] = [f"@ {mail}", record, f"mta-sts A {OTHER_POLICY_HOST}"]
        self.knot = self.keep(Knot(self.subdirectory("knot"), [NAME_SERVER], zones))

    def publish(self, name):
        """New records as --print-dns has them now."""
        self.printed[name] = self.print_dns(name)
        self.knot.replace(name, self.zone_lines(name))

    def move_mail(self, name, *exchanges):
        """Other MX records; the rest of the zone stays."""
        self.exchanges[name] = exchanges
        self.knot.replace(name, self.zone_lines(name))

    # Mail.

    def start_receiver(self):
        services = {}
        for host, address in ADDRESSES.items():
            kind = domains.BAD_EXCHANGES.get(host, "good")
            services[address] = {"myhostname": host, "smtpd_tls_security_level": "none"}
            if kind is not None:
                pair = world.certificate(self.pki, kind, host)
                services[address] |= {
                    "smtpd_tls_security_level": "may",
                    "smtpd_tls_chain_files": f"{pair.private_key},{pair.certificate}",
                }
        self.receiver = self.keep(Receiver(self.subdirectory("receiver"), services))
