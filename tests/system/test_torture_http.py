# SPDX-License-Identifier: MIT
"""Every request of tests/data/http.tsv over real TLS: its status, the whole of its one answer, how
the connection ends, and its line in the log."""
import re

import answers
import pytest
from client import V1_2, Connection, context, parse
from process import WRAPPER
from torture import witness

ROWS = list(answers.rows())
# Under a wrapper, where a handshake takes its time, a sixth of them: it is the same code.
CASES = ROWS[:: 6 if WRAPPER else 1]
# A request that is sent octet by octet, each in a record of its own, costs a record an octet.
SHORT = 200


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


@pytest.mark.parametrize("row", CASES, ids=[row.what for row in CASES])
def test_each_request_gets_its_answer(witness, trust, row):
    check(witness, trust, row, [row.octets])


def check_all(witness, settings, rows, cut):
    for row in rows:
        try:
            check(witness, settings, row, cut(row.octets))
        except (AssertionError, OSError) as error:
            raise AssertionError(row.what) from error


@pytest.mark.unwrapped("the same requests again")
def test_each_request_gets_its_answer_over_tls_1_2(witness, pki):
    check_all(witness, context(pki.root, V1_2), ROWS, lambda octets: [octets])


@pytest.mark.unwrapped("the same requests again")
@pytest.mark.parametrize(
    "cut",
    [lambda size: 1, lambda size: size // 2, lambda size: size - 1],
    ids=["behind the first octet", "in the middle", "before the last octet"],
)
def test_the_answer_does_not_depend_on_where_the_request_is_cut(witness, trust, cut):
    rows = [row for row in ROWS if len(row.octets) > 3]

    def halve(octets):
        return octets[: cut(len(octets))], octets[cut(len(octets)) :]

    check_all(witness, trust, rows, halve)


@pytest.mark.unwrapped("the same requests again")
def test_the_answer_is_the_same_octet_by_octet(witness, trust):
    rows = [row for row in ROWS[::8] if len(row.octets) < SHORT]
    check_all(witness, trust, rows, lambda octets: [bytes([octet]) for octet in octets])
