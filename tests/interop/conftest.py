# SPDX-License-Identifier: MIT
"""What the tests with real senders share. run.sh makes the place that they need."""
import os
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "check"), str(TESTS / "system")]

import internet as internets
import mail
import namespace
import senders


def pytest_collection_modifyitems(items):
    if "MTA_STSD_INTEROP" not in os.environ or not namespace.is_private():
        for item in items:
            item.add_marker(pytest.mark.skip(reason="run by tests/interop/run.sh"))


@pytest.fixture(scope="session")
def internet(measure):
    """In the directory that run.sh has made; the certificates in it are the system's."""
    begun = time.monotonic()
    place = Path(os.environ["MTA_STSD_INTEROP"])
    made = internets.Internet(place, place / "certs")
    with made.cleanup:
        made.start()
        measure(f"the servers are up: {time.monotonic() - begun:.1f} s")
        yield made
    made.stsd.check_log()


@pytest.fixture(scope="session")
def sender(internet):
    """A Postfix that sends under the policies which mta-sts-daemon tells it."""
    daemon = internet.keep(senders.Daemon(internet.directory))
    return internet.keep(mail.Sender(internet.subdirectory("sender"), daemon))


@pytest.fixture(scope="module", autouse=True)
def duration(request, measure):
    begun = time.monotonic()
    yield
    measure(f"{request.module.__name__}: {time.monotonic() - begun:.1f} s")
