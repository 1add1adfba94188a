"""Writes the script in which a command runs on its host, and reads what comes back: header, the command's bytes, trailer.

The trailer carries the command's exit code in the same stream, behind its last byte. Without it nothing is complete,
whatever ssh says of itself. The script is told to `/bin/sh` on its stdin, so that neither it nor a password stands in
any argv; when that stdin ends, the connection or we ourselves are gone, and everything in the session is ended.
"""

import re
import secrets
import shlex
from collections.abc import Mapping

_HEADER, _TRAILER = "\nWK-BEGIN:{nonce}\n", "\nWK-END:{nonce}:"
_CODE_BYTES = 4  # three digits and a newline
_PREAMBLE_BYTES = 65_536  # what a login shell's start-up files may print before
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOST_PIPE = 'echo "no shell on this host tells whether every part of a pipeline succeeds: install bash" >&2'
_PIPE_SHELL = f"""\
if /bin/sh -o pipefail -c : 2>/dev/null; then wk_shell="/bin/sh -o pipefail"
elif bash -o pipefail -c : 2>/dev/null; then wk_shell="bash -o pipefail"
else {_LOST_PIPE}; wk_shell=false
fi"""
_SCRIPT = """\
wk_main() {{
exec 3<&0 </dev/null
{{ trap '' TERM; while read -r wk_line <&3; do :; done; kill -TERM 0; sleep 5; kill -KILL 0; }} >/dev/null 2>&1 &
wk_watch=$!
cd /
{first}
printf '{header}'
{body}
wk_code=$?
kill -KILL $wk_watch
printf '{trailer}%03d\\n' $wk_code
exit 0
}}
wk_main
exit 1
"""


def is_name(text: str) -> bool:
    """Whether this can be the name of a variable in the environment."""
    return _NAME.fullmatch(text) is not None


def is_pipeline(command: str) -> bool:
    """Whether the command may be a pipeline, of which a plain shell knows the last part's success only."""
    return "|" in command.replace("||", "")


def new_nonce() -> str:
    """What no output contains by chance, or on purpose."""
    return secrets.token_hex(16)


def script(command: str, environment: Mapping[str, str], nonce: str) -> bytes:
    """The whole script, for the stdin of `/bin/sh`. `environment` is the command's, beyond what the host gives it."""
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    body = f"({exports}exec $wk_shell -c {shlex.quote(command)}) 3<&-"
    return framed(body, nonce, first=_PIPE_SHELL if is_pipeline(command) else "wk_shell=/bin/sh")


def framed(body: str, nonce: str, *, first: str = ":") -> bytes:
    """A script that runs `body`, of which the exit code and the output count; `first` is run before that begins."""
    return _SCRIPT.format(
        first=first,
        header=_HEADER.format(nonce=nonce).replace("\n", "\\n"),
        trailer=_TRAILER.format(nonce=nonce).replace("\n", "\\n"),
        body=body,
    ).encode(errors="surrogateescape")


class Frame:
    """Takes the session's bytes in pieces of any size and gives the command's alone; the end is held back until known."""

    def __init__(self, nonce: str) -> None:
        self._header = _HEADER.format(nonce=nonce).encode()
        self._trailer = _TRAILER.format(nonce=nonce).encode()
        self._reserve = len(self._trailer) + _CODE_BYTES
        self._held = bytearray()
        self.has_begun = False

    def push(self, data: bytes) -> bytes:
        """The bytes of the command that are certain by now. ValueError when the shell never comes to the point."""
        self._held += data
        if not self.has_begun and not self._begins():
            return b""
        certain = bytes(self._held[: -self._reserve])
        del self._held[: len(certain)]
        return certain

    def _begins(self) -> bool:
        at = self._held.find(self._header)
        self.has_begun = at >= 0
        if self.has_begun:
            del self._held[: at + len(self._header)]
        elif len(self._held) > _PREAMBLE_BYTES:
            raise ValueError("the shell printed 64 KiB before it began")
        return self.has_begun

    @property
    def exit_code(self) -> int | None:
        """The command's exit code once all has come; None when the end is missing: what was given then is a part."""
        code = bytes(self._held[len(self._trailer) :])
        is_whole = self.has_begun and len(self._held) == self._reserve and self._held.startswith(self._trailer)
        return int(code) if is_whole and code[:-1].isdigit() else None
