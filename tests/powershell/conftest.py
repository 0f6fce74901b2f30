"""The engine, the stand-ins and the world; one PowerShell serves the cases of a module."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.powershell import engine
from tests.powershell.agent import Agent
from tests.powershell.server import serve
from tests.powershell.world import HOSTS, World, two_hosts

Launch = Callable[..., Agent]


@pytest.fixture(scope="session")
def pwsh() -> str:
    """Find a PowerShell, or skip what needs it."""
    found = engine.find()
    if found is None:
        pytest.skip(engine.NOT_FOUND)
    return found


@pytest.fixture(scope="session")
def standins(pwsh: str, request: pytest.FixtureRequest) -> Path:
    """Build the modules of the stand-ins."""
    cache = request.config.cache
    assert cache is not None
    return engine.build(pwsh, cache.mkdir("standins"))


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


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home folder for the PowerShells."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def launch(pwsh: str, standins: Path, whole_world: tuple[World, Path], home: Path) -> Iterator[Launch]:
    """Start agents; those that are left end with the module."""
    with ExitStack() as stack:

        def start(host: str = HOSTS[0], modules: Path | None = None, **more: Any) -> Agent:
            environment = engine.environment(standins, whole_world[1], host, home)
            if modules is not None:
                environment["PSModulePath"] = str(modules)
            agent = Agent(pwsh, environment, **more)
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


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest the mark of this folder."""
    config.addinivalue_line("markers", "proven(number): a fault of the first edition, by its number in the reference")
