"""A real sshd on 127.0.0.1 with its own keys, and an ssh configuration that names it ``orin``."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

import edgefer
from edgefer.cli.output import EXTRAS

_SFTP = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
_TOOLS = ("cat", "df", "mktemp", "rm", "scp", "sh", "sleep")  # the host's needs besides edgefer


@dataclass(frozen=True)
class Server:
    """A running sshd.

    Attributes:
        config: for ``ssh -F``.
        temporary: TMPDIR there.
        process: sshd.
    """

    config: Path
    temporary: Path
    process: subprocess.Popen[str]

    def cut(self) -> None:
        """Cut the connections as if the plug were pulled: no side closes them."""
        for process in self._serving():
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(process, signal.SIGKILL)

    def _serving(self) -> list[int]:
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(status.read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == self.process.pid:
                found.append(int(status.parent.name))
        return found

    def left(self) -> list[str]:
        """Return the content of the host's temporary folder, once it stops shrinking."""
        wait_until(lambda: not any(self.temporary.iterdir()), patience=15, must=False)
        return [file.name for file in self.temporary.iterdir()]


def program(folder: Path, name: str, lines: str) -> Path:
    """Write an executable sh script."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return path


def real_edgefer(folder: Path) -> Path:
    """Write an edgefer program with the tested code, without its extras, as on a device."""
    extras = folder / "no-extras"
    extras.mkdir(parents=True)
    for package in {package for packages in EXTRAS.values() for package in packages}:
        (extras / f"{package}.py").write_text(f"raise ModuleNotFoundError(name={package!r})\n")
    modules = f"{extras}:{Path(edgefer.__file__).parents[1]}"
    return program(folder, "edgefer", f'PYTHONPATH={shlex.quote(modules)} exec {sys.executable} -m edgefer "$@"')


@contextmanager
def serve(
    folder: Path, *settings: str, sftp: Path | None = None, within: Sequence[str] = (), **variables: str | Path
) -> Iterator[Server]:
    """Start an sshd with only ``folder/bin`` and a few tools on its PATH, no other edgefer or Python.

    Args:
        folder: for its files; ``bin`` in it may hold programs already.
        settings: further configuration lines.
        sftp: the command for sftp.
        within: a wrapper command.
        variables: environment there.
    """
    binary = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/opt/homebrew/sbin")
    if binary is None:
        pytest.skip("no sshd here; install openssh-server")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    programs, temporary = folder / "bin", folder / "tmp"
    for place in (programs, temporary):
        place.mkdir(parents=True, exist_ok=True)
    for tool in _TOOLS:
        (programs / tool).symlink_to(str(shutil.which(tool)))
    for key in ("host", "user"):
        make_key(folder / key)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "HOME": folder,  # read by a shell
        "PATH": programs,
        "TMPDIR": temporary,
        "EDGEFER_CACHE": folder / "cache",
        "OMP_NUM_THREADS": 1,
    }
    lines = [
        *settings,
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/user.pub",
        f"PidFile {folder}/pid",
        "UsePAM no",
        "StrictModes no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        " ".join(["SetEnv", *(f'"{name}={value}"' for name, value in {**environment, **variables}.items())]),
        f"Subsystem sftp {sftp or next(path for path in _SFTP if Path(path).exists())}",
    ]
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    command = [*within, binary, "-D", "-e", "-f", str(folder / "sshd_config")]
    config = write_config(folder, port)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, text=True)
    server = Server(config, temporary, process)
    try:
        wait_until(lambda: process.poll() is not None or "Server listening" in (folder / "log").read_text())
        assert process.poll() is None, (folder / "log").read_text()
        yield server
    finally:
        server.cut()
        process.terminate()
        process.wait()


def write_config(folder: Path, port: int, host_key: Path | None = None, user_key: Path | None = None) -> Path:
    """Write ssh's configuration.

    Args:
        folder: of the server.
        port: of the server.
        host_key: the expected host key; default: the right one.
        user_key: the client's key; default: the right one.
    """
    known, config = folder / "known_hosts", folder / "ssh_config"
    public = (host_key or folder / "host").with_suffix(".pub")
    known.write_text(f"[127.0.0.1]:{port} {public.read_text()}" if public.exists() else "")
    lines = [
        "Host orin",
        "HostName 127.0.0.1",
        f"Port {port}",
        f"IdentityFile {user_key or folder / 'user'}",
        "IdentitiesOnly yes",
        "IdentityAgent none",
        f"UserKnownHostsFile {known}",
        "GlobalKnownHostsFile /dev/null",
    ]
    config.write_text("\n  ".join(lines) + "\n")
    return config


def port_of(server: Server) -> int:
    return next(int(line.split()[1]) for line in server.config.read_text().splitlines() if "Port" in line)


def make_key(path: Path) -> Path:
    if not path.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def wait_until(happened: Callable[[], bool], patience: float = 60, must: bool = True) -> None:
    """Wait for something that happens soon; `patience` in seconds allows for a very busy machine."""
    end = time.monotonic() + patience
    while not happened():
        if time.monotonic() > end:
            if must:
                pytest.fail("it did not happen")
            return
        time.sleep(0.02)
