# SPDX-License-Identifier: MIT
"""Certificates that have ended or are about to: what is said of them, and that they are served."""
import re
import signal
import ssl

import pytest
from client import HOST, REQUEST, Connection, context
from pki import CA_EXTENSIONS
from policies import MX, RUA, TESTING_BODY, policy, server_section
# The first two are fixtures.
from test_trouble import clock, clock_library, reload

DAY = 86400
END = "-----END CERTIFICATE-----\n"
NAMES = [HOST, "mta-sts.example.net"]
POLICY = policy(["example.com"], "testing", MX[:1], 1209600, RUA)
EXPIRED = "^level=error event=finding code=CERT_EXPIRED .*: expired {} days ago: renew it\"$"
EXPIRES = "^level=warning event=finding code=CERT_EXPIRES .*: expires in {} days\"$"
REMINDER = r"^level={} event=certificate text=\"" + re.escape(HOST) + ": the certificate {}; "


@pytest.fixture
def lasting(pki):
    """A pair whose certificate ends so many days from now."""

    def make(days):
        name = "lasting" + f"{days}".replace(".", "_").replace("-", "m")
        return pki.pair(name, NAMES, days=(-100, days))

    return make


def with_intermediate(pki, pair, days):
    """The pair with an intermediate that ends so many days from now."""
    intermediate = pki.sign(
        *(f"intermediate{days}".replace(".", "_"), pki.keys["intermediate"], CA_EXTENSIONS, "root"),
        subject="test intermediate",
        days=(-100, days),
    )
    leaf = pair.certificate.read_text().partition(END)
    chain = intermediate.with_suffix(".chain")
    chain.write_text(leaf[0] + END + intermediate.read_text())
    return pair._replace(certificate=chain)


@pytest.fixture
def serve_lasting(serve, lasting):
    def start(days, allow=(), **more):
        return serve(POLICY, allow=allow, **lasting(days)._asdict(), **more)

    return start


def certificate_of(server, pki):
    """What a client is sent, whatever it thinks of it."""
    settings = context(pki.root)
    settings.check_hostname = False
    settings.verify_mode = ssl.CERT_NONE
    with Connection(server.address, settings).handshake() as connection:
        connection.send(REQUEST)
        assert connection.response().body == TESTING_BODY
        return connection.tls.getpeercert(binary_form=True)


def leaf_of(pair):
    return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text().partition(END)[0] + END)


def test_an_expired_certificate_is_served_on(serve_lasting, lasting, pki):
    server = serve_lasting(-3.5, [EXPIRED.format(3)])
    assert certificate_of(server, pki) == leaf_of(lasting(-3.5))


def test_an_expired_certificate_is_an_error_at_the_start(serve_lasting):
    server = serve_lasting(-3.5, [EXPIRED.format(3)])
    server.wait_for(EXPIRED.format(3))


@pytest.mark.parametrize("days", [20, 6, 1, 0])
def test_a_certificate_near_its_end_is_a_warning_at_the_start(serve_lasting, fetch, days):
    server = serve_lasting(days + 0.5, [EXPIRES.format(days)])
    server.wait_for(EXPIRES.format(days))
    fetch(server)


def test_a_certificate_of_more_than_three_weeks_is_not_mentioned(serve_lasting, fetch):
    server = serve_lasting(21.5)
    fetch(server)
    assert not server.find_all("code=CERT_")


@pytest.mark.parametrize(
    ("days", "said"), [(-3.5, EXPIRED.format(3)), (6.5, EXPIRES.format(6))], ids=["past", "near"]
)
def test_the_end_of_the_intermediate_is_said_too(serve, pki, lasting, days, said):
    pair = with_intermediate(pki, lasting(60), days)
    server = serve(POLICY, allow=[said], **pair._asdict())
    server.wait_for(said)
    assert certificate_of(server, pki) == leaf_of(pair)


def test_one_line_is_said_of_a_certificate_that_domains_share(serve, lasting):
    both = policy(["example.com", "example.net"], "testing", MX[:1], 1209600, RUA)
    server = serve(both, allow=[EXPIRES.format(6)], **lasting(6.5)._asdict())
    assert len(server.find_all("code=CERT_EXPIRES")) == 1


@pytest.fixture
def serve_linked(serve, lasting, directory, write_ini):
    """A server whose certificate is a link, as certbot lays it, and a function to turn the link."""
    link, new = directory / "live.pem", directory / "new.pem"

    def turn(days):
        new.symlink_to(lasting(days).certificate)
        new.rename(link)

    def start(days, allow):
        turn(days)
        keys = {"certificate": link, "private_key": lasting(days).private_key}
        return serve.start(write_ini(server_section(**keys), POLICY), allow)

    return start, turn


def test_the_renewal_of_an_expired_certificate_is_picked_up(serve_linked, lasting, pki, fetch):
    start, turn = serve_linked
    server = start(-3.5, [EXPIRED.format(3)])
    turn(60)
    server.wait_for("event=reloaded ")
    assert certificate_of(server, pki) == leaf_of(lasting(60))
    fetch(server)


def test_an_expired_certificate_is_an_error_at_each_reload(serve_lasting):
    server = serve_lasting(-3.5, [EXPIRED.format(3)])
    reload(server)
    server.wait_for(EXPIRED.format(3), count=2)


def test_a_renewed_certificate_is_not_mentioned_any_more(serve_linked):
    start, turn = serve_linked
    server = start(-3.5, [EXPIRED.format(3)])
    turn(60)
    reload(server)
    assert len(server.find_all("code=CERT_EXPIRED")) == 1


def test_a_certificate_that_is_replaced_by_an_expired_one_is_an_error(serve_linked, lasting, pki):
    start, turn = serve_linked
    server = start(60, [EXPIRED.format(3)])
    turn(-3.5)
    reload(server)
    server.wait_for(EXPIRED.format(3))
    assert certificate_of(server, pki) == leaf_of(lasting(-3.5))


# Once a day. The clocks of the server are set forward; the supervisor looks at them when it looks
# at the files, two seconds later at most.


@pytest.mark.parametrize("days", [21, 7, 1])
def test_a_day_later_a_warning_says_how_many_days_are_left(serve_lasting, clock, days):
    text = REMINDER.format("warning", "expires soon") + f"days left: {days}\"$"
    server = serve_lasting(days + 1.5, [text, "code=CERT_EXPIRES"], env=clock.env)
    clock.write(DAY, DAY)
    server.wait_for(text)


@pytest.mark.parametrize("days", [22, 20])
def test_on_other_days_nothing_is_said(serve, lasting, clock, days):
    # Of one domain it is said, in the same round.
    said = REMINDER.format("warning", "expires soon")
    other = policy(["example.net"], "testing", MX[:1], 1209600, RUA)
    other += "".join(f"{key} = {file}\n" for key, file in lasting(days + 1.5)._asdict().items())
    server = serve(
        *(POLICY, other),
        allow=[said, "code=CERT_EXPIRES"],
        env=clock.env,
        **lasting(8.5)._asdict(),
    )
    clock.write(DAY, DAY)
    server.wait_for(said)
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0
    assert len(server.find_all("event=certificate ")) == 1


def test_a_machine_that_slept_through_the_day_is_warned_when_it_wakes(serve_lasting, clock):
    text = REMINDER.format("warning", "expires soon") + r"days left: 20\"$"
    server = serve_lasting(23.5, [text], env=clock.env)
    clock.write(3 * DAY, DAY)
    server.wait_for(text)


def test_a_day_after_its_end_a_certificate_is_an_error(serve_lasting, clock):
    text = REMINDER.format("error", "has expired, senders refuse it") + r"days left: 0\"$"
    server = serve_lasting(0.5, [text, "code=CERT_EXPIRES"], env=clock.env)
    clock.write(DAY, DAY)
    server.wait_for(text)


def test_an_expired_certificate_is_an_error_every_day(serve_lasting, clock):
    text = REMINDER.format("error", "has expired, senders refuse it")
    server = serve_lasting(-3.5, [text, EXPIRED.format(3)], env=clock.env)
    for day in (1, 2):
        clock.write(day * DAY, day * DAY)
        server.wait_for(text, count=day)
