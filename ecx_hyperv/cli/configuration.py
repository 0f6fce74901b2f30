"""The configuration that a command goes by: the file, or the last good copy; bounded, and told.

Kept: no command of ECX's fails for a file that worked yesterday, or that a person is just writing. A file that is valid
and in which this EC-VM finds itself is used, also while nobody has proven it. A copy of it is kept only once a run has:
this EC-VM found itself in it, and the hosts were the ones that it names.
"""

import functools
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ecx_hyperv.cli.command import Invocation
from ecx_hyperv.config import Config
from ecx_hyperv.config_file import Loaded, keep, load_or_last, read
from ecx_hyperv.ecx import commands
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.environment import Pair, identify, local_addresses
from ecx_hyperv.ecx.file_access import other_writers
from ecx_hyperv.errors import ConfigError, EcxHypervError, LocalError, Mistake, UsageError
from ecx_hyperv.usable.timing import bounded

if TYPE_CHECKING:
    from ecx_hyperv.run.context import RunContext

# A folder that hangs must not hold a command that is done.
_KEEP_S = 2.0


@dataclass(frozen=True, slots=True)
class ConfigInUse:
    """What a command goes by, and what a person is told of it: `fallback` is why it is only the last good copy.

    `writers` tells who else may change the file.
    """

    config: Config
    loaded: Loaded
    told: tuple[str, ...]
    writers: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Return the file that is used."""
        return self.loaded.path

    @property
    def fallback(self) -> EcxHypervError | None:
        """Return why the file itself is not used."""
        return self.loaded.fallback

    @property
    def last_good(self) -> str:
        """Return what is told where only the last good copy is used; empty where the file itself is."""
        return "" if self.fallback is None else f"using {self.path}, the last good copy: {self.fallback}"

    @property
    def trouble(self) -> tuple[Level, str] | None:
        """Return what ECX's alert log is told, if anything."""
        if self.fallback is not None:
            return Level.ERR, self.last_good
        return (Level.WARN, f"{self.path}: {'; '.join(self.told)}") if self.told else None


def load_in_use(invocation: Invocation) -> ConfigInUse:
    """Read the configuration, or the last good copy, and log what is wrong with it; raises ConfigError, UsageError."""
    return _in_use(invocation, load_or_last(invocation.options.config, lambda config: _accept(invocation, config)))


def load_for_a_person(invocation: Invocation) -> ConfigInUse:
    """Read the configuration of a command that may also run where no EC-VM is; raises ConfigError."""
    try:
        return load_in_use(invocation)
    except (ConfigError, UsageError):
        return _in_use(invocation, read(invocation.options.config))


def load_usable(invocation: Invocation) -> Config:
    """Read a configuration from which a set-up is made: nothing in it may contradict itself; raises ConfigError.

    Neither a last good copy nor a bound will do: what is set up stays.
    """
    loaded = read(invocation.options.config)
    mistakes = mistakes_in(loaded)
    if mistakes:
        raise ConfigError(mistakes)
    return loaded.config


def mistakes_in(loaded: Loaded) -> list[Mistake]:
    """Return what keeps a valid configuration from being usable."""
    from ecx_hyperv.usable.doubts import find_mistakes

    return find_mistakes(loaded.config, str(loaded.path), loaded.text, pace())


def notes_on(loaded: Loaded) -> list[str]:
    """Return what is allowed but probably not meant."""
    from ecx_hyperv.usable.doubts import advice

    return advice(loaded.config)


def pace() -> float:
    """Return how long a second of the world lasts here: only the lab, which runs faster, says so."""
    try:
        found = float(os.environ.get("ECX_HYPERV_PACE", "1"))
    except ValueError:
        return 1.0
    return found if 0 < found <= 1 else 1.0


def which_pair(invocation: Invocation, config: Config) -> Pair:
    """Say which node this is; raises UsageError, ConfigError, LocalError."""
    options = invocation.options
    return identify(config, options.node, _addresses, str(options.config))


def alert_trouble(in_use: ConfigInUse, alert: Callable[[Level, str], None]) -> None:
    """Tell ECX what is wrong with the configuration."""
    if in_use.trouble is not None:
        alert(*in_use.trouble)


def alert_homes(context: "RunContext") -> None:
    """Tell ECX that a host is not the one that the configuration names."""
    for text in context.homes.told:
        context.alert(Level.WARN, f"{text}; do: correct host in each [[node]]")


def see_to_copy(in_use: ConfigInUse, context: "RunContext") -> None:
    """Keep the file as the last good copy if the run that is over has proven it."""
    if context.dry or not context.homes.are_proven:
        return
    writer = threading.Thread(target=keep, args=[in_use.loaded], daemon=True)
    writer.start()
    writer.join(_KEEP_S)


@functools.cache
def _addresses() -> frozenset[str]:
    return local_addresses(commands.run)


def _accept(invocation: Invocation, config: Config) -> None:
    """Raise ConfigError or UsageError for a configuration in which this EC-VM does not find itself."""
    # Where the addresses cannot be read the file is not to blame; whoever needs to know which EC-VM this is fails.
    with suppress(LocalError):
        which_pair(invocation, config)


def _in_use(invocation: Invocation, loaded: Loaded) -> ConfigInUse:
    timing, doubts = bounded(loaded.config.timing, pace())
    config = msgspec.structs.replace(loaded.config, timing=timing)
    told = (*map(str, doubts), *config.ec_vms_among_vms)
    writers = tuple(other_writers(loaded.path))
    for text in writers:
        # Told, and never refused: a refusal would take a node down.
        invocation.log.warning(text, do="ecx-hyperv check config-file")
    if loaded.fallback is not None:
        invocation.log.error(
            f"using {loaded.path}, the last good copy",
            seen=loaded.fallback.details.partition("; do: ")[0],
            do=loaded.fallback.remedy,
        )
    for text in told:
        invocation.log.warning(text)
    return ConfigInUse(config, loaded, told, writers)
