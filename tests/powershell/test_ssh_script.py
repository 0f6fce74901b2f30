"""The script that lets the EC-VMs in: keys, rights, sshd_config, port, firewall, fingerprints."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ecx_hyperv.config import Config
from ecx_hyperv.setup import ssh
from tests.powershell.scripts import CONFIG, NODE, By, Host
from tests.powershell.setup_world import before_setup, state
from tests.powershell.world import HOSTS, Fails, World

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ec1"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB \u5c71\u7530"
RIGHTS = "O:BAD:P(A;;FA;;;BA)(A;;FA;;;SY)"
# As Win32-OpenSSH brings it, in short.
CONFIGURATION = (
    "#Port 22\n# \u7ba1\u7406\nSubsystem sftp sftp-server.exe\n\nMatch Group administrators\n    AuthorizedKeysFile x\n"
)
MARK = "\ufeff"
STEPS = {
    "service sshd starts with Windows",
    "service sshd runs",
    "the keys of the EC-VMs, each restricted",
    "that file for Administrators and SYSTEM only",
    "sshd_config: keys only, no empty passwords, dead clients noticed",
    "firewall: sshd for the EC-VMs",
    "firewall: sshd for nobody else",
}


def script(config: Config = CONFIG) -> str:
    """Return the script; .NET has a file's rights on Windows only, so one type's name is replaced by a stand-in's."""
    text = ssh.host_script(config, NODE, [KEY], ssh.check_addresses(config, ()))
    assert 1 == text.count("Security.AccessControl.FileSecurity")
    return text.replace("Security.AccessControl.FileSecurity", "EcxStandIn.FileSecurity")


def on_port(port: int) -> Config:
    """Return a configuration with another port."""
    return msgspec.structs.replace(CONFIG, ssh=msgspec.structs.replace(CONFIG.ssh, port=port))


@pytest.fixture
def world(whole_world: tuple[World, Path], tmp_path: Path) -> World:
    """Return a world before the set-up, with sshd and its tools in a folder that is not on PATH."""
    world = whole_world[0]
    tools = tmp_path / "Program Files" / "OpenSSH"
    tools.mkdir(parents=True)
    for name, does in (("sshd.exe", 'grep -q refuse "$3" && exit 1; exit 0'), ("ssh-keygen.exe", 'echo "256 $1 $2"')):
        (tools / name).write_text(f"#!/bin/sh\n{does}\n", encoding="ascii")
        (tools / name).chmod(0o755)
    world.reset(before_setup())
    world.hosts[HOSTS[0]].settings["sshd"] = f'"{tools / "sshd.exe"}"'
    return world


@pytest.fixture
def host(scripts_of_host: Callable[[Path], Host], tmp_path: Path, world: World) -> Host:
    """Return the first host, with the files that sshd's first start has made."""
    folder = tmp_path / "ssh"
    folder.mkdir()
    (folder / "sshd_config").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "ssh_host_ed25519_key.pub").write_text("x", encoding="ascii")
    return scripts_of_host(tmp_path)


def keys_of(host: Host) -> Path:
    """Return the file of the keys."""
    return host.folder / "ssh" / "administrators_authorized_keys"


def config_of(host: Host) -> Path:
    """Return the configuration of sshd."""
    return host.folder / "ssh" / "sshd_config"


def files_of(host: Host) -> dict[str, bytes]:
    """Return every file of sshd's."""
    return {path.name: path.read_bytes() for path in (host.folder / "ssh").iterdir()}


def ports(host: Host) -> list[str]:
    """Return the ports that stand in the configuration."""
    lines = config_of(host).read_text(encoding="utf-8").splitlines()
    return [line.split()[1] for line in lines if line.lower().startswith("port ")]


def test_host_lets_the_ec_vms_in_once(host: Host, world: World) -> None:
    """A first run must tell what is to do, the second do it, the third find nothing left."""
    before = state(world), files_of(host)
    told = host.run(script(), by=By.FILE)
    assert before == (state(world), files_of(host))
    assert STEPS == {one.split(" (not to be seen")[0] for one in told.of("to do")}

    done = host.run(script(), "-Apply", by=By.FILE)
    assert (0, STEPS, "") == (done.code, set(done.of("done")), done.stderr)
    assert [ssh.authorized_line(KEY)] == keys_of(host).read_text(encoding="ascii").splitlines()
    lines = config_of(host).read_text(encoding="utf-8").splitlines()
    assert [*ssh.sshd_block(), *CONFIGURATION.splitlines()] == lines
    assert RIGHTS == world.hosts[HOSTS[0]].settings["acl"]
    rules = world.hosts[HOSTS[0]].settings["rules"]
    assert ["False", "True"] == [rules[name]["Enabled"] for name in ("OpenSSH-Server-In-TCP", "ecx-hyperv-sshd")]
    assert (["22"], [node.address for node in CONFIG.node]) == tuple(
        rules["ecx-hyperv-sshd"][name] for name in ("LocalPort", "RemoteAddress")
    )

    after = state(world), files_of(host)
    again = host.run(script(), "-Apply", by=By.FILE)
    there = {"OpenSSH server installed"}
    assert (0, STEPS | there, after) == (again.code, set(again.of("ok")), (state(world), files_of(host)))


@pytest.mark.proven("P8")
def test_prompt_that_asks_much_lets_the_ec_vms_in(host: Host) -> None:
    """A prompt at which each change is to be confirmed must not keep the script from one."""
    done = host.run(script(), "-Apply", asks="Low")
    assert (0, STEPS, "") == (done.code, set(done.of("done")), done.stderr)


@pytest.mark.parametrize("cmdlet", ["Set-Service", "Set-Acl", "New-NetFirewallRule", "Restart-Service"])
def test_host_that_was_left_half_done_lets_the_ec_vms_in(host: Host, world: World, cmdlet: str) -> None:
    """A cmdlet that is refused in the middle must be told, and a second run must leave nothing to do."""
    world.faults[cmdlet] = Fails("Access is denied.", "X", "PermissionDenied", code=5)
    first = host.run(script(), "-Apply")
    assert (1, True) == (first.code, any("Access is denied." in one for one in first.of("FAILED"))), first.lines
    world.faults.clear()
    second = host.run(script(), "-Apply")
    assert (0, []) == (second.code, second.of("FAILED") + second.of("NOT YET"))
    assert [] == host.run(script()).of("to do")


@pytest.mark.proven("P11")
def test_fingerprints_come_from_beside_sshd(host: Host, world: World) -> None:
    """The fingerprints must be shown though ssh-keygen is not on PATH; it lies where the service's program lies."""
    done = host.run(script(), "-Apply")
    assert [f"256 -lf {host.folder}/ssh/ssh_host_ed25519_key.pub"] == done.of("256 -lf") or done.lines[-1]
    assert done.lines[-1] == f"256 -lf {host.folder}/ssh/ssh_host_ed25519_key.pub"


@pytest.mark.proven("P11")
def test_missing_tool_is_told(host: Host, world: World) -> None:
    """Where ssh-keygen is not there, that must be said, and all that was to do must have been done."""
    (host.folder / "Program Files" / "OpenSSH" / "ssh-keygen.exe").unlink()
    done = host.run(script(), "-Apply")
    assert (STEPS, "") == (set(done.of("done")), done.stderr)
    assert [True] == ["ssh-keygen" in line for line in done.of("by hand")]


@pytest.mark.proven("P6")
@pytest.mark.parametrize(
    "rights",
    [
        "O:S-1-5-21-1-2-3-1001D:P(A;;FA;;;BA)(A;;FA;;;SY)",
        "O:BAD:P(D;;FW;;;SY)(A;;FA;;;BA)(A;;FA;;;SY)",
        "O:BAD:P(A;;FA;;;BA)(A;;FA;;;SY)(A;;FR;;;AU)",
        "O:BAD:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)",
        "O:BAD:P(A;;FA;;;BA)",
    ],
)
def test_rights_that_sshd_may_ignore_are_not_called_fine(host: Host, world: World, rights: str) -> None:
    """A foreign owner, a Deny rule, anyone else's rule, an inherited one: each must be told, and then be made right."""
    world.hosts[HOSTS[0]].settings["acl"] = rights
    assert "that file for Administrators and SYSTEM only" in host.run(script(), "-Apply").of("done")
    assert RIGHTS == world.hosts[HOSTS[0]].settings["acl"]


@pytest.mark.proven("P6")
@pytest.mark.parametrize("rights", [RIGHTS, "O:SYD:PAI(A;;FA;;;SY)(A;;FA;;;BA)"])
def test_rights_that_sshd_takes_are_left_alone(host: Host, world: World, rights: str) -> None:
    """Rights by which sshd reads the file must be called fine, whichever of the two owns it."""
    keys_of(host).write_text("", encoding="ascii")
    world.hosts[HOSTS[0]].settings["acl"] = rights
    assert "that file for Administrators and SYSTEM only" in host.run(script()).of("ok")


@pytest.mark.proven("P7")
@pytest.mark.parametrize("mark", ["", MARK], ids=["without mark", "with mark"])
def test_what_others_wrote_stays_byte_for_byte(host: Host, world: World, mark: str) -> None:
    """Foreign lines beyond ASCII must stay as they are, whether or not an editor has put a mark before them."""
    keys_of(host).write_text(f"{mark}{OTHER}\n", encoding="utf-8")
    config_of(host).write_text(mark + CONFIGURATION, encoding="utf-8")
    done = host.run(script(), "-Apply")
    assert (0, "") == (done.code, done.stderr)
    assert [OTHER, ssh.authorized_line(KEY)] == keys_of(host).read_text(encoding="utf-8-sig").splitlines()
    assert [*ssh.sshd_block(), *CONFIGURATION.splitlines()] == config_of(host).read_text(encoding="utf-8").splitlines()
    assert host.run(script()).of("to do") == []


@pytest.mark.proven("P7")
def test_file_in_utf_16_is_left_alone(host: Host, world: World) -> None:
    """A file that sshd cannot read either must be told, not be mixed with ours."""
    content = f"{MARK}{OTHER}\n".encode("utf-16-le")
    keys_of(host).write_bytes(content)
    done = host.run(script(), "-Apply")
    assert (1, content) == (done.code, keys_of(host).read_bytes())
    assert [True] == ["UTF-16" in line for line in done.of("FAILED")]


@pytest.mark.proven("P9")
def test_other_port_is_listened_on(host: Host, world: World) -> None:
    """A port other than 22 must stand in sshd_config, once, and go with the configuration that asked for it."""
    assert 0 == host.run(script(on_port(2222)), "-Apply").code
    assert ["2222"] == ports(host)
    assert [] == host.run(script(on_port(2222))).of("to do")
    assert 0 == host.run(script(), "-Apply").code
    assert [] == ports(host)
    assert [*ssh.sshd_block(), *CONFIGURATION.splitlines()] == config_of(host).read_text(encoding="utf-8").splitlines()


@pytest.mark.proven("P9")
@pytest.mark.parametrize(("stands", "then"), [("Port 2222", ["2222"]), ("port 2200", ["2222", "2200"])])
def test_port_that_stands_there_is_not_said_twice(host: Host, world: World, stands: str, then: list[str]) -> None:
    """A port that somebody has set must be neither taken away nor bound twice."""
    config_of(host).write_text(f"{stands}\n{CONFIGURATION}", encoding="utf-8")
    assert 0 == host.run(script(on_port(2222)), "-Apply").code
    assert then == ports(host)


def test_configuration_that_sshd_refuses_is_not_used(host: Host, world: World) -> None:
    """A configuration that sshd -t refuses must not take the old one's place, and the service must not be restarted."""
    refused = CONFIGURATION + "refuse\n"
    config_of(host).write_text(refused, encoding="utf-8")
    done = host.run(script(), "-Apply")
    assert (1, refused) == (done.code, config_of(host).read_text(encoding="utf-8"))
    assert [] == world.made("Restart-Service")


def _lines(host: Host) -> list[str]:
    return keys_of(host).read_text(encoding="utf-8").splitlines()


def _forced(key: str) -> str:
    """Return a line as the scope of a host is set by hand: options with blanks, commas and quotes."""
    options = 'restrict,from="192.0.2.1,192.0.2.2",command="powershell.exe -NoLogo -File \\"C:\\a b.ps1\\"" '
    return options + key


@pytest.mark.proven("D25")
def test_d25_lines_with_options_are_known_by_their_key(host: Host, world: World) -> None:
    """A line is told by its key alone: whatever options stand before it, no other EC-VM's line is dropped for it."""
    others = [_forced(OTHER), f"# {KEY}", 'from="a b" not-a-key', "  ", f"{OTHER.split(maxsplit=1)[0]} AAAAshort x"]
    keys_of(host).write_text("\n".join([*others, f'environment="A={KEY}" {OTHER}', f"{KEY} old"]), encoding="utf-8")
    done = host.run(script(), "-Apply")
    assert (0, "") == (done.code, done.stderr)
    kept = [line for line in others if line.strip()]
    assert [*kept, f'environment="A={KEY}" {OTHER}', ssh.authorized_line(KEY)] == _lines(host)
    assert [] == host.run(script()).of("to do")


@pytest.mark.proven("D25")
def test_d25_a_forced_command_for_our_key_stays(host: Host, world: World) -> None:
    """A line that lets our key do one thing only is narrower than ours: it must stay, once, as it is."""
    keys_of(host).write_text(f"{_forced(KEY)}\n{KEY}\n{OTHER}\n", encoding="utf-8")
    done = host.run(script(), "-Apply")
    assert (0, "") == (done.code, done.stderr)
    assert [_forced(KEY), OTHER] == _lines(host)
    assert [] == host.run(script()).of("to do")


@pytest.mark.proven("D25")
def test_d25_options_of_ours_with_blanks_drop_no_line(host: Host, world: World) -> None:
    """Where our own line has options with blanks, a line that holds one of their words must stay."""
    ours = script().replace(ssh.authorized_line(KEY), _forced(KEY))
    assert ours != script()
    keys_of(host).write_text(f"{_forced(OTHER)}\n", encoding="utf-8")
    done = host.run(ours, "-Apply")
    assert (0, "") == (done.code, done.stderr)
    assert [_forced(OTHER), _forced(KEY)] == _lines(host)
