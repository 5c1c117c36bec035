# SPDX-License-Identifier: MIT
"""--check and the start, for every kind of certificate and key."""
import json
import os
import re
import signal
import time

import pytest
from client import ALERT_UNRECOGNIZED_NAME, Connection, context
from pki import (
    BRAINPOOL,
    CA_EXTENSIONS,
    CLIENT_ONLY,
    EC_224,
    EC_256K1,
    EC_384,
    EC_521,
    ENCIPHERMENT_ONLY,
    LEAF_EXTENSIONS,
    LEAF_ONLY,
    MUST_STAPLE,
    REVERSED,
    RSA,
    RSA_1024,
    WITH_ROOT,
    Pair,
    openssl,
)
from policies import TESTING, policy, server_section
from process import run

HOSTS = ["mta-sts.example.com", "mta-sts.example.net"]


def by_name(name, hosts=HOSTS, **signing):
    return lambda pki, directory: pki.pair(name, hosts, **signing)


def chain(*authorities, order=None, **leaf):
    """A leaf below intermediates: (name, how it is made), from the top."""
    names = [name for name, _ in authorities]

    def build(pki, directory):
        for name, how in authorities:
            pki.authority(name, **how)
        signing = {"issuer": names[-1], **leaf}
        parts = order or ("leaf", *reversed(names))
        return pki.pair("-".join(["below", *names, *parts]), HOSTS, order=parts, **signing)

    return build


def files(certificate=None, private_key=None):
    """The good pair with other files in its place, made by a function of their path."""

    def build(pki, directory):
        paths = list(pki.pair("good", HOSTS))
        for i, make in enumerate((certificate, private_key)):
            if make is not None:
                paths[i] = directory / f"{i}.pem"
                make(pki, paths[i])
        return Pair(*paths)

    return build


def missing(pki, path):
    pass


def a_directory(pki, path):
    path.mkdir()


def a_pipe(pki, path):
    os.mkfifo(path)


def empty(pki, path):
    path.touch(0o600)


def garbage(pki, path):
    path.touch(0o600)
    path.write_bytes(bytes(range(256)) * 20)


def damaged(pki, path):
    """The second certificate of the chain cannot be read."""
    good = pki.pair("good", HOSTS).certificate.read_text()
    head, begin, tail = good.rpartition("-----BEGIN CERTIFICATE-----\n")
    path.write_text(head + begin + "MIIB" + tail[4:200] + "\n-----END CERTIFICATE-----\n")


def encrypted(pki, path):
    openssl(
        *("pkey", "-in", pki.pair("good", HOSTS).private_key, "-aes256"),
        *("-passout", "pass:secret", "-out", path),
    )


def of_another(pki, path):
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)


def readable(pki, path):
    path.write_bytes(pki.pair("good", HOSTS).private_key.read_bytes())
    path.chmod(0o644)


def self_signed(pki, path):
    key = pki.pair("good", HOSTS).private_key
    openssl(
        *("req", "-x509", "-key", key, "-subj", "/CN=x", "-days", "90", "-out", path),
        *("-addext", f"subjectAltName=DNS:{HOSTS[0]},DNS:{HOSTS[1]}"),
    )


UNSIGNED = "not signed by the one behind it, which has the right name but another key"
SECOND = "-chain.pem: certificate 2 in it, CN=test intermediate:"
NAMESAKE = ("namesake", {})
LOWER = ("lower", {"issuer": "intermediate", "subject": "lower"})
EXPIRED_INTERMEDIATE = chain(("expired-ca", {"days": (-20, -10)}))

# kind: (pair, severity, code, part of the text)
KINDS = {
    "expired": (
        by_name("expired", days=(-20, -10)),
        *("error", "CERT_EXPIRED", "expired 10 days ago"),
    ),
    "expires soon": (
        by_name("soon", days=(-1, 6.5)),
        *("warning", "CERT_EXPIRES", "expires in 6 days"),
    ),
    "not yet valid": (by_name("future", days=(2, 90)), "error", "CERT_NOT_YET", "not valid yet"),
    "RSA 1024": (by_name("rsa1024", key=RSA_1024), "error", "CERT_WEAK", "a key of 1024 bits"),
    "P-224": (by_name("p224", key=EC_224), "error", "CERT_WEAK", "a key of 224 bits"),
    "SHA-1": (by_name("sha1", md="sha1"), "error", "CERT_WEAK", "signed with MD5 or SHA-1"),
    "must-staple": (by_name("staple", more=MUST_STAPLE), "error", "CERT_MUST_STAPLE", "stapling"),
    "common name only": (
        by_name("cn", hosts=[], subject=HOSTS[0]),
        *("error", "CERT_NAME", f"no DNS name (subjectAltName) for {HOSTS[0]}"),
    ),
    "another host": (
        by_name("other", hosts=["example.com", "www.example.com"]),
        *("error", "CERT_NAME", f"no DNS name (subjectAltName) for {HOSTS[0]}"),
    ),
    "partial wildcard": (
        by_name("partial", hosts=["mta-*.example.com", "*.com", "*.mta-sts.example.com"]),
        *("error", "CERT_NAME", f"no DNS name (subjectAltName) for {HOSTS[0]}"),
    ),
    "no intermediate": (by_name("leaf", order=LEAF_ONLY), "warning", "CERT_CHAIN", "only the leaf"),
    "self-signed": (files(self_signed), "warning", "CERT_CHAIN", "self-signed"),
    "wrong order": (by_name("reversed", order=REVERSED), "error", "CERT_KEY", "does not belong to"),
    "unrelated behind the leaf": (
        by_name("twice", order=("leaf", "leaf")),
        *("error", "CERT_CHAIN", "not a chain"),
    ),
    "intermediate of the same name": (
        chain(NAMESAKE, issuer="intermediate"),
        *("error", "CERT_CHAIN", f"-chain.pem: {UNSIGNED}"),
    ),
    "intermediate of the same name, further up": (
        chain(NAMESAKE, LOWER, order=("leaf", "lower", "namesake")),
        *("error", "CERT_CHAIN", f"-chain.pem: certificate 2 in it, CN=lower: {UNSIGNED}"),
    ),
    "intermediate not of an authority": (
        chain(("no-authority", {"extensions": LEAF_EXTENSIONS})),
        *("error", "CERT_CHAIN", UNSIGNED),
    ),
    "intermediate that may not sign": (
        chain(("no-signing", {"extensions": CA_EXTENSIONS.replace("keyCertSign,", "")})),
        *("error", "CERT_CHAIN", UNSIGNED),
    ),
    "intermediate that may not have another below": (
        chain(
            ("last", {"extensions": CA_EXTENSIONS.replace("TRUE", "TRUE,pathlen:0")}),
            ("too-low", {"issuer": "last", "subject": "too low"}),
        ),
        *("error", "CERT_CHAIN", UNSIGNED),
    ),
    "more intermediates than can be verified": (
        chain(*((f"deep{i}", {"issuer": f"deep{i - 1}" if i else "root"}) for i in range(10))),
        *("error", "CERT_CHAIN", "too long a chain"),
    ),
    "intermediate expired": (
        EXPIRED_INTERMEDIATE,
        *("error", "CERT_EXPIRED", f"{SECOND} expired 10 days ago: renew it"),
    ),
    "intermediate expires soon": (
        chain(("soon-ca", {"days": (-1, 6.5)})),
        *("warning", "CERT_EXPIRES", f"{SECOND} expires in 6 days"),
    ),
    "intermediate not yet valid": (
        chain(("future-ca", {"days": (2, 90)})),
        *("error", "CERT_NOT_YET", f"{SECOND} not valid yet"),
    ),
    "intermediate RSA 1024": (
        chain(("rsa1024-ca", {"key": RSA_1024})),
        *("error", "CERT_WEAK", f"{SECOND} a key of 1024 bits"),
    ),
    "intermediate P-224": (
        chain(("p224-ca", {"key": EC_224})),
        *("error", "CERT_WEAK", f"{SECOND} a key of 224 bits"),
    ),
    "intermediate secp256k1": (
        chain(("k1-ca", {"key": EC_256K1})),
        *("error", "CERT_WEAK", f"{SECOND} a key on a curve that senders do not take"),
    ),
    "intermediate SHA-1": (
        chain(("sha1-ca", {"md": "sha1"})),
        *("error", "CERT_WEAK", f"{SECOND} signed with MD5 or SHA-1"),
    ),
    "intermediate for clients": (
        chain(("client-ca", {"extensions": CA_EXTENSIONS + "extendedKeyUsage=clientAuth\n"})),
        *("error", "CERT_USAGE", f"{SECOND} its extendedKeyUsage lacks serverAuth"),
    ),
    "for clients": (
        by_name("client", extensions=CLIENT_ONLY),
        *("error", "CERT_USAGE", "its extendedKeyUsage lacks serverAuth"),
    ),
    "key for encipherment": (
        by_name("encipherment", key=RSA, extensions=ENCIPHERMENT_ONLY),
        *("error", "CERT_USAGE", "its keyUsage lacks digitalSignature"),
    ),
    "secp256k1": (by_name("k1", key=EC_256K1), "error", "CERT_WEAK", "a key on a curve"),
    "brainpool": (by_name("brainpool", key=BRAINPOOL), "error", "CERT_WEAK", "a key on a curve"),
    "no certificate file": (files(missing), "error", "CERT_FILE", "No such file or directory"),
    "certificate a directory": (files(a_directory), "error", "CERT_FILE", "is a directory"),
    "certificate a pipe": (files(a_pipe), "error", "CERT_FILE", "is not a regular file"),
    "certificate empty": (files(empty), "error", "CERT_FILE", "not a PEM certificate chain"),
    "certificate garbage": (files(garbage), "error", "CERT_FILE", "not a PEM certificate chain"),
    "certificate damaged": (files(damaged), "error", "CERT_FILE", "a certificate in it"),
    "no key file": (files(None, missing), "error", "KEY_FILE", "No such file or directory"),
    "key a directory": (files(None, a_directory), "error", "KEY_FILE", "is a directory"),
    "key empty": (files(None, empty), "error", "KEY_FILE", "not a PEM private key"),
    "key garbage": (files(None, garbage), "error", "KEY_FILE", "not a PEM private key"),
    "key encrypted": (files(None, encrypted), "error", "KEY_FILE", "the private key is encrypted"),
    "key of another": (files(None, of_another), "error", "CERT_KEY", "does not belong to"),
    "key readable by all": (files(None, readable), "warning", "KEY_RIGHTS", "chmod o-r"),
}


@pytest.fixture
def check(directory):
    """Runs --check for policies with a pair in [server]."""

    def run_check(pair, *policies, options=()):
        keys = {} if pair is None else pair._asdict()
        path = directory / "a.ini"
        path.write_text("\n".join([server_section(**keys, user="65534:65534"), *policies]))
        return run("-c", path, "--check", *options)

    return run_check


def findings(result):
    """(severity, code, text) of each line."""
    pattern = re.compile(r"^\S+a\.ini(?::\d+)?: (error|warning|info)\[(\w+)\]: (.*)$")
    matches = map(pattern.match, result.stdout.decode("ascii").splitlines())
    return [match.groups() for match in matches if match]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_kind_of_pair_is_judged(check, pki, directory, kind):
    build, severity, code, text = kind
    result = check(build(pki, directory), TESTING)
    found = findings(result)
    assert result.returncode == (1 if severity == "error" else 0)
    assert any(f[:2] == (severity, code) and text in f[2] for f in found), found
    # The one mistake, once a host where it is about hosts, and nothing else.
    assert {f[1] for f in found} - {"PUBLISH_ORDER"} == {code}


def test_good_pair_has_no_findings(check, pair):
    result = check(pair, TESTING)
    assert result.returncode == 0
    assert [code for _, code, _ in findings(result)] == ["PUBLISH_ORDER"]
    assert result.stdout.decode().endswith("domains: 2, usable: 2, policies: 1, errors: 0, warnings: 0\n")


@pytest.mark.parametrize(
    "build",
    [
        by_name("with-root", order=WITH_ROOT),
        by_name("p384", key=EC_384),
        by_name("p521", key=EC_521),
        by_name("no-usage", extensions=""),
        by_name("any-usage", extensions=CLIENT_ONLY.replace("Auth", "Auth,anyExtendedKeyUsage")),
        by_name("rsa-good", key=RSA),
        chain(LOWER, order=("leaf", "lower", "intermediate", "root")),
        chain(("rsa-ca", {"key": RSA}), order=("leaf", "rsa-ca", "root")),
        chain(("p384-ca", {"key": EC_384}), md="sha384"),
        chain(("p521-ca", {"key": EC_521}), md="sha512"),
    ],
    ids=[
        *("root sent too", "P-384", "P-521", "any use", "any extended use", "RSA"),
        *("two intermediates", "RSA intermediate", "P-384 intermediate", "P-521 intermediate"),
    ],
)
def test_good_chain_has_no_findings(check, pki, directory, build):
    result = check(build(pki, directory), TESTING)
    assert [code for _, code, _ in findings(result)] == ["PUBLISH_ORDER"]
    assert result.returncode == 0


def test_all_that_is_wrong_with_a_chain_is_said(check, pki, directory):
    bad = chain(
        ("bad-ca", {"days": (-20, -10), "key": RSA_1024}), days=(-20, -15), extensions=CLIENT_ONLY
    )
    found = findings(check(bad(pki, directory), TESTING))
    assert [(code, "certificate 2" in text) for _, code, text in found] == [
        *(("CERT_WEAK", True), ("CERT_USAGE", False)),
        *(("CERT_EXPIRED", False), ("CERT_EXPIRED", True)),
    ]


def test_name_of_an_intermediate_is_escaped(check, pki, directory):
    hostile = chain(("hostile-ca", {"days": (-20, -10), "subject": "\x1b[31m\r\nerror"}))
    result = check(hostile(pki, directory), TESTING)
    assert [code for _, code, _ in findings(result)] == ["CERT_EXPIRED"]
    assert b"\x1b" not in result.stdout


def test_wildcard_covers_one_label(check, pki):
    pair = pki.pair("wildcard", ["*.example.com", "*.example.net"])
    assert check(pair, TESTING).returncode == 0


def test_name_in_upper_case_covers_the_host(check, pki):
    pair = pki.pair("upper", [host.upper() for host in HOSTS])
    assert check(pair, TESTING).returncode == 0


def test_rsa_certificate_is_good(check, rsa_pair):
    section = policy(["example.org"], "testing", ["mx.example.org"], 86400, ["mailto:a@b.example"])
    assert check(rsa_pair, section).returncode == 0


def test_no_certificate_at_all_is_an_error_for_each_domain(check):
    result = check(None, TESTING)
    assert result.returncode == 1
    assert [text for _, code, text in findings(result) if code == "CERT_MISSING"] == [
        f"{host} has no certificate: set it in [server] or in its [policy]" for host in HOSTS
    ]


def test_certificate_without_key_is_an_error(check, pair):
    result = check(None, TESTING + f"certificate = {pair.certificate}\n")
    texts = [text for _, code, text in findings(result) if code == "CERT_MISSING"]
    assert result.returncode == 1
    assert texts[0] == f"{HOSTS[0]} has no private_key: set it in [server] or in its [policy]"


def test_host_in_a_path_is_filled_in(check, directory, pair, rsa_pair):
    for host, source in ((HOSTS[0], pair), (HOSTS[1], pair), ("mta-sts.example.org", rsa_pair)):
        (directory / host).mkdir()
        (directory / host / "c.pem").symlink_to(source.certificate)
        (directory / host / "k.pem").symlink_to(source.private_key)
    section = policy(["example.org"], "testing", ["mx.example.org"], 86400, ["mailto:a@b.example"])
    # Relative to the INI file.
    assert check(Pair("{host}/c.pem", "{host}/k.pem"), TESTING, section).returncode == 0
    (directory / "mta-sts.example.org/c.pem").unlink()
    result = check(Pair("{host}/c.pem", "{host}/k.pem"), TESTING, section)
    assert [code for _, code, _ in findings(result)] == ["CERT_FILE"]


def test_bad_ini_and_bad_certificate_are_said_in_one_run(check, pki, directory):
    result = check(files(missing)(pki, directory), TESTING.replace("testing", "Testing"))
    assert {code for _, code, _ in findings(result)} == {"MODE", "CERT_FILE"}


def test_findings_as_json(check, pki, directory):
    result = check(files(missing)(pki, directory), TESTING, options=["--json"])
    answer = json.loads(result.stdout)
    assert result.returncode == 1
    assert (answer["errors"], answer["warnings"]) == (1, 0)
    (finding,) = answer["findings"]
    assert (finding["severity"], finding["code"]) == ("error", "CERT_FILE")


def other_policy(pair):
    """A policy of example.org with files of its own."""
    return policy(
        *(["example.org"], "testing", ["mx.example.org"], 86400, ["mailto:a@b.example"]),
        certificate=pair.certificate,
        private_key=pair.private_key,
    )


@pytest.mark.parametrize(
    "kind",
    [
        *("no certificate file", "key of another", "another host", "RSA 1024", "must-staple"),
        *("intermediate of the same name", "intermediate RSA 1024", "for clients"),
        *("key for encipherment", "secp256k1"),
    ],
)
def test_one_bad_domain_leaves_the_others_served(serve, pki, directory, fetch, kind):
    build, _, code, _ = KINDS[kind]
    bad = build(pki, directory)
    server = serve(
        *(TESTING, other_policy(bad)), allow=[f"^level=error event=finding code={code} "]
    )
    server.wait_for('event=ready text="2 of 3 domains, ')
    server.wait_for(f"^level=error event=finding code={code} ")
    fetch(server)
    with Connection(server.address, context(pki.root), "mta-sts.example.org") as connection:
        with pytest.raises(OSError):
            connection.handshake()
        assert connection.alert() == ALERT_UNRECOGNIZED_NAME


@pytest.mark.parametrize(
    "build",
    [by_name("expired", days=(-20, -10)), EXPIRED_INTERMEDIATE],
    ids=["leaf", "intermediate"],
)
def test_expired_certificate_is_served_on_with_an_error(serve, pki, directory, build):
    expired = build(pki, directory)
    server = serve(
        **expired._asdict(), allow=["^level=error event=finding code=CERT_EXPIRED "]
    )
    server.wait_for("^level=error event=finding code=CERT_EXPIRED ")
    settings = context(pki.root)
    with Connection(server.address, settings) as connection:
        with pytest.raises(OSError, match="certificate has expired"):
            connection.handshake()
        server.wait_for("event=handshake_failed .*reason=alert_certificate_expired ")


def test_the_certificate_of_a_chain_that_expires_first_is_measured(serve, pki, directory):
    metrics = directory / "metrics.prom"
    pair = chain(("soon-ca", {"days": (-1, 6.5)}))(pki, directory)
    server = serve(
        **pair._asdict(),
        allow=["^level=warning event=finding code=CERT_EXPIRES "],
        metrics_file=metrics,
    )
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0
    gauge = r"^mta_stsd_certificate_not_after_seconds\S* (\d+)$"
    ends = re.findall(gauge, metrics.read_text(), re.M)
    assert {int(end) - round(time.time()) for end in ends} <= set(range(6 * 86400, 7 * 86400))
    assert len(ends) == len(HOSTS)


def test_without_a_usable_domain_nothing_starts(write_ini, pki, directory):
    bad = files(missing)(pki, directory)
    ini = write_ini(server_section(**bad._asdict()), TESTING)
    result = run("-c", ini)
    first, second = result.stderr.decode().splitlines()
    assert result.returncode == 1
    assert re.match(rf"{ini}:\d+: error\[CERT_FILE\]: ", first)
    assert second == "mta-stsd: not started"


def test_warnings_do_not_hinder_the_start(serve, pki, fetch):
    pair = pki.pair("soon", HOSTS, days=(-1, 6.5))
    server = serve(
        **pair._asdict(), allow=["^level=warning event=finding code=CERT_EXPIRES "]
    )
    fetch(server)
