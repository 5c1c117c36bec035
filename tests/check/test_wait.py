# SPDX-License-Identifier: MIT
"""--wait-dns: until the new id is published, or not in time."""
import contextlib

import pytest
import tool
import world as worlds
from cases import SILENT_ADDRESS
from policies import policy, server_section
from process import DEADLINE, LineReader
from resolver import Resolver

DOMAIN = "waiting.test"
OLD = f'_mta-sts.{DOMAIN}. TXT "v=STSv1; id=old;"'


@pytest.fixture
def ini(world, directory):
    pair = world.pki.pair("waiting", [f"mta-sts.{DOMAIN}"])
    path = directory / "a.ini"
    path.write_text(
        server_section(**pair._asdict()) + policy([DOMAIN], "enforce", ["mx.good.test"], 1209600)
    )
    return path


@pytest.fixture
def resolver():
    """Between the tool and knot, so that a test knows what was asked."""
    server = Resolver(worlds.V4(56), worlds.KNOT_ADDRESSES[0], {})
    with contextlib.closing(server):
        yield server


@pytest.fixture
def wait(world, ini, resolver):
    """Begins to wait; a process that is left over is killed."""
    with contextlib.ExitStack() as cleanup:

        def begin(*options):
            options = "--resolver", worlds.V4(56), "-c", ini, *options
            running = tool.start(*options)
            cleanup.callback(running.kill)
            return running

        yield begin


def test_it_ends_when_the_id_is_published(world, ini, resolver, wait):
    world.knot.replace(DOMAIN, [OLD])
    running = wait(f"--wait-dns={2 * DEADLINE}")
    resolver.wait_until_asked(f"_mta-sts.{DOMAIN}")
    lines, wanted = world.records(DOMAIN, ini)
    assert running.poll() is None
    world.knot.replace(DOMAIN, lines)
    result = tool.finish(running)
    assert (result.code, result.err) == (0, "")
    assert f"{DOMAIN}:" in result.out and wanted in result.out


def test_it_ends_at_once_where_the_id_is_published_already(world, ini, wait):
    world.knot.replace(DOMAIN, world.records(DOMAIN, ini)[0])
    result = tool.finish(wait("--wait-dns", DOMAIN))
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize("lines", [[OLD], [], [OLD, OLD.replace("old", "{id}")]])
def test_it_ends_with_an_error_where_it_is_not_published_in_time(world, ini, wait, lines):
    wanted = world.records(DOMAIN, ini)[1]
    world.knot.replace(DOMAIN, [line.format(id=wanted) for line in lines])
    result = tool.finish(wait("--wait-dns=2"))
    assert (result.code, result.err) == (2, "")
    assert DOMAIN in result.out


def test_a_line_tells_when_it_is_there(world, ini, wait):
    world.knot.replace(DOMAIN, [OLD])
    running = wait(f"--wait-dns={2 * DEADLINE}", DOMAIN)
    log = LineReader(running.stdout)
    log.wait_for(DOMAIN)
    mark = log.mark()
    world.knot.replace(DOMAIN, world.records(DOMAIN, ini)[0])
    log.wait_for(DOMAIN, since=mark)
    assert running.wait(DEADLINE) == 0


def test_a_silent_name_server_does_not_hold_it_up(world, ini):
    options = "--resolver", SILENT_ADDRESS, "-c", ini, "--wait-dns=1"
    result = tool.run(*options)
    assert (result.code, result.err) == (2, "")
    assert result.seconds < 15 * tool.SCALE
