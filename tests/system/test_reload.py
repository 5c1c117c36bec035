# SPDX-License-Identifier: MIT
"""Reload: by signal and by itself, with good files and bad ones, and while clients fetch."""
import os
import re
import shutil
import signal
import socket
import ssl
import tempfile
import time
from pathlib import Path

import pytest
from client import ALERT_UNRECOGNIZED_NAME, Connection
from conftest import Starter
from load import Load, Served, finish, get, leaf, summary, wait_until
from pki import Pair
from policies import (
    ENFORCED,
    ENFORCED_BODY,
    MX,
    RUA,
    TESTING,
    TESTING_BODY,
    body,
    policy,
    server_section,
)
from process import DEADLINE, SCALE

RELOADED = "^level=info event=reloaded "
ERRORS = "^level=error event=finding "
FAILED = '^level=error event=reload_failed text=".*; the old configuration serves on"$'
FIXED = '^level=warning event=reload text="listen and user are as at the start: '
# The server looks at its files every two seconds and loads what it finds changed twice in a row; a
# pair that does not match it loads three times more.
LOOKS = 5
LOOKS_AT_HALF = LOOKS + 3
RELOADS = 100 if SCALE == 1 else 10

NEW = policy(["example.com", "example.net"], "enforce", MX[:1], 2419200, RUA)
NEW_BODY = body("enforce", MX[:1], 2419200)
OTHER_HOST = "mta-sts.example.org"


@pytest.fixture(scope="module")
def renewed(pki):
    """The pair after `pair`; neither's certificate belongs to the other's key."""
    hosts = ["mta-sts.example.com", "mta-sts.example.net", "mta-sts.example.org"]
    return pki.pair("renewed", hosts, key=("EC", "ec_paramgen_curve:P-384"))


def replace(path, octets):
    """By rename, so that nobody sees half of it."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(octets)
    beside.chmod(0o600)
    beside.rename(path)


def copy(pair, directory, suffix=""):
    """Files of the pair, as certbot calls them."""
    directory.mkdir(parents=True, exist_ok=True)
    names = f"fullchain{suffix}.pem", f"privkey{suffix}.pem"
    return Pair(*(Path(shutil.copy(pair[i], directory / names[i])) for i in (0, 1)))


class Site:
    """A server with files of its own, which a test changes."""

    def __init__(self, starter, pair, lay_out=copy, allow=(), **server):
        self.directory = Path(tempfile.mkdtemp(prefix="r", dir=starter.workspace))
        self.ini = self.directory / "a.ini"
        self.keys = {"workers": 1, **server}
        how = {name: self.keys.pop(name) for name in ("env", "before") if name in self.keys}
        self.pair = lay_out(pair, self.directory)
        self.write(TESTING)
        self.server = starter.start(self.ini, allow, **how)

    def text(self, *policies, **server):
        keys = {**self.pair._asdict(), **self.keys, **server}
        return "\n".join([server_section(**keys), *policies])

    def write(self, *policies, **server):
        replace(self.ini, self.text(*policies, **server).encode())

    def hang_up(self, event=RELOADED):
        """Returns when the server says what came of it."""
        since = self.server.mark()
        self.server.signal(signal.SIGHUP)
        return self.server.wait_for(event, since)


@pytest.fixture
def site(serve, pair):
    """Starts a server for the test, with the usual pair and policy."""
    return lambda **more: Site(serve, pair, **more)


def lay_out_as_certbot(pair, directory):
    archived = copy(pair, directory / "archive/host", "1")
    live = directory / "live/host"
    live.mkdir(parents=True)
    for path in archived:
        (live / path.name.replace("1", "")).symlink_to(f"../../archive/host/{path.name}")
    return Pair(live / "fullchain.pem", live / "privkey.pem")


def lay_out_as_kubernetes(pair, directory):
    copy(pair, directory / "..2026_1")
    (directory / "..data").symlink_to("..2026_1")
    for name in ("fullchain.pem", "privkey.pem"):
        (directory / name).symlink_to(f"..data/{name}")
    return Pair(directory / "fullchain.pem", directory / "privkey.pem")


def rename_ini(site, _):
    site.write(NEW)


def rewrite_ini(site, _):
    site.ini.write_text(site.text(NEW))


def rename_pair(site, renewed):
    for path, new in zip(site.pair, renewed):
        replace(path, new.read_bytes())


def rewrite_pair(site, renewed):
    for path, new in zip(site.pair, renewed):
        path.write_bytes(new.read_bytes())


def renew_as_certbot(site, renewed):
    for path in copy(renewed, site.directory / "archive/host", "2"):
        link = site.directory / "live/host" / path.name.replace("2", "")
        link.unlink()
        link.symlink_to(f"../../archive/host/{path.name}")


def renew_as_kubernetes(site, renewed):
    copy(renewed, site.directory / "..2026_2")
    link = site.directory / "..data_tmp"
    link.symlink_to("..2026_2")
    link.rename(site.directory / "..data")
    shutil.rmtree(site.directory / "..2026_1")


def rewrite_half_a_pair(site, renewed):
    site.pair.certificate.write_bytes(renewed.certificate.read_bytes())


# How files come to the disk, how they change, and whether it is the pair.
WAYS = {
    "INI by rename": (copy, rename_ini, False),
    "INI in place": (copy, rewrite_ini, False),
    "pair by rename": (copy, rename_pair, True),
    "pair in place": (copy, rewrite_pair, True),
    "certbot": (lay_out_as_certbot, renew_as_certbot, True),
    "Kubernetes": (lay_out_as_kubernetes, renew_as_kubernetes, True),
}
HALF = "half a pair"


@pytest.fixture(scope="module")
def changed(workspace, pair, renewed):
    """A server for each way, of which all files have changed at the same time, so that not each
    test waits for the server's looks; and when that was."""
    starter = Starter(workspace, pair)
    with starter.cleanup:
        sites = {way: Site(starter, pair, WAYS[way][0]) for way in WAYS}
        sites[HALF] = Site(starter, pair, allow=[f"{ERRORS}code=CERT_KEY "])
        for way in WAYS:
            WAYS[way][1](sites[way], renewed)
        rewrite_half_a_pair(sites[HALF], renewed)
        for site in sites.values():
            site.server.wait_for(RELOADED)
        yield sites, time.monotonic()


def count_until(server, pattern, moment):
    """Lines that match at a moment; not later than that if there is more than one."""
    with server.log.changed:
        server.log.changed.wait_for(
            lambda: len(server.find_all(pattern)) > 1, moment - time.monotonic()
        )
    return len(server.find_all(pattern))


@pytest.mark.parametrize("way", WAYS)
def test_a_change_on_disk_is_served_without_a_signal(changed, trust, pair, renewed, way):
    old, new = leaf(pair), leaf(renewed)
    expected = Served(new, TESTING_BODY) if WAYS[way][2] else Served(old, NEW_BODY)
    assert get(changed[0][way].server, trust) == expected


@pytest.mark.parametrize("way", WAYS)
def test_a_change_on_disk_is_loaded_once(changed, way):
    sites, loaded = changed
    assert count_until(sites[way].server, RELOADED, loaded + LOOKS) == 1


def test_a_pair_that_does_not_match_is_one_error_and_the_old_one_serves_on(changed, trust, pair):
    sites, loaded = changed
    assert count_until(sites[HALF].server, f"{ERRORS}code=CERT_KEY ", loaded + LOOKS_AT_HALF) == 1
    assert get(sites[HALF].server, trust) == Served(leaf(pair), TESTING_BODY)


def test_a_key_that_comes_after_its_certificate_is_waited_for(site, directory, trust, renewed):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(directory / "n"))
        manager.settimeout(DEADLINE)
        halved = site(env={"NOTIFY_SOCKET": str(directory / "n")})
        rewrite_half_a_pair(halved, renewed)
        halved.server.signal(signal.SIGHUP)
        # It looks again, so it has seen the half.
        for _ in range(2):
            while not manager.recv(4096).startswith(b"RELOADING=1\n"):
                pass
        # In one step: it looks at any time.
        replace(halved.pair.private_key, renewed.private_key.read_bytes())
        halved.server.wait_for(RELOADED)
    assert get(halved.server, trust) == Served(leaf(renewed), TESTING_BODY)
    # That there is no line about it is seen to when the server has ended.


def test_sighup_takes_a_new_policy(site, trust, pair):
    changing = site()
    assert get(changing.server, trust) == Served(leaf(pair), TESTING_BODY)
    changing.write(NEW)
    assert ' text="2 of 2 domains, 1 workers" ' in changing.hang_up()
    assert get(changing.server, trust) == Served(leaf(pair), NEW_BODY)


def test_a_client_from_before_the_reload_is_served_the_old_state(site, trust, pair):
    changing = site()
    with Connection(changing.server.address, trust).handshake() as connection:
        changing.write(NEW)
        changing.hang_up()
        assert get(changing.server, trust).body == NEW_BODY
        assert finish(connection) == Served(leaf(pair), TESTING_BODY)


def test_a_domain_that_the_reload_removes_is_refused(site, trust):
    changing = site()
    get(changing.server, trust, "mta-sts.example.net")
    changing.write(policy(["example.com"], "testing", MX, 1209600, RUA))
    changing.hang_up()
    with Connection(changing.server.address, trust, "mta-sts.example.net") as connection:
        with pytest.raises(ssl.SSLError):
            connection.handshake()
        assert connection.alert() == ALERT_UNRECOGNIZED_NAME


def test_a_domain_that_the_reload_adds_is_served(site, trust, rsa_pair):
    changing = site()
    keys = f"certificate = {rsa_pair.certificate}\nprivate_key = {rsa_pair.private_key}\n"
    changing.write(TESTING, ENFORCED + keys)
    changing.hang_up()
    assert get(changing.server, trust, OTHER_HOST) == Served(leaf(rsa_pair), ENFORCED_BODY)
    assert get(changing.server, trust).body == TESTING_BODY


@pytest.mark.parametrize("changes", [{"listen": ["127.0.0.2:0"]}, {"user": "1:1"}], ids=str)
def test_listen_and_user_stay_and_a_warning_says_so(site, trust, changes):
    changing = site(allow=[FIXED])
    changing.write(NEW, **changes)
    changing.hang_up(FIXED)
    changing.server.wait_for(RELOADED)
    assert len(changing.server.find_all(FIXED)) == 1
    assert get(changing.server, trust).body == NEW_BODY


def test_an_ini_with_an_error_is_refused_with_its_line_and_the_old_state_serves_on(
    site, trust, pair
):
    changing = site(allow=[ERRORS, FAILED])
    changing.write(NEW, "[policy]\n", "nonsense = 1\n")
    line = changing.ini.read_text().splitlines().index("nonsense = 1") + 1
    changing.hang_up(FAILED)
    assert changing.server.find_all(f'{ERRORS}code=[A-Z_]+ file="{changing.ini}" line={line} ')
    assert len(changing.server.find_all(FAILED)) == 1
    assert get(changing.server, trust) == Served(leaf(pair), TESTING_BODY)


def test_an_ini_that_is_mended_is_served_without_a_signal(site, trust):
    changing = site(allow=[ERRORS, FAILED])
    changing.write("[policy]\n")
    changing.hang_up(FAILED)
    changing.write(NEW)
    changing.server.wait_for(RELOADED)
    assert get(changing.server, trust).body == NEW_BODY


def test_a_missing_ini_is_refused_and_the_old_state_serves_on(site, trust, pair):
    changing = site(allow=[f"{ERRORS}code=INI_FILE ", FAILED])
    changing.ini.unlink()
    changing.hang_up(FAILED)
    assert len(changing.server.find_all(f'{ERRORS}code=INI_FILE file="{changing.ini}" ')) == 1
    assert get(changing.server, trust) == Served(leaf(pair), TESTING_BODY)


def spoil_certificate(site):
    site.pair.certificate.write_text("no certificate\n")


def spoil_key(site):
    site.pair.private_key.write_text("no key\n")


def lock_key(site):
    site.pair.private_key.chmod(0)


def remove_certificate(site):
    site.pair.certificate.unlink()


def remove_key(site):
    site.pair.private_key.unlink()


def unprivileged():
    """A command that takes from root the right to read what the mode of a file forbids."""
    caps = "-dac_override,-dac_read_search"
    if os.geteuid() != 0:
        return ()
    return ("setpriv", f"--inh-caps={caps}", f"--bounding-set={caps}")


@pytest.mark.parametrize(
    ("spoil", "code", "reason"),
    [
        (spoil_certificate, "CERT_FILE", "not a PEM certificate chain"),
        (spoil_key, "KEY_FILE", "not a PEM private key"),
        (lock_key, "KEY_FILE", "Permission denied"),
        (remove_certificate, "CERT_FILE", "No such file or directory"),
        (remove_key, "KEY_FILE", "No such file or directory"),
    ],
)
def test_a_pair_that_cannot_be_read_is_one_error_and_the_old_one_serves_on(
    site, trust, pair, spoil, code, reason
):
    changing = site(allow=[f"{ERRORS}code={code} .*: {reason}"], before=unprivileged())
    spoil(changing)
    changing.write(NEW)
    # Such a pair keeps nothing else from being served.
    changing.hang_up()
    assert len(changing.server.find_all(ERRORS)) == 1
    assert get(changing.server, trust) == Served(leaf(pair), NEW_BODY)


def test_a_first_certificate_that_comes_after_the_refusal_for_want_of_it_is_noticed(
    site, trust, renewed
):
    changing = site(allow=[f"{ERRORS}code=(CERT|KEY)_FILE ", FAILED])
    later = changing.directory / "later"
    names = {"certificate": later / "fullchain.pem", "private_key": later / "privkey.pem"}
    changing.write(ENFORCED, **names)
    changing.hang_up(FAILED)
    assert get(changing.server, trust).body == TESTING_BODY
    copy(renewed, later)
    changing.server.wait_for(RELOADED)
    assert get(changing.server, trust, OTHER_HOST) == Served(leaf(renewed), ENFORCED_BODY)


def test_a_first_certificate_that_comes_after_its_domain_is_noticed(site, trust, renewed):
    changing = site(allow=[f"{ERRORS}code=(CERT|KEY)_FILE "])
    later = changing.directory / "later"
    keys = f"certificate = {later}/fullchain.pem\nprivate_key = {later}/privkey.pem\n"
    changing.write(TESTING, ENFORCED + keys)
    assert "2 of 3 domains" in changing.hang_up()
    since = changing.server.mark()
    copy(renewed, later)
    assert "3 of 3 domains" in changing.server.wait_for(RELOADED, since)
    assert get(changing.server, trust, OTHER_HOST) == Served(leaf(renewed), ENFORCED_BODY)


@pytest.fixture
def muted(site):
    """A server that a reload has set to log errors only."""
    changing = site()
    changing.write(TESTING, log="errors")
    changing.server.signal(signal.SIGHUP)
    wait_until(changing.server, lambda numbers: numbers["reloads_good"] == 1)
    return changing


def fetches_logged(site, trust):
    since = site.server.mark()
    get(site.server, trust)
    summary(site.server)
    return len(site.server.find_all("event=fetch ", since))


def test_a_reload_can_mute_the_log_of_requests(muted, trust):
    assert fetches_logged(muted, trust) == 0


def test_a_reload_can_mute_the_log_of_the_supervisor(muted):
    assert not muted.server.find_all(RELOADED)


def test_a_reload_can_have_requests_logged_again(muted, trust):
    muted.write(TESTING, log="requests")
    muted.hang_up()
    assert fetches_logged(muted, trust) == 1


def test_good_and_bad_reloads_are_counted_in_the_metrics_file(site, directory):
    path = directory / "metrics.prom"
    changing = site(allow=[ERRORS, FAILED], metrics_file=path)
    changing.hang_up()
    changing.hang_up()
    changing.write("[policy]\n")
    changing.hang_up(FAILED)
    changing.server.signal(signal.SIGTERM)
    assert changing.server.wait_exit() == 0
    counters = re.findall(r'^mta_stsd_reloads_total(.*)$', path.read_text(), re.M)
    assert sorted(counters) == ['{result="bad"} 1', '{result="good"} 2']


def state(number):
    """The policy that is served after so many reloads: each has its own."""
    return "testing" if number % 2 == 0 else "enforce", MX, 1209600 + number


@pytest.fixture(scope="module")
def load(workspace, trust, pair, renewed):
    """What clients saw during many reloads, each of which changed policy and certificate."""
    starter = Starter(workspace, pair)
    with starter.cleanup:
        changing = Site(starter, pair, workers=2, max_per_source=0)
        changing.write(policy(["example.com"], *state(0), RUA))
        changing.hang_up()
        with Load(changing.server, trust, threads=3) as clients:
            clients.wait_for_fetches(3)
            for number in range(1, RELOADS + 1):
                clients.begun = number
                keys = (pair, renewed)[number % 2]._asdict()
                changing.write(policy(["example.com"], *state(number), RUA), **keys)
                changing.hang_up()
                clients.announced = number
                clients.wait_for_fetches(4)
        yield clients
    for thread in clients.running:
        thread.result()


def test_no_fetch_fails_while_the_server_reloads(load):
    assert not load.failures
    assert len(load.seen) > 4 * RELOADS


def test_certificate_and_policy_of_one_answer_are_of_one_state(load, pair, renewed):
    certificates = leaf(pair), leaf(renewed)
    states = {Served(certificates[i % 2], body(*state(i))) for i in range(RELOADS + 1)}
    assert {seen.served for seen in load.seen} <= states


def test_no_client_that_comes_after_a_reload_was_announced_sees_an_older_state(load):
    bodies = [body(*state(i)) for i in range(RELOADS + 1)]
    older = [seen for seen in load.seen if bodies.index(seen.served.body) < seen.announced]
    assert not older, f"{len(older)} of {len(load.seen)}"


def test_no_client_sees_a_state_before_its_reload(load):
    bodies = [body(*state(i)) for i in range(RELOADS + 1)]
    assert all(bodies.index(seen.served.body) <= seen.begun for seen in load.seen)
