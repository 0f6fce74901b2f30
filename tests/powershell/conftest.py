"""The engine, the stand-ins and the world; one PowerShell serves the cases of a module."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ecx_hyperv.lab.engine.modules import Engine, environment
from tests.powershell.agent import Agent
from tests.powershell.prompt import Prompt
from tests.powershell.scripts import Host
from tests.powershell.server import serve
from tests.powershell.world import HOSTS, World, two_hosts

Launch = Callable[..., Agent]


@pytest.fixture(scope="session")
def whole_world() -> Iterator[tuple[World, Path]]:
    """Serve one world at a socket, whose path must be short."""
    folder = Path(tempfile.mkdtemp(prefix="ecx-"))
    world = two_hosts()
    server = serve(world, folder / "s")
    yield world, folder / "s"
    server.shutdown()
    server.server_close()
    shutil.rmtree(folder)


@pytest.fixture
def world(whole_world: tuple[World, Path]) -> World:
    """Return the world as it is when all is well."""
    whole_world[0].reset()
    return whole_world[0]


@pytest.fixture(scope="module")
def launch(standins: Engine, whole_world: tuple[World, Path]) -> Iterator[Launch]:
    """Start agents; those that are left end with the module."""
    with ExitStack() as stack:

        def start(host: str = HOSTS[0], modules: Path | None = None, **more: Any) -> Agent:
            told = environment(standins, whole_world[1], host)
            if modules is not None:
                told["PSModulePath"] = str(modules)
            agent = Agent(standins.pwsh, told, **more)
            stack.callback(agent.kill)
            return agent

        yield start


@pytest.fixture(scope="module")
def shared(launch: Launch) -> Agent:
    """Start the agent that the cases of a module share."""
    agent = launch()
    kind, _ = agent.frame()
    assert kind == "hello"
    return agent


@pytest.fixture
def agent(shared: Agent, world: World) -> Agent:
    """Return an agent on the first host of a world where all is well."""
    return shared


@pytest.fixture(scope="session")
def scripts_of_host(standins: Engine, whole_world: tuple[World, Path]) -> Iterator[Callable[[Path], Host]]:
    """Return what makes the first host, with a folder for its files; its session is kept."""
    told = environment(standins, whole_world[1], HOSTS[0])
    session = Prompt(standins.pwsh, told, "session.ps1")
    yield partial(Host, standins.pwsh, told, session)
    session.close()


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest the mark of this folder."""
    config.addinivalue_line("markers", "proven(number): a fault of the first edition, by its number in the reference")
