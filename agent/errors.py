"""The one tree of errors; each carries a hint: the next thing to type.

WatchkeeperError
├── InputError            what the operator wrote or typed is wrong           exit 2
│   ├── PolicyError       config.yaml, policies/, with file:line:column
│   └── InventoryError    Ansible's inventory, or a pattern over it
├── RefusedError          a gate said no; what would lift it is the hint      exit 3
├── AgentError            the agent itself could not work                     exit 4
│   ├── StoreError        the database, its schema or its journal
│   │   ├── ConflictError somebody else changed the record first: read it again
│   │   └── OwnedError    another daemon owns this state folder
│   ├── ToolError         a program we call is missing, too old or broken
│   └── SecretError       a reference to a secret leads nowhere
└── TransportError        a host could not be reached; becomes a result, never a crash
    ├── HostKeyError      its key is unknown or has changed: nothing is done there
    └── OutputLimitError  it sent more than we are ready to hear, or too slowly
"""


class WatchkeeperError(Exception):
    """An error that an operator can act upon: `str(error)` says what is wrong, `error.hint` what to type next."""

    exit_code = 4

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(WatchkeeperError):
    """What the operator wrote or typed is wrong."""

    exit_code = 2


class PolicyError(InputError):
    """A configuration or policy file is wrong; the message starts with file:line:column."""


class InventoryError(InputError):
    """The inventory cannot be read, or a host pattern matches nothing."""


class RefusedError(WatchkeeperError):
    """A gate refused; the hint says what would lift it."""

    exit_code = 3


class AgentError(WatchkeeperError):
    """The agent itself could not work."""


class StoreError(AgentError):
    """The database cannot be used."""


class ConflictError(StoreError):
    """Another process changed the record first (compare-and-swap lost)."""


class OwnedError(StoreError):
    """Another daemon owns this state folder."""


class ToolError(AgentError):
    """A program that we call is missing, too old, or broke its word."""


class SecretError(AgentError):
    """A secret reference cannot be resolved, or its file is readable by others."""


class TransportError(WatchkeeperError):
    """A host could not be reached or did not answer in time."""


class HostKeyError(TransportError):
    """The host's key is unknown, or is not the one we pinned."""


class OutputLimitError(TransportError):
    """The host sent more bytes, or took longer, than allowed."""
