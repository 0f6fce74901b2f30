"""The README's set-up chapter: its commands exist, and its map leaves no section of NEC's guide out."""

import re
import shlex
from pathlib import Path

import click
import pytest

from ecx_hyperv.cli.setup import setup

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CHAPTER = README.split("## Set-up\n")[1].split("\n## ")[0]
COMMANDS = re.findall(r"(?m)^ +ecx-hyperv setup (.*)$", CHAPTER.replace("\\\n", " "))
SECTIONS = [
    *("Architecture", "Network", "Host servers' spec", "Installing Hyper-V", "Host server settings", "Installing WSFC"),
    *("Configuring WSFC", "Setting up iSCSI target VM", "EC-VM's spec", "Configuring iSCSI target"),
    *("Connecting to iSCSI target from host servers", "Configuring CSV", "Configuring quorum disk"),
    *("Creating a protected VM in CSV", "Configuring WSFC Live Migration"),
    *("Configuring WSFC settings to restrain WSFC recovery action", "Configuring ssh settings"),
    *("Adding EXEC resources to control a VM and live migration", "Adding custom monitor resource for a VM"),
    *("How to operate a cluster", "Testing"),
]


def test_ten_steps_each_with_its_proof() -> None:
    """There are ten steps, and each says how to see that it worked."""
    steps = re.split(r"(?m)^\d+\. \*\*", CHAPTER.split("\n### ")[0])[1:]
    assert 10 == len(steps)
    assert [1] * 10 == [step.count("*Worked if*") for step in steps]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one(command: str) -> None:
    """Each command of the chapter has options that there are."""
    part, *words = shlex.split(command)
    found = setup.commands[part]
    _, left, _ = found.make_parser(click.Context(found)).parse_args(words)
    assert [] == left


def test_commands_of_every_part() -> None:
    """The chapter shows every part of setup."""
    assert {command.split()[0] for command in COMMANDS} == set(setup.commands)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_its_place(section: str) -> None:
    """Each section of NEC's guide has a row of its own in the map, with a place."""
    rows = [line for line in CHAPTER.splitlines() if re.match(rf"\| {re.escape(section)}( \||:)", line)]
    assert 1 == len(rows)
    assert rows[0].split("|")[2].strip()
