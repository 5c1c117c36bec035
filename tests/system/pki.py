# SPDX-License-Identifier: MIT
"""A certification authority of the tests' own, and certificates of many kinds, good and bad."""
import subprocess
from collections import namedtuple
from datetime import datetime, timedelta, timezone

# Paths of a chain and of its private key.
Pair = namedtuple("Pair", "certificate private_key")

CONFIG = """
[ca]
default_ca = issuer
[issuer]
database = {directory}/index.txt
new_certs_dir = {directory}
rand_serial = yes
unique_subject = no
policy = any
default_md = sha256
[any]
commonName = optional
[req]
distinguished_name = name
[name]
"""

CA_EXTENSIONS = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
LEAF_EXTENSIONS = (
    "basicConstraints=critical,CA:FALSE\n"
    "keyUsage=critical,digitalSignature,keyEncipherment\n"
    "extendedKeyUsage=serverAuth\n"
)
MUST_STAPLE = "tlsfeature=status_request\n"
CLIENT_ONLY = LEAF_EXTENSIONS.replace("serverAuth", "clientAuth")
ENCIPHERMENT_ONLY = LEAF_EXTENSIONS.replace("digitalSignature,", "")

EC = ("EC", "ec_paramgen_curve:P-256")
EC_224 = ("EC", "ec_paramgen_curve:P-224")
EC_384 = ("EC", "ec_paramgen_curve:P-384")
EC_521 = ("EC", "ec_paramgen_curve:P-521")
EC_256K1 = ("EC", "ec_paramgen_curve:secp256k1")
BRAINPOOL = ("EC", "ec_paramgen_curve:brainpoolP256r1")
RSA = ("RSA", "rsa_keygen_bits:2048")
RSA_1024 = ("RSA", "rsa_keygen_bits:1024")

# Orders of the certificates in a chain file.
FULL = ("leaf", "intermediate")
LEAF_ONLY = ("leaf",)
REVERSED = ("intermediate", "leaf")
WITH_ROOT = ("leaf", "intermediate", "root")


def openssl(*arguments, stdin=""):
    command = ["openssl", *map(str, arguments)]
    result = subprocess.run(command, input=stdin.encode(), capture_output=True, check=False)
    assert result.returncode == 0, result
    return result.stdout


class Authority:
    """Root, intermediate, and leaf certificates made when a test first wants them."""

    def __init__(self, directory):
        self.directory = directory
        self.pairs = {}
        self.keys = {}
        (directory / "index.txt").touch()
        (directory / "ca.cnf").write_text(CONFIG.format(directory=directory))
        self.root = directory / "root.pem"
        openssl(
            *("req", "-x509", "-config", directory / "ca.cnf", "-key", self.key("root", EC)),
            *("-subj", "/CN=test root", "-days", "30", "-out", self.root),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        self.authorities = {"root": self.root}
        self.intermediate = self.authority("intermediate")

    def key(self, name, kind):
        """A private key; one for all that give the same name."""
        path = self.directory / f"{name}.key"
        if name not in self.keys:
            openssl("genpkey", "-algorithm", kind[0], "-pkeyopt", kind[1], "-out", path)
            path.chmod(0o600)
            self.keys[name] = path
        return path

    def sign(self, name, key, extensions, issuer, subject="a test", days=(-1, 90), md="sha256"):
        path = self.directory / name
        path.with_suffix(".ext").write_text(extensions)
        config = self.directory / "ca.cnf"
        openssl(
            *("req", "-new", "-config", config, "-key", key, "-subj", f"/CN={subject}"),
            *("-out", path.with_suffix(".csr")),
        )
        start, end = (
            (datetime.now(timezone.utc) + timedelta(days=day)).strftime("%Y%m%d%H%M%SZ")
            for day in days
        )
        openssl(
            *("ca", "-batch", "-notext", "-config", config, "-md", md),
            *("-cert", self.directory / f"{issuer}.pem", "-keyfile", self.keys[issuer]),
            *("-startdate", start, "-enddate", end, "-extfile", path.with_suffix(".ext")),
            *("-in", path.with_suffix(".csr"), "-out", path.with_suffix(".pem")),
        )
        return path.with_suffix(".pem")

    def authority(self, name, key=EC, issuer="root", extensions=CA_EXTENSIONS, **signing):
        """The certificate of an intermediate, all of which have one subject unless it is given;
        made once for each name, which is what `issuer` and `order` know it by."""
        signing.setdefault("subject", "test intermediate")
        if name not in self.authorities:
            private_key = self.key(name, key)
            self.authorities[name] = self.sign(name, private_key, extensions, issuer, **signing)
        return self.authorities[name]

    def pair(
        self, name, hosts=(), key=EC, order=FULL, more="", issuer="intermediate",
        extensions=LEAF_EXTENSIONS, **signing,
    ):
        """A chain file and its key, with DNS names for `hosts`; made once for all that ask for the
        same."""
        wanted = repr((name, hosts, key, order, more, issuer, extensions, signing))
        if wanted in self.pairs:
            return self.pairs[wanted]
        name = f"{name}-{len(self.pairs)}"
        extensions += more
        if hosts:
            extensions += "subjectAltName=@hosts\n[hosts]\n"
            extensions += "".join(f"DNS.{i}={host}\n" for i, host in enumerate(hosts))
        private_key = self.key("-".join(key).replace(":", "-"), key)
        parts = {
            "leaf": self.sign(name, private_key, extensions, issuer, **signing),
            **self.authorities,
        }
        chain = self.directory / f"{name}-chain.pem"
        chain.write_text("".join(parts[part].read_text() for part in order))
        self.pairs[wanted] = Pair(chain, private_key)
        return self.pairs[wanted]
