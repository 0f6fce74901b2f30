"""VM names of every kind go through everything unharmed: the command line, the wire, the cluster, files and logs."""

from pathlib import Path

import pytest

from tests.e2e.support import ONE, TWO, running_lab

NAMES = (
    "ウェブ サーバー",
    "File Server",
    'it\'s a "VM"',
    "$(Stop-Computer)",
    "%PATH%",
    "a;b",
    "a&b|c",
    "x" * 200,
    "-Force",
    "web1",
    "myweb1",
    "web10",
    "Cent8.2-1",
    "Cent8x2-1",
)


@pytest.mark.defect(6, 7, 9)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_name(tmp_path: Path, language: str) -> None:
    """Each VM is started, monitored, moved and stopped by its name, and no other one is touched."""
    from msgspec.structs import replace

    from ecx_hyperv.lab.model.timings import FAST

    with running_lab(tmp_path, *NAMES, timings=replace(FAST, language=language, parallel=len(NAMES))) as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.do(lambda world: world.storage.serve("ec1", on=True))
        started = scenario.run("ec1", "vm-start", "--", *NAMES)
        watched = scenario.run("ec1", "genw-vm", "--", *NAMES)
        assert (0, 0) == (started.returncode, watched.returncode), started.stderr + watched.stderr
        assert [ONE] * len(NAMES) == [scenario.running_on(name) for name in NAMES]

        moved = scenario.run("ec2", "vm-start", "--", "web1", "$(Stop-Computer)", "ウェブ サーバー")
        assert 0 == moved.returncode, moved.stderr
        there = {name for name in NAMES if scenario.running_on(name) == TWO}
        assert {"web1", "$(Stop-Computer)", "ウェブ サーバー"} == there

        stopped = scenario.run("ec1", "vm-unregister", "--yes", "--", "WEB10", "a;b", "x" * 200)
        assert 0 == stopped.returncode, stopped.stderr
        assert {"web10", "a;b", "x" * 200} == {name for name in NAMES if not scenario.running_on(name)}
        assert "Online" == scenario.do(lambda world: next(iter(world.volumes.values())).state)
        scenario.check()
