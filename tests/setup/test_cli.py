"""ecx-hyperv setup from the shell: what it prints and leaves, twice, and dry."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.unit.test_clpconf import SAMPLES

PROGRAM = Path(sysconfig.get_path("scripts")) / "ecx-hyperv"
ROOT = Path(__file__).parents[2]


class Shell:
    """A folder with a configuration of its own, and the program run on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        text = (ROOT / "config" / "config.toml").read_text(encoding="utf-8")
        text = text.replace("/root/.ssh/id_rsa", f"{folder}/key")
        text = text.replace('# state = "/var/lib/ecx-hyperv"', f'state = "{folder}/state"')
        # Nobody listens there, and the answer comes at once.
        text = text.replace('"192.168.137.196"', '"127.0.0.1"').replace('"192.168.137.197"', '"127.0.0.2"')
        text = text.replace("# port = 22", "port = 9")
        (folder / "config.toml").write_text(text, encoding="utf-8")
        self.conf = folder / "copy" / "clp.conf"
        self.conf.parent.mkdir()
        self.conf.write_bytes((SAMPLES / "fresh-eucjp.conf").read_bytes())

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ecx-hyperv setup with these words."""
        return subprocess.run(
            [PROGRAM, "setup", *words, "--config", str(self.folder / "config.toml")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, **environment},
        )

    def files(self) -> dict[str, bytes]:
        """Return all files of the folder."""
        return {str(one.relative_to(self.folder)): one.read_bytes() for one in self.folder.rglob("*") if one.is_file()}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a folder to set up in."""
    return Shell(tmp_path)


PARTS = [
    ("ssh", "--no-trust"),
    ("host", "--switch", "iSCSI_switch=Ethernet 3", "--cluster-network", "192.168.137.0/24"),
    ("ecx",),
    ("ecx", "--conf", "{conf}", "--apply"),
    ("iscsi", "--serial", "3600224804fb4d824c64c0f4156f86fc9", "--rule", "{rule}"),
]


@pytest.mark.parametrize("words", PARTS, ids=" ".join)
def test_dry_then_once_then_twice(shell: Shell, words: tuple[str, ...]) -> None:
    """A dry run changes nothing, the first run does, and the second changes nothing any more and says so."""
    stand_in = shell.folder / "udevadm"
    stand_in.write_text("#!/bin/sh\n", encoding="ascii")
    stand_in.chmod(0o755)
    given = [word.format(conf=shell.conf, rule=shell.folder / "99.rules") for word in words]
    path = f"{shell.folder}:{os.environ['PATH']}"
    before = shell.files()
    dry = shell.run(*given, "--dry-run", PATH=path)
    assert (0, before) == (dry.returncode, shell.files()), dry.stderr
    assert "will write: " in dry.stdout
    first = shell.run(*given, PATH=path)
    after = shell.files()
    assert 0 == first.returncode, first.stderr
    assert before != after
    assert "written: " in first.stdout
    second = shell.run(*given, PATH=path)
    assert (0, after) == (second.returncode, shell.files()), second.stderr
    assert "written: " not in second.stdout
    assert "unchanged: " in second.stdout


def test_scripts_for_both_hosts(shell: Shell) -> None:
    """A script for each host, or for the one that is named by address or node; --print writes no file."""
    shell.run("host", "--output", str(shell.folder / "out"))
    assert {"setup-host-127.0.0.1.ps1", "setup-host-127.0.0.2.ps1"} == {
        one.name for one in (shell.folder / "out").iterdir()
    }
    shell.run("host", "--host", "ec2", "--output", str(shell.folder / "one"))
    assert {"setup-host-127.0.0.2.ps1"} == {one.name for one in (shell.folder / "one").iterdir()}
    before = shell.files()
    printed = shell.run("host", "--host", "127.0.0.1", "--print")
    assert (before, "#") == (shell.files(), printed.stdout[0])
    written = (shell.folder / "out" / "setup-host-127.0.0.1.ps1").read_text(encoding="utf-8-sig")
    assert written.replace("\r\n", "\n") == printed.stdout


def test_printed_ssh_script_is_nothing_but_the_script(shell: Shell) -> None:
    """What --print gives on stdout can be saved as it is."""
    shell.run("ssh", "--no-trust")
    printed = shell.run("ssh", "--host", "ec1", "--print")
    assert (0, True) == (printed.returncode, printed.stdout.startswith("# ecx-hyperv setup ssh: 127.0.0.1"))
    assert "unchanged:" not in printed.stdout


def test_ssh_before_the_hosts_listen(shell: Shell) -> None:
    """Before the scripts ran on the hosts, the key and scripts are made, and the exit code says who is silent."""
    done = shell.run("ssh", "--yes")
    assert 4 == done.returncode
    assert "127.0.0.1 (host of ec1): port 9 cannot be connected to" in done.stderr
    assert {"key", "key.pub", "state/setup/setup-ssh-127.0.0.1.ps1"} <= set(shell.files())


def test_targetcli_steps(shell: Shell) -> None:
    """A dry run of the target prints the commands; without the mirror disk both runs end with the same error."""
    words = ("iscsi", "--initiator", "iqn.1991-05.com.microsoft:HOST-1", "--device", "/dev/nothing-here")
    dry = shell.run(*words, "--dry-run")
    last = (
        "    targetcli /iscsi/iqn.1996-10.com.ecx/tpg1/acls create iqn.1991-05.com.microsoft:host-1\n"
        "    targetcli saveconfig\n"
    )
    assert (7, True) == (dry.returncode, dry.stdout.endswith(last))
    done = shell.run(*words)
    assert 7 == done.returncode
    for one in (dry, done):
        assert "/dev/nothing-here is no disk here" in one.stderr


def test_push_hands_the_folder_over(shell: Shell) -> None:
    """Asked for it, the changed copy goes to the cluster by clpcfctrl, and only then."""
    stand_in = shell.folder / "clpcfctrl"
    stand_in.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>"{shell.folder}/calls"\n', encoding="ascii")
    stand_in.chmod(0o755)
    words = ("ecx", "--conf", str(shell.conf), "--apply")
    path = f"{shell.folder}:{os.environ['PATH']}"
    assert 0 == shell.run(*words, PATH=path).returncode
    assert 0 == shell.run(*words, "--push", "--dry-run", PATH=path).returncode
    assert not (shell.folder / "calls").exists()
    assert 0 == shell.run(*words, "--push", PATH=path).returncode
    assert f"--push -l -x {shell.conf.parent}\n" == (shell.folder / "calls").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("iscsi",), "nothing to set up"),
        (("iscsi", "--initiator", "host 1"), "is no iSCSI name"),
        (("host", "--switch", "a"), "NAME=ADAPTER"),
        (("host", "--host", "ec3"), "no host 'ec3'"),
        (("host", "--target", "a;b"), "is no iSCSI name"),
        (("host", "--print"), "--print prints one script"),
        (("ssh", "--print", "--host", "ec1"), "the scripts need the key"),
        (("ecx", "--apply"), "--apply needs --conf"),
        (("ecx", "--conf", "/nowhere/clp.conf"), "cannot be read"),
        (("ecx", "--data-partition", "a b"), "is no device"),
        (("ssh", "--from", "any", "--no-trust"), "no IP address"),
    ],
)
def test_mistakes_are_told_and_change_nothing(shell: Shell, words: tuple[str, ...], said: str) -> None:
    """A mistake is one line that says what is wrong, without a traceback, and nothing is made."""
    before = shell.files()
    done = shell.run(*words)
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.returncode in (2, 7)
    assert before == shell.files()


@pytest.mark.parametrize("part", ["ssh", "host", "iscsi", "ecx"])
def test_help(part: str) -> None:
    """Each part explains itself, with an example."""
    done = subprocess.run([PROGRAM, "setup", part, "--help"], capture_output=True, text=True, check=False)
    assert 0 == done.returncode
    assert f"Example: ecx-hyperv setup {part}" in done.stdout
    assert "--dry-run" in done.stdout
