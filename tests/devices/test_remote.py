"""ssh and scp to a real sshd: transfers, refusals, and errors without a connection."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefer.devices import remote
from edgefer.errors import InputError, MissingRequirement
from tests.helpers import sshd

FAKE = 'case $1 in --version) echo edgefer 1.2.3 ;; *) printf "%s|" "$@" >words; echo heard >&2; exit 7 ;; esac'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Server]:
    folder = tmp_path_factory.mktemp("sshd")
    sshd.program(folder / "bin", "edgefer", FAKE)
    with sshd.serve(folder) as running:
        yield running


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    folder = tmp_path / "it's $(here)\n" / "upload"
    folder.mkdir(parents=True)
    (folder / "a.bin").write_bytes(bytes(range(256)))
    return folder


@pytest.mark.parametrize("protocol", ["", "-O"], ids=["sftp", "before OpenSSH 9"])
def test_files_go_there_and_come_back(
    protocol: str, server: sshd.Server, upload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("scp")
    sshd.program(tmp_path / "here", "scp", f'exec {real} {protocol} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path / "here"), prepend=":")

    with remote.connect("orin", server.config) as host:
        host.send(upload)
        host.fetch("upload/a.bin", upload.parent / "back")
        assert (server.temporary / Path(host.folder).name / "upload" / "a.bin").exists()

    assert (upload.parent / "back").read_bytes() == bytes(range(256))
    assert server.left() == []


def test_words_arrive_as_they_are(server: sshd.Server, tmp_path: Path) -> None:
    words = ["", "two words", "it's", '"', "$(touch pwned)", "`id`", "a\nb", "-x", "*", "\\", "é", ";", "!!", "~"]
    heard: list[str] = []
    with remote.connect("orin", server.config) as host:
        assert host.run(words, heard.append) == 7
        host.fetch("words", tmp_path / "words")
        assert [file.name for file in Path(host.folder).iterdir()] == ["words"]
    assert (tmp_path / "words").read_text() == "".join(f"{word}|" for word in words)
    assert heard == ["heard"]
    assert host.version == "1.2.3"


def test_a_program_that_reads_its_input_finds_nothing(tmp_path: Path) -> None:
    sshd.program(tmp_path / "bin", "edgefer", '[ "$1" = --version ] && echo edgefer 1.2.3; cat >&2')
    heard: list[str] = []
    with sshd.serve(tmp_path) as server, remote.connect("orin", server.config) as host:
        assert host.run(["bench"], heard.append) == 0
    assert heard == []


def test_what_a_login_prints_is_not_taken_for_an_answer(tmp_path: Path) -> None:
    sshd.program(tmp_path / "bin", "edgefer", FAKE)
    forced = sshd.program(tmp_path, "forced", 'echo Welcome; echo "folder /etc"; exec sh -c "$SSH_ORIGINAL_COMMAND"')
    with sshd.serve(tmp_path, f"ForceCommand {forced}") as server:
        with remote.connect("orin", server.config) as host:
            assert Path(host.folder).parent == server.temporary
            assert host.run(["bench"], print) == 7
        assert server.left() == []


@pytest.mark.parametrize("where", ["edgefer", "python3", "named", "named from home"])
def test_edgefer_is_found_there(where: str, tmp_path: Path) -> None:
    sshd.program(tmp_path / ("bin" if where in ("edgefer", "python3") else "my venv"), where.split()[0], FAKE_MODULE)
    named = {"named": str(tmp_path / "my venv" / "named"), "named from home": "my venv/named"}.get(where)
    with (
        sshd.serve(tmp_path) as server,
        remote.connect("orin", server.config, named) as host,
    ):
        assert host.version == "1.2.3"
        assert host.run(["bench"], print) == 7


# As a Python, it must be asked for edgefer.
FAKE_MODULE = '[ "$1 $2" = "-m edgefer" ] && shift 2; ' + FAKE


@pytest.mark.parametrize("kind", ["nothing", "not there", "something else", "broken"])
def test_a_host_without_edgefer(kind: str, tmp_path: Path) -> None:
    if kind == "something else":
        sshd.program(tmp_path / "bin", "edgefer", "echo ready")
    if kind == "broken":
        sshd.program(tmp_path / "bin", "edgefer", "echo no module named onnxruntime >&2; exit 1")
    named = "/opt/no such/edgefer" if kind == "not there" else None
    with sshd.serve(tmp_path) as server:
        with pytest.raises(MissingRequirement) as caught, remote.connect("orin", server.config, named):
            pass
        assert server.left() == []
    message = str(caught.value)
    assert "--host orin:" in message
    assert "\n" not in message
    if kind != "something else":
        assert "in a checkout: pip install ." in message
    if kind == "not there":
        assert "not found" in message


def test_a_host_that_is_down(tmp_path: Path) -> None:
    sshd.make_key(tmp_path / "user")
    with socket.socket() as taken:  # bound, but without a listener
        taken.bind(("127.0.0.1", 0))
        config = sshd.write_config(tmp_path, taken.getsockname()[1])
        with pytest.raises(
            MissingRequirement, match=r"cannot connect to orin: no ssh server answers.*Connection refused"
        ):
            remote.connect("orin", config).__enter__()


def test_a_host_that_hangs_up(tmp_path: Path) -> None:
    with sshd.serve(tmp_path, "MaxStartups 1:100:1", "LoginGraceTime 60") as server:
        waiting = socket.create_connection(("127.0.0.1", sshd.port_of(server)))
        waiting.recv(1)
        with (
            waiting,
            pytest.raises(MissingRequirement, match=r"cannot connect to orin \(.*try by hand: ssh -F .* orin$"),
        ):
            remote.connect("orin", server.config).__enter__()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("no host key", "its host key is unknown; connect once by hand"),
        ("another host key", "its host key has changed"),
        ("another user key", "accepts none of your keys"),
    ],
)
def test_keys_are_checked_as_ssh_does(wrong: str, words: str, tmp_path: Path) -> None:
    other = sshd.make_key(tmp_path / "other")
    sshd.program(tmp_path / "bin", "edgefer", FAKE)
    with sshd.serve(tmp_path) as server:
        host_key = {"no host key": tmp_path / "none", "another host key": other}.get(wrong)
        sshd.write_config(tmp_path, sshd.port_of(server), host_key, other if wrong == "another user key" else None)
        before = (tmp_path / "known_hosts").read_text()
        with pytest.raises(MissingRequirement, match=words):
            remote.connect("orin", server.config).__enter__()
        assert (tmp_path / "known_hosts").read_text() == before
        assert server.left() == []


HOSTILE = [
    "",
    "-oProxyCommand=touch pwned",
    "-v",
    "user@-v",
    "@orin",
    "a b",
    "orin\n",
    "orin\tx",
    "orin;id",
    "$(id)",
    "`id`",
    "a'b",
    'a"b',
    "orin:2222",
    "::1",
    "ssh://orin",
    "ori\x00n",
    "ori\x1b[2Jn",
    "a@b@c",
    "orín",
    "%h",
    "*",
    "..\\x",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_ssh_or_a_shell_could_misread_are_refused_before_ssh_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tool in ("ssh", "scp"):
        sshd.program(tmp_path / "here", tool, f"touch {tmp_path}/started")
    monkeypatch.setenv("PATH", str(tmp_path / "here"))
    with pytest.raises(InputError, match="is not passed to ssh") as caught:
        remote.connect(name).__enter__()
    assert str(caught.value).isprintable()
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("name", ["orin", "user@orin", "user@10.0.0.7", "my_user+x@orin-2.local", "_a.b"])
def test_usual_names_are_taken(name: str) -> None:
    remote.check_name(name)


def test_without_ssh_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingRequirement, match=r"ssh is not installed; .*openssh-client"):
        remote.connect("orin").__enter__()


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a file; EDGEFER_SSH_CONFIG"):
        remote.connect("orin", tmp_path / "nothing").__enter__()


def test_a_folder_there_that_scp_could_misread_is_not_used(tmp_path: Path) -> None:
    sshd.program(tmp_path / "bin", "edgefer", FAKE)
    (tmp_path / "it's tmp").mkdir()
    with (
        sshd.serve(tmp_path, TMPDIR=tmp_path / "it's tmp") as server,
        pytest.raises(MissingRequirement, match="special characters"),
    ):
        remote.connect("orin", server.config).__enter__()
    assert list((tmp_path / "it's tmp").iterdir()) == []


def test_a_folder_there_that_cannot_be_written(tmp_path: Path) -> None:
    sshd.program(tmp_path / "bin", "edgefer", FAKE)
    with (
        sshd.serve(tmp_path, TMPDIR="/proc/none") as server,
        pytest.raises(MissingRequirement, match=r"no space for a folder \(mktemp: .*TMPDIR"),
    ):
        remote.connect("orin", server.config).__enter__()


def test_a_connection_that_is_cut_while_files_go_there(tmp_path: Path, upload: Path) -> None:
    sshd.program(tmp_path / "bin", "edgefer", FAKE)
    cut = sshd.program(tmp_path, "cut", "kill -9 $PPID")
    with sshd.serve(tmp_path, sftp=cut) as server:
        with (
            pytest.raises(MissingRequirement, match="lost the connection to orin"),
            remote.connect("orin", server.config) as host,
        ):
            host.send(upload)
        assert server.left() == []
