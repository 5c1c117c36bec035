# SPDX-License-Identifier: MIT
"""A reload reads again only the certificates and keys that have changed, and what it does not read
it still judges by the day and for each host."""
import ctypes
import os
import re
import select
import signal
import time

import pytest
from client import HOST
from load import Served, get, leaf
from pki import LEAF_ONLY, Pair
from policies import MX, RUA, TESTING, TESTING_BODY, body, policy
from process import DEADLINE
from test_expiry import DAY, EXPIRED, EXPIRES
# The first four are fixtures.
from test_expiry import lasting
from test_reload import renewed, site
from test_trouble import clock, clock_library
from test_reload import (
    ERRORS,
    FAILED,
    NEW,
    RELOADED,
    copy,
    lay_out_as_certbot,
    lay_out_as_kubernetes,
    rename_pair,
    renew_as_certbot,
    renew_as_kubernetes,
    replace,
    rewrite_pair,
)

HOUR = 3600
COUNT = 50
DOMAINS = [f"d{number:02d}.example" for number in range(COUNT)]
HOSTS = [f"mta-sts.{domain}" for domain in DOMAINS]


def counts(line):
    """Of a line about a reload: pairs that were read, pairs that had not changed."""
    return tuple(map(int, re.search(r" certificates_read=(\d+) .*_unchanged=(\d+)$", line).groups()))


def settle(site):
    """Reloads until the files are old enough to be known by their time stamps."""
    limit = time.monotonic() + DEADLINE
    while counts(site.hang_up())[0] > 0:
        assert time.monotonic() < limit, site.server.lines


def lay_out_for_each_host(pair, directory):
    for host in HOSTS:
        copy(pair, directory / host)
    return Pair(directory / "{host}/fullchain.pem", directory / "{host}/privkey.pem")


@pytest.fixture(scope="module")
def many_names(pki):
    return pki.pair("many", [*HOSTS, HOST, "mta-sts.example.net"])


def test_a_reload_reads_of_many_certificates_the_one_that_has_changed(
    site, pki, trust, many_names
):
    def lay_out(_, directory):
        copy(many_names, directory)
        return Pair(directory / "fullchain.pem", directory / "privkey.pem")

    changing = site(lay_out=lay_out)
    changing.pair = lay_out_for_each_host(many_names, changing.directory)
    changing.write(policy(DOMAINS, "testing", MX, 1209600, RUA))
    assert counts(changing.hang_up()) == (COUNT, 0)
    settle(changing)
    new = pki.pair("many renewed", HOSTS)
    replace(changing.directory / HOSTS[31] / "fullchain.pem", new.certificate.read_bytes())
    assert counts(changing.hang_up()) == (1, COUNT - 1)
    for host in (HOSTS[0], HOSTS[30], HOSTS[31], HOSTS[32], HOSTS[-1]):
        expected = leaf(new if host == HOSTS[31] else many_names)
        assert get(changing.server, trust, host).certificate == expected, host
    assert counts(changing.hang_up())[1] >= COUNT - 1


@pytest.fixture
def ahead(site, clock):
    """Starts a server whose clock is an hour ahead: it takes the files for old enough at once."""
    clock.write(HOUR, 0)
    return lambda **more: site(env=clock.env, **more)


@pytest.mark.parametrize(
    ("lay_out", "renew"),
    [
        (copy, rename_pair),
        (copy, rewrite_pair),
        (lay_out_as_certbot, renew_as_certbot),
        (lay_out_as_kubernetes, renew_as_kubernetes),
    ],
)
def test_a_renewed_pair_is_read_and_served(ahead, trust, pair, renewed, lay_out, renew):
    changing = ahead(lay_out=lay_out)
    assert get(changing.server, trust) == Served(leaf(pair), TESTING_BODY)
    renew(changing, renewed)
    assert counts(changing.hang_up()) == (1, 0)
    assert get(changing.server, trust) == Served(leaf(renewed), TESTING_BODY)


@pytest.mark.parametrize("which", ["certificate", "private_key"])
def test_one_file_of_a_pair_is_enough_to_read_it(ahead, which):
    changing = ahead()
    path = getattr(changing.pair, which)
    replace(path, path.read_bytes())
    assert counts(changing.hang_up()) == (1, 0)


def test_another_key_alone_is_an_error_and_the_old_pair_serves_on(ahead, trust, pair, renewed):
    changing = ahead(allow=[f"{ERRORS}code=CERT_KEY "])
    replace(changing.pair.private_key, renewed.private_key.read_bytes())
    assert counts(changing.hang_up()) == (1, 0)
    assert len(changing.server.find_all(f"{ERRORS}code=CERT_KEY ")) == 1
    assert get(changing.server, trust) == Served(leaf(pair), TESTING_BODY)


def test_a_new_policy_alone_reads_no_certificate(ahead, trust, pair):
    changing = ahead()
    changing.write(NEW)
    assert counts(changing.hang_up()) == (0, 1)
    assert get(changing.server, trust) == Served(leaf(pair), body("enforce", MX[:1], 2419200))


def test_after_a_reload_that_failed_no_certificate_is_read(ahead, trust, pair):
    changing = ahead(allow=[ERRORS, FAILED])
    changing.write("[policy]\n")
    changing.hang_up(FAILED)
    changing.write(TESTING)
    assert counts(changing.hang_up()) == (0, 1)
    assert get(changing.server, trust) == Served(leaf(pair), TESTING_BODY)


def test_a_pair_kept_in_place_of_a_bad_one_lives_as_long_as_it_is_needed(
    ahead, trust, pair, renewed
):
    error = f"{ERRORS}code=CERT_FILE "
    changing = ahead(allow=[error])
    replace(changing.pair.certificate, b"no certificate\n")
    for number in (1, 2, 3):
        assert counts(changing.hang_up()) == (1, 0)
        assert len(changing.server.find_all(error)) == number
        assert get(changing.server, trust) == Served(leaf(pair), TESTING_BODY)
    rename_pair(changing, renewed)
    changing.hang_up()
    assert get(changing.server, trust) == Served(leaf(renewed), TESTING_BODY)


def test_a_pair_that_is_not_read_is_still_judged_for_each_host(ahead, trust, pair):
    error = f"{ERRORS}code=CERT_NAME .*mta-sts.example.org"
    changing = ahead(allow=[error])
    changing.write(policy(["example.org", "example.net"], "testing", MX[:1], 1209600, RUA))
    line = changing.hang_up()
    assert counts(line) == (0, 1)
    assert '"1 of 2 domains, ' in line
    assert len(changing.server.find_all(error)) == 1
    assert get(changing.server, trust, "mta-sts.example.net").certificate == leaf(pair)


@pytest.mark.parametrize(
    ("shift", "said"),
    [
        (2 * DAY, EXPIRES.format(20)),
        (26 * DAY, EXPIRED.format(3)),
        (-50 * DAY, "^level=error event=finding code=CERT_NOT_YET "),
    ],
    ids=["warning time", "end", "clock set back"],
)
def test_the_dates_of_a_pair_that_is_not_read_are_judged(ahead, clock, lasting, shift, said):
    changing = ahead(
        lay_out=lambda _, directory: copy(lasting(22.5), directory), allow=[said]
    )
    assert counts(changing.hang_up()) == (0, 1)
    assert not changing.server.find_all(said)
    for times in (1, 2):
        clock.write(shift, 0)
        assert counts(changing.hang_up()) == (0, 1)
        assert len(changing.server.find_all(said)) == times


def test_a_pair_with_a_warning_is_read_each_time_so_that_the_warning_is_said(ahead, pki):
    warning = "^level=warning event=finding code=CERT_CHAIN .*: only the leaf"
    alone = pki.pair("alone", [HOST, "mta-sts.example.net"], order=LEAF_ONLY)
    changing = ahead(
        lay_out=lambda _, directory: copy(alone, directory), allow=[warning]
    )
    assert counts(changing.hang_up()) == (1, 0)
    assert len(changing.server.find_all(warning)) == 2


def test_a_file_that_may_change_within_its_time_stamp_is_read_again(site, clock):
    clock.write(-HOUR, 0)
    changing = site(env=clock.env)
    assert counts(changing.hang_up()) == (1, 0)
    clock.write(HOUR, 0)
    assert counts(changing.hang_up()) == (1, 0)
    assert counts(changing.hang_up()) == (0, 1)


def wait_until_read(path):
    """Returns a function that waits until somebody who has opened the file closes it."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_CLOEXEC)
    in_close_nowrite = 0x10
    assert watch >= 0
    assert libc.inotify_add_watch(watch, bytes(path), in_close_nowrite) >= 0, ctypes.get_errno()

    def wait():
        try:
            assert select.select([watch], [], [], DEADLINE)[0]
        finally:
            os.close(watch)

    return wait


def test_a_change_while_others_are_read_is_served_without_a_signal(
    site, pki, trust, many_names
):
    new = pki.pair("many renewed", HOSTS)
    changing = site()
    changing.pair = lay_out_for_each_host(many_names, changing.directory)
    certificate, private_key = (changing.directory / HOSTS[0] / name.name for name in changing.pair)
    changing.write(policy(DOMAINS, "testing", MX, 1209600, RUA))
    changing.hang_up()
    lay_out_for_each_host(many_names, changing.directory)
    since = changing.server.mark()
    wait = wait_until_read(private_key)
    changing.server.signal(signal.SIGHUP)
    wait()
    replace(certificate, new.certificate.read_bytes())
    changing.server.wait_for(RELOADED, since, count=2)
    assert get(changing.server, trust, HOSTS[0]).certificate == leaf(new)
