# SPDX-License-Identifier: MIT
"""--print-dns: the records, the advice around them, and a real name server that loads them."""
import json
import re
import shutil
import socket
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from policies import ENFORCED, MX, RUA, TESTING, policy
from process import DEADLINE, LineReader, run

RECORD = re.compile(r'^(?P<name>\S+\.) (?P<ttl>\d+) IN TXT (?P<strings>"[^"]*"(?: "[^"]*")*)$')
WEEK = timedelta(days=7)
NONE = policy(["example.org"], "none", MX, 86400, RUA)


def zone(ini, *options):
    result = run("-c", ini, "--print-dns", *options)
    assert (result.returncode, result.stderr) == (0, b"")
    return result.stdout.decode("ascii")


def as_json(ini, *options):
    return json.loads(zone(ini, "--json", *options))["domains"]


def strings(text):
    return re.findall(r'"([^"]*)"', text)


def records(text):
    """{name: (ttl, joined value)}; every line must be a record, a comment or empty."""
    found = {}
    for line in text.splitlines():
        if not line or line.startswith(";"):
            continue
        match = RECORD.match(line)
        assert match and match["name"] not in found, line
        assert max(map(len, strings(match["strings"]))) <= 255, line
        found[match["name"]] = (int(match["ttl"]), "".join(strings(match["strings"])))
    return found


def records_of_json(domains):
    return {
        record["name"]: (record["ttl"], record["value"])
        for domain in domains
        for record in domain["records"]
    }


def test_records_of_a_domain(write_ini):
    found = records(zone(write_ini(TESTING), "example.com"))
    sts = found.pop("_mta-sts.example.com.")
    assert sts[0] == 3600
    assert re.fullmatch(r"v=STSv1; id=[0-9a-f]{24};", sts[1])
    assert found == {"_smtp._tls.example.com.": (3600, f"v=TLSRPTv1; rua={RUA[0]}")}


def test_all_domains_are_printed_unless_one_is_named(write_ini):
    ini = write_ini(TESTING, ENFORCED)
    names = ["example.com", "example.net", "example.org"]
    assert [domain["domain"] for domain in as_json(ini)] == names
    assert len(records(zone(ini))) == 2 * len(names)
    assert [domain["domain"] for domain in as_json(ini, "EXAMPLE.org")] == ["example.org"]
    assert len(records(zone(ini, "example.org"))) == 2


def test_domains_of_one_policy_share_its_id(write_ini):
    domains = as_json(write_ini(TESTING, ENFORCED))
    assert domains[0]["id"] == domains[1]["id"] != domains[2]["id"]


def test_json_holds_the_same_records(write_ini):
    ini = write_ini(TESTING, ENFORCED, policy(["example.edu"], "enforce", MX, 1209600))
    assert records_of_json(as_json(ini)) == records(zone(ini))


def test_json_describes_the_policy(write_ini):
    (domain,) = as_json(write_ini(ENFORCED))
    del domain["id"], domain["records"]
    assert domain == {
        "domain": "example.org",
        "host": "mta-sts.example.org",
        "mode": "enforce",
        "max_age": 2419200,
    }


@pytest.mark.parametrize("ttl", [1, 300, 604800])
def test_ttl_is_that_of_every_record(write_ini, ttl):
    ini = write_ini(TESTING)
    for found in (records(zone(ini, "--ttl", ttl)), records_of_json(as_json(ini, "--ttl", ttl))):
        assert {record_ttl for record_ttl, _ in found.values()} == {ttl}


def test_without_rua_there_is_no_tlsrpt_record(write_ini):
    ini = write_ini(policy(["example.com"], "enforce", MX, 1209600))
    assert list(records(zone(ini))) == ["_mta-sts.example.com."]
    assert "; no rua in the INI" in zone(ini)


def test_several_rua_are_joined_without_a_blank(write_ini):
    rua = ["mailto:a@example.net", "https://example.net/tls", "mailto:a%2Cb@example.net"]
    found = records(zone(write_ini(policy(["example.com"], "testing", MX, 1209600, rua))))
    assert found["_smtp._tls.example.com."][1] == "v=TLSRPTv1; rua=" + ",".join(rua)


def test_advice_tells_the_order_and_the_host_records(write_ini):
    text = zone(write_ini(TESTING), "example.com")
    steps = ["serve the new policy", "Check what is served", "Publish the TXT records"]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
    for record in ("A <IPv4", "AAAA <IPv6", "CNAME <name"):
        assert f"mta-sts.example.com. 3600 IN {record}" in text
    assert "_mta-sts.DOMAIN. IN CNAME" in text


def dates_in_zone(ini, *options):
    return re.findall(r"if published now, .* at least until\n; (\S+);", zone(ini, *options))


def dates_in_json(ini, *options):
    return [domain["remove_after"] for domain in as_json(ini, *options) if "remove_after" in domain]


@pytest.mark.parametrize("dates", [dates_in_zone, dates_in_json])
@pytest.mark.parametrize(
    ("previous", "ttl", "wait"),
    [
        (0, 3600, WEEK),
        (86400, 3600, WEEK),
        (604800, 3600, WEEK),
        (604801, 3600, WEEK + timedelta(seconds=1)),
        (1209600, 300, timedelta(days=14)),
        (31557600, 604800, timedelta(seconds=31557600)),
    ],
)
def test_removal_date_of_mode_none(write_ini, dates, previous, ttl, wait):
    ini = write_ini(f"{NONE}previous_max_age = {previous}\n")
    # The program's clock has whole seconds and may lag behind ours by a tick.
    start = datetime.now(timezone.utc) - timedelta(seconds=2)
    (text,) = dates(ini, "--ttl", ttl)
    date = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
    assert start <= date - wait - timedelta(seconds=ttl) <= datetime.now(timezone.utc)


def test_only_mode_none_has_a_removal_date(write_ini):
    none = NONE + "previous_max_age = 86400\n"
    ini = write_ini(TESTING, none, policy(["example.edu"], "enforce", MX, 1209600))
    dated = ["remove_after" in domain for domain in as_json(ini)]
    assert dated == [False, False, True, False]
    assert zone(ini).count("at least until") == 1


def test_removal_without_previous_max_age_has_no_date(write_ini):
    ini = write_ini(NONE)
    text = zone(ini)
    (domain,) = as_json(ini)
    assert "previous_max_age: set it" in text and "if published now" in text
    assert "at least until" not in text and not re.search(r"\d{4}-\d\d-\d\d", text)
    assert domain["previous_max_age"] is None
    assert "remove_after" not in domain


def test_removal_date_says_that_it_is_for_now(write_ini):
    ini = write_ini(NONE + "previous_max_age = 1209600\n")
    (domain,) = as_json(ini)
    assert domain["remove_after_if"] == "published now"
    assert "set it" not in zone(ini)


KNOT = """
server:
    listen: 127.0.0.1@{port}
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
    semantic-checks: on
zone:
"""


def free_port():
    """A port that is free for TCP and UDP: a name server must be told which."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
                return tcp.getsockname()[1]
            except OSError:
                continue


class NameServer:
    """knotd with a zone for each domain: SOA, NS and the fragment as it was printed."""

    def __init__(self, directory, fragments):
        self.port = free_port()
        config = KNOT.format(port=self.port, directory=directory)
        for domain, fragment in fragments.items():
            (directory / f"{domain}.zone").write_text(
                f"{domain}. 3600 IN SOA ns.{domain}. hostmaster.{domain}. 1 3600 600 86400 300\n"
                f"{domain}. 3600 IN NS ns.{domain}.\nns.{domain}. 3600 IN A 127.0.0.1\n{fragment}"
            )
            config += f"  - domain: {domain}.\n"
        (directory / "knot.conf").write_text(config)
        self.process = subprocess.Popen(
            ["knotd", "-c", directory / "knot.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.log = LineReader(self.process.stdout)

    def __enter__(self):
        self.log.wait_for("server started")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)

    def read(self, name):
        """The TXT record of a name: its character-strings."""
        result = subprocess.run(
            ["kdig", "@127.0.0.1", "-p", str(self.port), "+short", "+tcp", "TXT", name],
            capture_output=True,
            timeout=DEADLINE,
            check=True,
        )
        (line,) = result.stdout.decode().splitlines()
        return strings(line)


needs_knot = pytest.mark.skipif(
    not (shutil.which("knotd") and shutil.which("kdig")), reason="knot, knot-dnsutils not installed"
)


@needs_knot
def test_a_name_server_loads_the_fragments_unchanged(write_ini, directory):
    ini = write_ini(TESTING, NONE, policy(["mail.example.edu"], "enforce", MX, 1209600, RUA))
    domains = as_json(ini)
    fragments = {domain["domain"]: zone(ini, domain["domain"]) for domain in domains}
    with NameServer(directory, fragments) as name_server:
        for name, (_, value) in records_of_json(domains).items():
            assert name_server.read(name) == [value]
        assert not name_server.log.find_all("warning|error")


@needs_knot
def test_a_long_record_is_read_back_as_one_value(write_ini, directory):
    rua = [f"mailto:{letter * 60}@{letter * 60}.example.net" for letter in "abcdefghij"]
    ini = write_ini(policy(["example.com"], "testing", MX, 1209600, rua))
    name = "_smtp._tls.example.com."
    value = "v=TLSRPTv1; rua=" + ",".join(rua)
    with NameServer(directory, {"example.com": zone(ini)}) as name_server:
        parts = name_server.read(name)
    assert len(parts) > 5
    assert "".join(parts) == value
    assert records_of_json(as_json(ini))[name] == records(zone(ini))[name] == (3600, value)
