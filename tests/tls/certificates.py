# SPDX-License-Identifier: MIT
"""Makes root.pem, ecdsa.ini and rsa.ini in a directory: a server on any port of this machine, with
a certificate of a kind. usage: certificates.py DIRECTORY"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))

from pki import EC, RSA, Authority
from policies import TESTING, server_section

HOSTS = ["mta-sts.example.com", "mta-sts.example.net"]
# As public authorities have it; nobody is there.
REVOCATION = "crlDistributionPoints=URI:http://crl.example.com/list.crl\n"

directory = Path(sys.argv[1])
authority = Authority(directory)
for name, key in (("ecdsa", EC), ("rsa", RSA)):
    pair = authority.pair(name, HOSTS, key=key, more=REVOCATION)
    keys = {"certificate": pair.certificate, "private_key": pair.private_key, "max_per_source": 0}
    (directory / f"{name}.ini").write_text(f"{server_section(**keys)}\n{TESTING}")
