"""A vault whose repository is elsewhere: set up as the runtime would from config.yaml and the files of secrets."""

import dataclasses
from pathlib import Path

from agent.model.backup import Repository
from agent.runtime import repositories
from agent.secrets import Secrets
from tests.lab.vaults import Elsewhere
from tests.vault import Vault

HOST = "web1"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Far:
    """A vault whose repository is elsewhere, with all that an operator lays down for it."""

    vault: Vault
    there: Elsewhere
    access: repositories.Access

    @property
    def folder(self) -> Path:
        """The host's own repository, as it lies on the server."""
        return self.there.folder / HOST


def far(folder: Path, there: Elsewhere, program: str, secret: str = "correct horse", url_secret: str = "") -> Far:
    """The vault as the runtime would set it up, from a repository of config.yaml and files of secrets."""
    held = {"vault": secret, **({url_secret: there.url} if url_secret else {}), **there.credentials}
    (folder / "secrets").mkdir(parents=True, exist_ok=True)
    for name, value in held.items():
        path = folder / "secrets" / name
        path.touch(mode=0o600)
        path.write_text(value)
    repository = Repository(
        name="far", url="" if url_secret else there.url, url_secret=url_secret, password_secret="vault",
        credentials={name: name for name in there.credentials},
    )  # fmt: skip
    access = repositories.access(repository, HOST, Secrets(folder / "secrets"))
    environment = {}
    for name, content in access.secret_files.items():
        path = folder / "memory" / name
        path.parent.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)
        environment[name] = str(path)
    (folder / "source").mkdir(exist_ok=True)
    (folder / "source/a").write_text("hello\n")
    vault = Vault(
        folder=folder, source=folder / "source", secret=secret, environment=environment, program=program,
        url=access.place, known_hosts=there.known_hosts,
    )  # fmt: skip
    return Far(vault=vault, there=there, access=access)
