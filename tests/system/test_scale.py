# SPDX-License-Identifier: MIT
"""Ten thousand domains in one file."""
import pytest
from client import Connection, context
from policies import MX, RUA, TESTING, policy

DOMAINS = [f"d{number:05d}.example" for number in range(10_000)]
HOSTS = [f"mta-sts.{domain}" for domain in DOMAINS]


def test_ten_thousand_domains_with_one_certificate_start(serve, pki, fetch, measure):
    many = pki.pair("many", HOSTS)
    section = policy(
        *(DOMAINS, "enforce", MX, 1209600, RUA),
        certificate=many.certificate,
        private_key=many.private_key,
    )
    # A certificate of that many names cannot be sent. That is said once, and all are loaded.
    server = serve(section, TESTING, allow=["^level=error event=finding code=CERT_LARGE "])
    measure(f"10,000 domains with one certificate: ready in {server.ready_seconds:.3f} s")
    server.wait_for('event=ready text="10002 of 10002 domains, ')
    assert len(server.find_all("code=CERT_LARGE ")) == 1
    fetch(server)
    with Connection(server.address, context(pki.root), HOSTS[6174]) as connection:
        with pytest.raises(OSError):
            connection.handshake()
    server.wait_for(f"event=handshake_failed .*host={HOSTS[6174]}$")
