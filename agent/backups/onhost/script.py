"""Writes what the shell on a host runs there for restic; url and password stand in no argument, environment or file.

Both are written by the shell's own `printf` into pipes, which restic reads by `/dev/fd`; the script itself comes on the
shell's stdin. How it is framed, and ended with the connection, is that of streaming/script.py.
"""

import shlex
from collections.abc import Sequence

from agent.backups.streaming.script import framed

# Exit codes: no restic there; a shell that would tell secrets to another program; one of the tools is not there.
MISSING, NO_PRINTF, NO_TOOLS = 91, 92, 93
TOOLS = "nice sha256sum stat uname xargs"
LOOK = f"""\
if ! command -v restic >/dev/null 2>&1; then exit {MISSING}; fi
case $(command -v printf) in printf) ;; *) exit {NO_PRINTF} ;; esac
for tool in {TOOLS}; do command -v "$tool" >/dev/null 2>&1 || exit {NO_TOOLS}; done
restic version >&2 </dev/null
"""
MARK = "=restic "
# The frame holds the last bytes of what it hears back: what is to be known at once is followed by as many.
_ITSELF = f"""printf '{MARK}%s %s\\n%80s\\n' "$$" "$(uname -n)" .; exec restic "$@\""""
_BODY = """\
{{
ulimit -c 0
umask 077
export LC_ALL=C TZ=UTC RESTIC_PROGRESS_FPS=2
if [ -n "${{XDG_CACHE_HOME:-${{HOME:-}}}}" ]; then
RESTIC_CACHE_DIR=${{XDG_CACHE_HOME:-$HOME/.cache}}/restic; export RESTIC_CACHE_DIR
fi
printf '%s\\n' {url} | {{
exec 4<&0
printf '%s\\n' {password} | nice -n 10 /bin/sh -c {itself} restic --repository-file=/dev/fd/4 --password-file=/dev/fd/0 \
"--exclude=${{RESTIC_CACHE_DIR:-/nonexistent}}" {arguments}
}}
}} 3<&-"""


def script(url: str, password: str, arguments: Sequence[str], nonce: str) -> bytes:
    """The script that runs restic with these arguments; on its stdout comes `=restic PID HOST` first."""
    body = _BODY.format(
        url=shlex.quote(url),
        password=shlex.quote(password),
        itself=shlex.quote(_ITSELF),
        arguments=shlex.join(arguments),
    )
    return framed(body, nonce)
