"""A host that has nothing but busybox: an sshd in a mount namespace of its own, where every program is an applet."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.lab.network import command
from tests.lab.sshd import Sshd, running_sshd

# The shell that does this is gone when the last line becomes the sshd; /usr/sbin stays, for sshd runs itself again.
_BOOT = 'mount --bind "$1" /etc/passwd; mount --bind "$2" /usr/bin; shift 2; exec "$@"'


@contextlib.contextmanager
def running_busybox(folder: Path) -> Iterator[Sshd]:
    """The host, as long as the block lasts. Needs root, and a /bin that is /usr/bin."""
    programs = folder / "programs"
    programs.mkdir()
    shutil.copy("/usr/bin/busybox", programs / "busybox")
    for applet in command("/usr/bin/busybox", "--list").split():
        if applet != "busybox":
            (programs / applet).symlink_to("busybox")
    users = folder / "passwd"
    users.write_text("root:x:0:0::/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n")
    before = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", _BOOT, "boot", str(users), str(programs))
    with running_sshd(folder, before=before) as running:
        yield running
