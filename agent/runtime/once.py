"""Once through everything: every check, every due backup and rehearsal, every remedy that follows, until nothing is under way."""

import asyncio
from collections.abc import Iterator

from agent.clock import Deadline
from agent.model.check import Check
from agent.model.state import Phase
from agent.policy import watching
from agent.runtime.agent import Agent
from agent.runtime.rota import Rota
from agent.runtime.scheduler import batches

LONGEST_SECONDS = 3600.0
PAUSE_SECONDS = 0.2


async def through(
    agent: Agent, rota: Rota, stop: asyncio.Event, *, longest_seconds: float = LONGEST_SECONDS
) -> tuple[str, ...]:
    """Look at every check once, run what is due, see every remedy to its proof.

    What is still under way when the time is up, or somebody wants it to `stop`; () when all has come to its end.
    """
    checks = list(agent.book.policies.checks.values())
    await asyncio.gather(*(rota.look(host, due) for host, due in batches(checks)))
    deadline = Deadline.after(agent.clock, longest_seconds)
    left: tuple[str, ...] = ()
    while True:
        started = await agent.rounds.start_due() + await agent.caretaker.start_due()
        settled = await agent.executor.poll()
        if settled:
            agent.caretaker.waking.poke()
            agent.rounds.waking.poke()  # a drill may be due now that there is something to restore
            agent.recoveries.waking.poke()  # and so may a rehearsal
        await agent.pipeline.take_time(agent.clock.now())
        await _prove(agent, rota)
        if agent.recoveries.are_due(is_news=False):
            await agent.recoveries.turn()
        left = tuple(_under_way(agent))
        if not (started or settled or left) or deadline.is_over() or stop.is_set():
            break
        await asyncio.sleep(PAUSE_SECONDS)
    await asyncio.gather(*(rota.look(host, due) for host, due in batches(_own(agent))))
    for check in _quorums(agent):
        await rota.look(None, [check])
    return left


async def _prove(agent: Agent, rota: Rota) -> None:
    for host, due in agent.scheduler.take():
        wanted = [check for check in due if check.key in _proving(agent)]
        if wanted:
            await rota.look(host, wanted)


def _proving(agent: Agent) -> frozenset[str]:
    own = {key for key, state in agent.book.states().items() if state.climb and state.climb.phase is Phase.VERIFYING}
    return agent.book.wanted_proofs() | own


def _under_way(agent: Agent) -> Iterator[str]:
    for one in agent.executor.running():
        yield f"{one.number} ({one.kind} of {one.item})"
    for key, state in agent.book.states().items():
        if state.climb is not None and state.climb.phase in {Phase.ASKED, Phase.RUNNING, Phase.VERIFYING}:
            yield f"{state.climb.remedy} for {key}"
    if agent.recoveries.are_under_way:
        yield "a recovery"


def _quorums(agent: Agent) -> list[Check]:
    """Those that count others, after what they count."""
    counting = [check for check in agent.book.policies.checks.values() if check.members]
    return sorted(counting, key=lambda check: agent.book.rank(check.key))


def _own(agent: Agent) -> list[Check]:
    """Those that judge what was done meanwhile."""
    return [check for check in agent.book.policies.checks.values() if check.kind in watching.KINDS]
