"""The book: what is asked of it in one thread while another one keeps what was saved."""

from pathlib import Path

from agent.clock import SystemClock
from agent.model.look import Verdict
from agent.model.state import CheckState, Climb, Phase
from agent.runtime.book import Book
from agent.store.engine import Store


def verifying(key: str, proof: str) -> CheckState:
    climb = Climb(
        severity=Verdict.CRITICAL, rung=0, attempt=1, remedy="r", phase=Phase.VERIFYING, proofs=((proof, 1, 1),)
    )
    return CheckState(key=key, climb=climb)


def test_a_question_is_answered_while_the_writing_thread_keeps_another_state(tmp_path: Path) -> None:
    """The fault is a switch of threads within the question: here it comes whenever the key asked about is hashed."""
    store = Store.open(tmp_path / "state", SystemClock(), migrate=True)
    book, kept = Book(store), list[str]()

    class Interrupted(str):
        __slots__ = ()

        def __hash__(self) -> int:
            kept.append(f"later-{len(kept)}")
            book.keep(verifying(kept[-1], "elsewhere"), 1)
            return str.__hash__(self)

    for key in ("one", "two"):
        book.keep(verifying(key, "proof"), 1)
    assert book.askers(Interrupted("proof")) == ("one", "two")
    assert kept
    store.close()
