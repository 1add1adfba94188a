"""A certificate authority of SSH, by ssh-keygen: it signs keys of users and of hosts."""

from pathlib import Path

from tests.lab.network import command


class Authority:
    """Its public key is `public_file`, and as known_hosts has it `public_key`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._file = folder / name
        command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._file))
        self.public_file = folder / f"{name}.pub"
        self.public_key = " ".join(self.public_file.read_text().split()[:2])

    def sign(self, public_file: Path, *names: str, host: bool = False, valid: str = "always:forever") -> Path:
        """Certify a key for these names, users or hosts; the certificate, beside the key."""
        kind = ["-h"] if host else []
        argv = ["ssh-keygen", "-q", "-s", str(self._file), "-I", "test", "-n", ",".join(names), "-V", valid]
        command(*argv, *kind, str(public_file))
        return public_file.with_name(f"{public_file.stem}-cert.pub")
