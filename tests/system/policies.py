# SPDX-License-Identifier: MIT
"""Sections of INI files, and what must be served for them."""
import os

from process import SCALE


def policy(domains, mode, mx, max_age, rua=(), **more):
    """A [policy] section."""
    lines = ["[policy]"]
    lines += [f"domain = {domain}" for domain in domains]
    lines += [f"mode = {mode}"]
    lines += [f"mx = {host}" for host in mx]
    lines += [f"max_age = {max_age}"]
    lines += [f"rua = {uri}" for uri in rua]
    lines += [f"{key} = {value}" for key, value in more.items()]
    return "\n".join(lines) + "\n"


def body(mode, mx, max_age):
    """The octets that are served."""
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in mx)]
    lines += [f"max_age: {max_age}"]
    return "".join(f"{line}\r\n" for line in lines).encode()


def server_section(listen=("127.0.0.1:0",), **keys):
    """A [server] section; limits of time grow with what a wrapped program needs."""
    keys.setdefault("timeout", min(300, 10 * SCALE))
    if "MTA_STSD_USER" in os.environ:
        keys.setdefault("user", os.environ["MTA_STSD_USER"])
    if "MTA_STSD_SANDBOX" in os.environ:
        keys.setdefault("sandbox", os.environ["MTA_STSD_SANDBOX"])
    lines = ["[server]"]
    lines += [f"listen = {address}" for address in listen]
    lines += [f"{key} = {value}" for key, value in keys.items() if value is not None]
    return "\n".join(lines) + "\n"


MX = ["mail.example.com", "*.example.net"]
RUA = ["mailto:tls-reports@example.net"]
TESTING = policy(["example.com", "example.net"], "testing", MX[:1], 1209600, RUA)
TESTING_BODY = body("testing", MX[:1], 1209600)
ENFORCED = policy(["example.org"], "enforce", MX, 2419200, RUA)
ENFORCED_BODY = body("enforce", MX, 2419200)
