"""A name server that lies: the faults of the protocol that no real one can be made to show."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rrset

Lie = Callable[[dns.message.Message], bytes]
Answers = Callable[[dns.message.Message], list[bytes]]


def truth(question: dns.message.Message, address: str = "192.0.2.7", name: str | None = None) -> dns.message.Message:
    """The right answer, or one for another name or with another address."""
    answer = dns.message.make_response(question)
    answer.answer.append(dns.rrset.from_text(name or question.question[0].name, 60, "IN", "A", address))
    return answer


def other_number(question: dns.message.Message) -> bytes:
    """An answer to a question that nobody asked."""
    lie = truth(question, "192.0.2.66")
    lie.id = (question.id + 1) % 65536
    return lie.to_wire()


def other_question(question: dns.message.Message) -> bytes:
    """An answer under our number to another question."""
    asked = dns.message.make_query("bank.example.org.", "A", id=question.id)
    return truth(asked, "192.0.2.66").to_wire()


def volunteered(question: dns.message.Message) -> bytes:
    """The right question, and a record of another name."""
    return truth(question, "192.0.2.66", "bank.example.org.").to_wire()


def looped(question: dns.message.Message) -> bytes:
    """A name that is an alias of itself."""
    answer = dns.message.make_response(question)
    name = question.question[0].name
    answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", str(name)))
    return answer.to_wire()


def cut(question: dns.message.Message) -> bytes:
    """What did not fit: ask by TCP."""
    answer = dns.message.make_response(question)
    answer.flags |= dns.flags.TC
    return answer.to_wire()


def circling(question: dns.message.Message) -> bytes:
    """Two names that are aliases of each other."""
    answer = dns.message.make_response(question)
    name = str(question.question[0].name)
    for owner, target in ((name, "other.example.org."), ("other.example.org.", name)):
        answer.answer.append(dns.rrset.from_text(owner, 60, "IN", "CNAME", target))
    return answer.to_wire()


def pointing_at_itself(question: dns.message.Message) -> bytes:
    """A compressed name that points at itself (RFC 1035, 4.1.4)."""
    asked = question.to_wire()
    head = struct.pack(">HHHHHH", question.id, 0x8180, 1, 1, 0, 0)
    here = struct.pack(">H", 0xC000 | len(asked))
    return head + asked[12:] + here + struct.pack(">HHIH4s", 1, 1, 60, 4, bytes(4))


@contextlib.contextmanager
def lying(answers: Answers, *, from_elsewhere: bool = False, port: int = 0) -> Iterator[int]:
    """A name server by UDP alone that answers each question so; gives its port."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        server.bind(("127.0.0.1", port))
        other.bind(("127.0.0.1", 0))

        def serve() -> None:
            while (received := server.recvfrom(4096))[0]:
                for answer in answers(dns.message.from_wire(received[0])):
                    (other if from_elsewhere else server).sendto(answer, received[1])

        peer = threading.Thread(target=serve)
        peer.start()
        try:
            yield server.getsockname()[1]
        finally:
            other.sendto(b"", server.getsockname())
            peer.join(10)
