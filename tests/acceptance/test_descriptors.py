"""Open files: the daemon takes all that it may have, and doctor says when that is too few for the hosts."""

import resource

from agent.app import Builder
from agent.cli.examination import everything, of_descriptors
from agent.runtime import descriptors
from tests.acceptance.world import World


def test_the_daemon_raises_its_limit_to_the_most_that_it_may_have(world: World) -> None:
    world.policy("shop", hosts="none", checks={"alive": {"tcp": {"host": "127.0.0.1", "port": 1}}})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        daemon = world.run()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert descriptors.limit_of(daemon.process.pid) == hard
    (told,) = [one.says for one in everything(Builder(world.config)) if "remote hosts may need" in one.says]
    assert told.startswith(f"the daemon may have {hard:,} open"), "and doctor tells it, whatever its own limit is"
    assert daemon.stop() == 0


def test_doctor_says_when_there_are_more_hosts_than_files() -> None:
    assert of_descriptors(1_048_576, 1_000).state == "ok"
    assert of_descriptors(1_024, 100).state == "ok"
    found = of_descriptors(1_024, 1_000)
    assert (found.state, found.subject) == ("fail", "files")
    assert found.says == "the daemon may have 1,024 open; 1000 remote hosts may need 1,768"
    assert "LimitNOFILE=65536" in found.mend


def test_the_limit_of_a_process_that_is_gone_cannot_be_told() -> None:
    assert descriptors.limit_of(2**22 + 1) is None
