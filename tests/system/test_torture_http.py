# SPDX-License-Identifier: MIT
"""Every request of tests/data/http.tsv over real TLS: its status, the whole of its one answer, how
the connection ends, and its line in the log."""
import re

import answers
import client
import pytest
from client import Connection, context, parse
from torture import witness  # noqa: F401

ROWS = list(answers.rows())
# A request that is sent octet by octet, each in a record of its own, costs a record an octet.
SHORT = 200


@pytest.fixture(scope="module")
def settings(pki):
    """Made once for all requests."""
    return {version: context(pki.root, version) for version in (client.V1_2, client.V1_3)}


def each(rows):
    return pytest.mark.parametrize("row", rows, ids=[row.what for row in rows])


def exchange(witness, settings, pieces, wants_answer):
    """Sends each piece in a record of its own; what comes back, and the line in the log."""
    source = witness.client()
    with Connection(witness.server.address, settings, source=source) as connection:
        connection.handshake()
        for piece in filter(None, pieces):
            connection.send(piece)
        if wants_answer:
            ending = connection.read_to_end()
            assert ending.close_notify
            return ending.octets, witness.outcome(source)
        connection.leave()
    return b"", witness.outcome(source)


def check(witness, settings, row, pieces):
    octets, line = exchange(witness, settings, pieces, row.status is not None)
    if row.status is None:
        assert "event=closed state=request reason=closed " in line
        return
    # A second answer behind the first would be more body than its Content-Length allows.
    answers.check(parse(octets), row.status, re.match(rb"(\r\n)?HEAD ", row.octets) is not None)
    assert line.startswith(f"level=info event=fetch domain=example.com status={row.status} client=")


def test_the_table_has_its_requests_once_each_and_says_where_from():
    assert len(ROWS) >= 150
    assert len({row.octets for row in ROWS}) == len(ROWS)
    assert len({row.what for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.status is None or row.status == 200 or row.status in answers.REASONS
        assert re.fullmatch(r"DESIGN 6|\d{4} \d+(\.\d+)*", row.section), row.what


@each(ROWS)
def test_each_request_gets_its_answer(witness, settings, version, row):
    check(witness, settings[version], row, [row.octets])


@pytest.mark.unwrapped("the same requests, three times as often")
@each([row for row in ROWS if len(row.octets) > 3])
def test_the_answer_does_not_depend_on_where_the_request_is_cut(witness, trust, row):
    octets = row.octets
    for cut in (1, len(octets) // 2, len(octets) - 1):
        check(witness, trust, row, [octets[:cut], octets[cut:]])


@pytest.mark.unwrapped("the same requests, a record for each octet")
@each([row for row in ROWS[::8] if len(row.octets) < SHORT])
def test_the_answer_is_the_same_octet_by_octet(witness, trust, row):
    check(witness, trust, row, [bytes([octet]) for octet in row.octets])
