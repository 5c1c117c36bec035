# SPDX-License-Identifier: MIT
"""Judges what testssl.sh wrote: each finding must be OK or INFO, or stand in the list of those that
are accepted; each of that list must be there; and the scan must have come to its end.
usage: judge.py EXPECTED JSON..."""
import collections
import json
import sys
from pathlib import Path

GOOD = ("OK", "INFO")
# Without these the scan has not looked. scanTime is the last of all.
WANTED = """SSLv2 SSLv3 TLS1 TLS1_1 TLS1_2 TLS1_3 cipherlist_NULL cipherlist_EXPORT cipherlist_LOW
cipher_order protocol_negotiated sessionresumption_ticket cert_trust cert_chain_of_trust
cert_expirationStatus HTTP_status_code heartbleed CCS ticketbleed ROBOT secure_renego
secure_client_renego CRIME_TLS BREACH POODLE_SSL fallback_SCSV SWEET32 FREAK DROWN LOGJAM BEAST
LUCKY13 RC4 scanTime""".split()
FINDINGS_MIN = 70


def read_expected(path):
    rows = [line.split("\t") for line in path.read_text().splitlines() if line[0] != "#"]
    return {(finding, severity) for finding, severity, _ in rows}


def read_findings(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        print(f"{path.name}: {error}")
        return []


def judge(name, findings, expected):
    """Prints what is wrong with one scan; the number of findings that are right and of faults."""
    bad = [
        finding
        for finding in findings
        if finding["severity"] not in GOOD and (finding["id"], finding["severity"]) not in expected
    ]
    faults = [f"{finding['severity']} {finding['id']}: {finding['finding']}" for finding in bad]
    seen = {(finding["id"], finding["severity"]) for finding in findings}
    faults += [f"accepted, but not seen: {finding}" for finding, _ in sorted(expected - seen)]
    looked = {finding["id"] for finding in findings}
    faults += [f"not looked for: {wanted}" for wanted in WANTED if wanted not in looked]
    if len(findings) < FINDINGS_MIN:
        faults.append(f"only {len(findings)} findings")
    severities = collections.Counter(finding["severity"] for finding in findings)
    print(f"{name}:", ", ".join(f"{number} {what}" for what, number in severities.most_common()))
    for fault in faults:
        print(f"{name}: FAILED: {fault}")
    return len(findings) - len(bad), len(faults)


def main(expected_path, *paths):
    expected = read_expected(Path(expected_path))
    counts = [judge(Path(path).stem, read_findings(Path(path)), expected) for path in paths]
    passed, failed = map(sum, zip(*counts))
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.exit(main(*sys.argv[1:]))
