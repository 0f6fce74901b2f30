"""Files that set-up makes: written whole or not at all, left alone when they are right, only told of in a dry run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ecx_hyperv import atomic
from ecx_hyperv.config import Config
from ecx_hyperv.errors import LocalError

Say = Callable[[str], None]
"""Prints a line."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes files, or in a dry run says what it will write; `changed` are those that were not as they should be."""

    say: Say
    dry: bool = False
    changed: list[Path] = field(default_factory=list)

    def write(self, path: Path, content: bytes, mode: int) -> None:
        """Make a file hold exactly that; raises LocalError."""
        try:
            if path.is_file() and path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
                self.say(f"unchanged: {path}")
                return
            self.changed.append(path)
            if self.dry:
                atomic.check_folder(path.parent)
                self.say(f"will write: {path}")
                return
            # sshd and ssh refuse a key in a folder that others may write.
            atomic.make_folder(path.parent, 0o755 if mode & 0o077 else 0o700)
            atomic.replace(path, content, mode)
        except OSError as error:
            raise LocalError(
                f"{path} cannot be written",
                seen=error.strerror or str(error),
                remedy="run as root, or name another place",
            ) from None
        self.say(f"written: {path}")


def default_folder(config: Config) -> Path:
    """Return where the files go that set-up makes for other machines, where no other folder is given."""
    return Path(config.paths.state) / "setup"
