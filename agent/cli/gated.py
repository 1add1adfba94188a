"""A person's wish to change the world, taken to the gates; their refusal becomes an error with what would lift it."""

from typing import TYPE_CHECKING

from agent.cli.wording import local
from agent.errors import RefusedError

if TYPE_CHECKING:
    from agent.model.execution import Execution
    from agent.runtime.agent import Agent
    from agent.runtime.gates import Wanted


def admitted(agent: "Agent", wanted: "Wanted") -> "Execution":
    """The execution that the gates let through: its intent is durable, its hosts are locked. Else RefusedError."""
    admission = agent.gatekeeper.admit(wanted, then=lambda _, __: None)
    if admission.execution is not None:
        return admission.execution
    answer = admission.refusal
    until = f"from {local(answer.until_us)} on" if answer.until_us is not None else ""
    hint = "; ".join(part for part in (answer.needs, until) if part)
    raise RefusedError(f"refused by the gate {answer.gate}: {answer.says}", hint=hint or "watchkeeper status")
