"""Another machine by the system's ssh and scp: connect, copy, run edgefer, fetch, clean up.

All goes over one connection. Its first session, the keeper, creates a folder on the host, waits until its input
ends, then kills what still runs there and deletes the folder. Its input ends when this process ends, is killed, or
loses the connection, so the host is always cleaned up.

Arguments for the remote shell are quoted; paths for scp, which may go through a
shell, have only safe characters.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgefer import console
from edgefer.errors import InputError, MissingRequirement
from edgefer.lines import one_line

# A host name for ssh. Other settings (ports, IPv6 addresses) can be in its configuration under
# such a name; so no name can be an option or affect a shell, e.g. in ssh's ProxyCommand.
_CONFIG = "EDGEFER_SSH_CONFIG"
_NAME = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.+-]*@)?[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_SAFE_PATH = re.compile(r"/[A-Za-z0-9_./+-]+")
_LONGEST_SOCKET = 60  # characters of its folder; the system limits the path to about 100
_CONNECTION_LOST = 255  # ssh's own exit code
_CLEANING_SECONDS = 30
_OPTIONS = (
    "BatchMode=yes",  # no prompts: neither passwords nor host keys
    "ConnectTimeout=15",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
    "LogLevel=ERROR",  # no banner
    # Overrides of user configuration that is not meant for commands.
    "RemoteCommand=none",
    "RequestTTY=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
)

# $1: a marker for our lines among the login's output. $2: edgefer, or empty.
_KEEPER = r"""
mark=$1 named=$2
say() { printf '%s %s\n' "$mark" "$*"; }
runs() { version=$("$@" --version </dev/null); }
if [ -n "$named" ]; then
    case $named in /*) ;; */*) named=$HOME/$named ;; esac
    set -- "$named"
    runs "$@" || { say missing; exit; }
elif runs edgefer; then
    set -- edgefer
elif runs python3 -m edgefer; then
    set -- python3 -m edgefer
else
    say missing
    exit
fi
umask 077
folder=$(mktemp -d "${TMPDIR:-/tmp}/edgefer-XXXXXXXXXX") || { say full; exit; }
trap '' HUP INT TERM PIPE
for word in "$@"; do say word "$word"; done
say version "$version"
say folder "$folder"
cat >/dev/null
if pid=$(cat "$folder/pid" 2>/dev/null) && [ -n "$pid" ]; then
    kill -INT "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.5 || sleep 1
    done
    kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }
"""

# $1: the folder; then the command. It runs in the foreground: in the background a shell would make it ignore Ctrl-C.
_RUN = r"""
cd "$1" || exit
shift
sh -c 'echo $$ >pid && exec "$@"' sh "$@" </dev/null >/dev/null
code=$?
rm -f pid
exit "$code"
"""

# ssh's messages, and remedies.
_REMEDIES = (
    ("IDENTIFICATION HAS CHANGED", "its host key has changed; check that it is the right machine, then: {ssh}"),
    ("Host key verification failed", "its host key is unknown; connect once by hand and check it: {ssh}"),
    ("Permission denied", "it accepts none of your keys; try by hand: {ssh}, and see ssh-copy-id"),
    ("Could not resolve hostname", "unknown host name; correct --host or ssh's configuration"),
    ("Connection refused", "no ssh server answers; start one, or correct its port in ssh's configuration"),
    ("timed out", "no answer; is it switched on and in this network?"),
    ("No route to host", "no answer; is it switched on and in this network?"),
)


@dataclass(frozen=True)
class Host:
    """A connected machine.

    Attributes:
        name: as given by the user.
        folder: an empty folder there, absolute, deleted at the end.
        command: edgefer there, as words.
        version: of edgefer there.
    """

    name: str
    folder: str
    command: tuple[str, ...]
    version: str
    _options: tuple[str, ...]
    _keeper: subprocess.Popen[str]

    def send(self, source: Path) -> None:
        """Copy a local folder into `folder`, under its name.

        Args:
            source: its last part of safe characters.

        Raises:
            MissingRequirement: the host's disk is full, the connection is cut, scp fails.
        """
        failure = self._copy(source.parent, f"./{source.name}", f"{self.name}:{self.folder}/")
        if failure is None:
            return
        size = sum(file.stat().st_size for file in source.rglob("*") if file.is_file())
        free = self._free_bytes()
        if free is not None and free < size:
            raise MissingRequirement(
                f"{self.name} has no space left in {self.folder.rpartition('/')[0]}: the bench needs "
                f"{size / 1e6:.1f} MB; free some, or set TMPDIR there"
            )
        raise MissingRequirement(f"copying to {self.name} failed: {failure}")

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file here.

        Args:
            path: inside `folder`, of safe characters.
            target: local file, its last part of safe characters.

        Raises:
            MissingRequirement: the connection is cut, scp fails.
        """
        failure = self._copy(target.parent, f"{self.name}:{self.folder}/{path}", f"./{target.name}")
        if failure is not None:
            raise MissingRequirement(f"copying the result from {self.name} failed: {failure}")

    def _copy(self, place: Path, source: str, target: str) -> str | None:
        """Run scp inside a local folder, so that scp never sees its path; return the reason on failure.

        Raises:
            MissingRequirement: the connection is cut.
        """
        done = subprocess.run(
            ["scp", "-r", "-q", *self._options, "--", source, target],
            cwd=place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            start_new_session=True,  # Ctrl-C goes to this process, which stops scp and then cleans up
        )
        if done.returncode == 0:
            return None
        self._check_connection()
        return _last_line(done.stderr) or f"scp ended with exit code {done.returncode}"

    def _free_bytes(self) -> int | None:
        done = self._ssh(f"df -Pk {shlex.quote(self.folder)}")
        words = done.stdout.splitlines()[-1].split() if done.stdout.strip() else []
        return int(words[3]) * 1024 if len(words) > 3 and words[3].isdigit() else None

    def _ssh(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ssh", *self._options, "--", self.name, command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            start_new_session=True,
        )

    def run(self, arguments: Sequence[str], heard: Callable[[str], None]) -> int:
        """Run edgefer in `folder` and return its exit code.

        Args:
            arguments: of edgefer.
            heard: called with each line of stderr while it runs.

        Raises:
            MissingRequirement: the connection is cut.
        """
        command = _script(_RUN, self.folder, *self.command, *arguments)
        with subprocess.Popen(
            ["ssh", *self._options, "--", self.name, command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            assert process.stderr is not None
            try:
                for line in process.stderr:
                    heard(line.rstrip("\n"))
            except BaseException:
                process.kill()
                raise
        if process.returncode == _CONNECTION_LOST:
            self._check_connection()
        return process.returncode

    def _check_connection(self) -> None:
        """Detect a lost connection.

        Raises:
            MissingRequirement: the connection is cut.
        """
        try:
            self._keeper.wait(timeout=2)  # it holds the connection; users of it may notice slightly earlier
        except subprocess.TimeoutExpired:
            return
        raise MissingRequirement(
            f"lost the connection to {self.name}: its bench ends and nothing is written here; try again"
        )


@contextmanager
def connect(name: str, config: Path | None = None, edgefer: str | None = None) -> Iterator[Host]:
    """Connect to a machine that has edgefer.

    Args:
        name: for ssh: a host, user@host, or a name from its configuration.
        config: configuration file for ssh instead of the user's and the system's; by default EDGEFER_SSH_CONFIG.
        edgefer: the command there, a path or a name on its PATH; by default ``edgefer``, else ``python3 -m edgefer``.

    Yields:
        The host. At the end of the block, running processes there are killed, and the folder is deleted.

    Raises:
        InputError: the name or a path cannot be passed to ssh.
        MissingRequirement: ssh is not installed, the host cannot be reached or has no edgefer, or its disk is full.
    """
    check_name(name)
    if config is None and os.environ.get(_CONFIG):
        config = Path(os.environ[_CONFIG])
    if config is not None and not config.is_file():
        raise InputError(f"{config} is not a file; {_CONFIG} must name an ssh configuration file")
    if edgefer is not None and not (edgefer and edgefer.isprintable()):
        raise InputError(f"{edgefer!r} is not a path; --host {name}:PATH names its edgefer command")
    for program in ("ssh", "scp"):
        if shutil.which(program) is None:
            raise MissingRequirement(
                f"{program} is not installed; --host needs OpenSSH's client (Debian: openssh-client)"
            )
    with _short_folder() as private:
        chosen = () if config is None else ("-F", str(config.absolute()))
        options = (*chosen, *(word for option in _OPTIONS for word in ("-o", option)))
        shared = (*options, "-o", f"ControlPath={private}/ssh")
        mark = secrets.token_hex(8)
        command = _script(_KEEPER, mark, edgefer or "")
        said = private / "stderr"
        with said.open("wb") as stderr:
            keeper = subprocess.Popen(
                ["ssh", *shared, "-o", "ControlMaster=yes", "-o", "ControlPersist=no", "--", name, command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        try:
            answer = _answer(keeper, mark)
            errors = said.read_text(encoding="utf-8", errors="replace")
            by_hand = shlex.join(["ssh", *chosen, name])
            command_there, version, folder = _understand(answer, name, errors, by_hand)
            yield Host(name, folder, command_there, version, (*shared, "-o", "ControlMaster=no"), keeper)
        except KeyboardInterrupt:
            console.say(f"stopping the bench on {name}")
            raise
        finally:
            _end(keeper)


def check_name(name: str) -> None:
    """Refuse a name that ssh or a shell could misinterpret.

    Raises:
        InputError: it is not made of letters, digits and ``. _ + -``, with a user's name and @ in front or without.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"--host {name!r} is not passed to ssh: HOST and USER@HOST are made of letters, digits, '.', '_', '+' "
            "and '-'; for a port or an IPv6 address, define a name in ~/.ssh/config"
        )


@contextmanager
def _short_folder() -> Iterator[Path]:
    """Yield a private folder for ssh's socket: a short path without blanks and percent signs."""
    usual = tempfile.gettempdir()
    fits = _SAFE_PATH.fullmatch(usual) and len(usual) <= _LONGEST_SOCKET
    with tempfile.TemporaryDirectory(prefix="edgefer-", dir=usual if fits else "/tmp") as folder:
        yield Path(folder)


def _script(text: str, *arguments: str) -> str:
    """Return a command line that runs a POSIX sh script from any login shell."""
    return shlex.join(["exec", "sh", "-c", text.strip(), "sh", *arguments])


def _answer(keeper: subprocess.Popen[str], mark: str) -> list[tuple[str, str]]:
    """Return the keeper's marked lines as pairs of word and rest, up to the folder or the end."""
    assert keeper.stdout is not None
    found = []
    for line in keeper.stdout:
        start, _, rest = line.rstrip("\n").partition(" ")
        if start == mark:
            key, _, value = rest.partition(" ")
            found.append((key, value))
            if key == "folder":
                break
    return found


def _understand(
    answer: Sequence[tuple[str, str]], name: str, errors: str, by_hand: str
) -> tuple[tuple[str, ...], str, str]:
    """Return edgefer there as words, its version, and the folder.

    Raises:
        MissingRequirement: there is no connection, no edgefer or no folder.
    """
    last = _last_line(errors)
    said = f" ({last})" if last else ""
    facts = dict(answer)
    if not facts.keys() & {"missing", "full", "folder"}:
        for sign, remedy in _REMEDIES:
            if sign in errors:
                raise MissingRequirement(f"cannot connect to {name}: {remedy.format(ssh=by_hand)}{said}")
        raise MissingRequirement(f"cannot connect to {name}{said}; try by hand: {by_hand}")
    if "missing" in facts:
        raise MissingRequirement(
            f"{name} has no working edgefer{said}; install it there (in a checkout: pip install .), or give its path: "
            f"--host {name}:venv/bin/edgefer"
        )
    if "full" in facts:
        raise MissingRequirement(f"{name} has no space for a folder{said}; free some, or set TMPDIR there")
    version = re.fullmatch(r"edgefer ([0-9][A-Za-z0-9.+!_-]*)", facts.get("version", ""))
    folder = facts.get("folder", "")
    if version is None:
        raise MissingRequirement(f"the edgefer of {name} prints no version; give another: --host {name}:PATH")
    if not _SAFE_PATH.fullmatch(folder):
        raise MissingRequirement(
            f"the name of the temporary folder on {name} has special characters; set TMPDIR there to another folder"
        )
    return tuple(value for key, value in answer if key == "word"), version[1], folder


def _end(keeper: subprocess.Popen[str]) -> None:
    """Let the keeper clean up there, and wait for it."""
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    with suppress(BrokenPipeError):
        keeper.stdin.close()
    try:
        keeper.wait(timeout=_CLEANING_SECONDS)
    except subprocess.TimeoutExpired:  # the connection hangs; the host will clean up by itself
        keeper.kill()
        keeper.wait()
    finally:
        keeper.stdout.close()


def _last_line(text: str) -> str:
    """Return the last line with words of a program's output, escaped."""
    lines = [line.strip() for line in text.splitlines() if any(c.isalnum() for c in line)]
    return one_line(lines[-1], 300) if lines else ""
