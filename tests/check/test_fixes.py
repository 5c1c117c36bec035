# SPDX-License-Identifier: MIT
"""A fix is a line that can be pasted: into the zone or the INI, and the next run is clean."""
import re

import process
import pytest
import tool
import world as worlds
from policies import policy, server_section
from servers import END_WITH_US

DOMAIN = "repair.test"
HOST = f"mta-sts.{DOMAIN}"
MX = ["mx.good.test", "other.mx.good.test"]
PLACE = [f"{HOST}. A {worlds.V4(11)}", f"{DOMAIN}. MX 10 {MX[0]}."]
STS, RPT = f"_mta-sts.{DOMAIN}.", f"_smtp._tls.{DOMAIN}."


class Site:
    """The domain with a server and an INI of its own, and its zone."""

    def __init__(self, world, directory):
        self.world = world
        self.ini = directory / "a.ini"
        pair = world.pki.pair("repair", [HOST])
        self.server_lines = server_section([f"{worlds.V4(11)}:443"], **pair._asdict())
        self.server = None

    def serve(self, **keys):
        """Starts, or starts again, with this in the INI's policy."""
        values = {"mode": "enforce", "mx": MX[:1], "max_age": 1209600, "rua": [worlds.RUA]} | keys
        self.ini.write_text(self.server_lines + policy([DOMAIN], **values))
        self.restart()

    def restart(self):
        self.stop()
        self.server = process.Server(self.ini, [r"code=MAX_AGE_SHORT "], before=END_WITH_US)
        self.server.wait_ready()

    def stop(self):
        server, self.server = self.server, None
        if server is not None:
            server.stop()
            server.check_log()

    def records(self):
        return [line for line in self.world.records(DOMAIN, self.ini)[0] if line.startswith("_")]

    def load(self, *lines):
        self.world.knot.replace(DOMAIN, lines)

    def check(self):
        return tool.check(*self.world.options(), "-c", self.ini, DOMAIN)

    def fixes(self, code):
        return [f.get("fix") for f in self.check().findings[DOMAIN] if f["code"] == code]


@pytest.fixture
def site(world, directory):
    made = Site(world, directory)
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("code", "owner", "bad"),
    [
        ("TXT_MISSING", STS, []),
        ("TXT_MULTIPLE", STS, ['TXT "v=STSv1; id=old;"', 'TXT "v=STSv1; id=older;"']),
        ("TXT_SYNTAX", STS, ['TXT "v=STSv1; id=not-an-id;"']),
        ("ID_STALE", STS, ['TXT "v=STSv1; id=old;"']),
        ("RPT_MISSING", RPT, []),
        ("RPT_MULTIPLE", RPT, ['TXT "v=TLSRPTv1; rua=mailto:a@b.example"'] * 2),
        ("RPT_SYNTAX", RPT, ['TXT "v=TLSRPTv1 rua=mailto:a@b.example"']),
        ("RPT_RUA", RPT, ['TXT "v=TLSRPTv1; rua=a@b.example"']),
        ("RPT_RUA_EXPECTED", RPT, ['TXT "v=TLSRPTv1; rua=mailto:a@b.example"']),
    ],
)
def test_record_that_is_pasted_into_the_zone(site, code, owner, bad):
    site.serve()
    rest = [line for line in site.records() if not line.startswith(owner)]
    bad = [f"{owner} {line}".replace("a@", f"{'ab'[i]}@") for i, line in enumerate(bad)]
    site.load(*PLACE, *rest, *bad)
    (fix,) = site.fixes(code)
    site.load(*PLACE, *rest, fix)
    assert site.check().result.code == 0


def test_mx_that_is_pasted_into_the_ini(site):
    site.serve()
    place = [*PLACE, f"{DOMAIN}. MX 20 {MX[1]}."]
    site.load(*place, *site.records())
    (fix,) = site.fixes("MX_UNCOVERED")
    assert fix == f"mx = {MX[1]}"
    site.ini.write_text(f"{site.ini.read_text()}{fix}\n")
    site.restart()
    site.load(*place, *site.records())
    assert site.check().result.code == 0


def test_max_age_that_is_pasted_into_the_ini(site):
    site.serve(max_age=86400)
    site.load(*PLACE, *site.records())
    (fix,) = site.fixes("POL_MAXAGE_SHORT")
    site.ini.write_text(re.sub("^max_age = .*", fix, site.ini.read_text(), flags=re.M))
    site.restart()
    site.load(*PLACE, *site.records())
    assert site.check().result.code == 0


def test_record_without_an_ini_is_that_of_the_served_policy(site):
    site.serve()
    rest = [line for line in site.records() if not line.startswith(STS)]
    site.load(*PLACE, *rest)
    report = tool.check(*site.world.options(), DOMAIN)
    (fix,) = (f["fix"] for f in report.findings[DOMAIN] if f["code"] == "TXT_MISSING")
    site.load(*PLACE, *rest, fix)
    assert site.check().result.code == 0
