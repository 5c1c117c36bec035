# SPDX-License-Identifier: MIT
"""Options that change where the tool looks, and whom it says it is."""
import contextlib
import socket

import faults
import pytest
import tool
import world as worlds
from cases import DEAD_ADDRESS
from faults import Listener, Place
from resolver import Resolver

RESOLVER_PORT = 5300
PORTS_HOSTS = ["mta-sts.ports.test", "nowhere.ports.test"]


@contextlib.contextmanager
def resolver(address):
    server = Resolver(address, worlds.KNOT_ADDRESSES[0], {}, RESOLVER_PORT)
    with contextlib.closing(server):
        yield server


def ask(world, resolver_option, *arguments):
    return tool.check("--ca", world.pki.root, "--resolver", resolver_option, *arguments)


@pytest.mark.parametrize("text", ["192.0.2.53", "192.0.2.53:53", "[2001:db8::53]:53"])
def test_resolver_is_asked_at_its_usual_port(world, text):
    assert ask(world, text, worlds.CLEAN).result.code == 0


@pytest.mark.parametrize("address", [worlds.V4(55), worlds.V6(0x55)])
def test_resolver_is_asked_at_another_port(world, address):
    text = f"[{address}]:{RESOLVER_PORT}" if ":" in address else f"{address}:{RESOLVER_PORT}"
    with resolver(address) as server:
        assert ask(world, text, worlds.CLEAN).result.code == 0
    assert server.count(f"_mta-sts.{worlds.CLEAN}") > 0


def test_without_a_resolver_the_system_s_is_asked(world):
    assert tool.check("--ca", world.pki.root, worlds.CLEAN).result.code == 0


def test_resolver_that_is_not_there_is_noticed_at_once(world):
    report = ask(world, DEAD_ADDRESS, worlds.CLEAN)
    codes = {f["code"] for f in report.findings[worlds.CLEAN]}
    assert (codes, report.result.code) == ({"DNS_FAILED"}, 1)
    assert report.result.seconds < 5 * tool.SCALE


@pytest.fixture
def ports(world):
    """The domain ports.test, whose hosts listen at other ports, and the server names that clients
    sent to them."""
    case = world.by_domain["ports.test"]
    tls = worlds.tls_settings(world.pki.pair("ports", PORTS_HOSTS))
    names = []
    tls.sni_callback = lambda _socket, name, _settings: names.append(name)
    place = Place(tls, case.policy)
    web = faults.http(lambda policy: faults.head(faults.length(len(policy))) + policy)
    with contextlib.closing(Listener((DEAD_ADDRESS, 8443), web, place)):
        with contextlib.closing(Listener((DEAD_ADDRESS, 2525), faults.smtp(), place)):
            yield names


def test_ports_of_the_policy_host_and_of_the_mx(check, ports):
    report = check("--port", 8443, "--smtp-port", 2525, "ports.test")
    assert tool.keys(report.findings["ports.test"]) == []
    assert sorted(ports) == PORTS_HOSTS


def test_usual_ports(check, ports):
    report = check("ports.test")
    assert tool.keys(report.findings["ports.test"]) == [
        ("error", "HOST_CONNECT", f"{PORTS_HOSTS[0]} [{DEAD_ADDRESS}]"),
        ("warning", "MX_UNREACHABLE", f"{PORTS_HOSTS[1]} [{DEAD_ADDRESS}]"),
    ]
    assert ports == []


def test_no_smtp_leaves_the_mx_alone(world, check):
    case = world.by_domain["nosmtp.test"]
    listener = world.listener(case, "smtp", 25)
    assert check("--no-smtp", case.domain).result.code == 0
    assert listener.accepted == 0
    # The same without the option, lest the test see nothing.
    assert check(case.domain).result.code == 1
    assert listener.accepted == 1


def test_no_smtp_still_compares_the_mx_with_the_policy(check):
    report = check("--no-smtp", "uncovered.test")
    assert [f["code"] for f in report.findings["uncovered.test"] if f["severity"] == "error"] == [
        "MX_UNCOVERED"
    ]


@pytest.mark.parametrize("name", ["probe.example", None])
def test_name_that_is_said_in_ehlo(world, check, name):
    case = world.by_domain["names.test"]
    listener = world.listener(case, "smtp", 25)
    options = [] if name is None else ["--localname", name]
    assert check(*options, case.domain).result.code == 0
    wanted = f"EHLO {socket.gethostname() if name is None else name}\r\n"
    listener.wait_for(lambda: wanted in listener.heard)


def test_root_certificates_of_the_environment(world):
    arguments = ["--resolver", worlds.KNOT_ADDRESSES[0], worlds.CLEAN]
    trusting = tool.environment(SSL_CERT_FILE=str(world.pki.root))
    assert tool.check(*arguments, env=trusting).result.code == 0


def test_ca_goes_before_the_environment(world):
    (world.directory / "none.pem").touch()
    env = tool.environment(SSL_CERT_FILE=str(world.directory / "none.pem"))
    assert tool.check(*world.options(), worlds.CLEAN, env=env).result.code == 0


def test_roots_that_did_not_sign_are_not_trusted(world, check):
    other = worlds.certificate(world.pki, "self", "elsewhere.test").certificate
    # Of an option that is there twice, the last counts.
    codes = {f["code"] for f in check("--ca", other, worlds.CLEAN).findings[worlds.CLEAN]}
    assert {"HOST_CERT_CHAIN", "MX_CERT_CHAIN"} <= codes
    assert not codes & {"HOST_CERT_NAME", "HOST_CERT_DATE", "MX_CERT_NAME", "MX_CERT_DATE"}
