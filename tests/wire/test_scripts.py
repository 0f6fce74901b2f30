"""The PowerShell that runs on the hosts, held against a real grammar and what Windows PowerShell 5.1 knows."""

import re
from importlib.resources import files

import pytest

from ecx_hyperv.host.wire import encode_command
from ecx_hyperv.lab.windows.agent import read_command
from ecx_hyperv.lab.windows.allowed import ALLOWED, documented
from tests.wire.grammar import broken, commands, functions, newer_than_5_1, nodes, text_of, words
from tests.wire.support import NONCE, POWERSHELL

BOOTSTRAPS = ("bootstrap_handle.ps1", "bootstrap_input.ps1")
SCRIPTS = ("agent.ps1", *BOOTSTRAPS)
LONG_POWERSHELL = "C:\\" + "PROGRA~1\\" * 20 + "powershell.exe"
# What the scripts may call: cmdlets of 5.1's own modules, each with the parameters of it that 5.1 has.
KNOWN_TO_5_1 = {
    "Add-Type": {"AssemblyName"},
    "ConvertFrom-Json": {"InputObject"},
    "ConvertTo-Json": {"Compress", "Depth", "InputObject"},
    "Get-ChildItem": {"Path"},
    "Get-CimInstance": {"Namespace", "ClassName", "Filter", "OperationTimeoutSec"},
    "Get-Command": {"Name", "Module", "CommandType"},
    "Get-ItemProperty": {"LiteralPath"},
    "Get-Module": {"Name"},
    "Invoke-CimMethod": {"InputObject", "MethodName", "Arguments"},
    "Import-Module": {"Name", "DisableNameChecking"},
    "New-Object": {"TypeName", "ArgumentList"},
    "Remove-TypeData": {"TypeName", "ErrorAction"},
}
COMMON_PARAMETERS = {
    *("Verbose", "Debug", "ErrorAction", "WarningAction", "InformationAction", "ErrorVariable", "WarningVariable"),
    *("InformationVariable", "OutVariable", "OutBuffer", "PipelineVariable", "UseTransaction", "WhatIf", "Confirm"),
}


def script(name: str) -> str:
    """Return a script as it is installed."""
    return files("ecx_hyperv.host").joinpath(name).read_bytes().decode("ascii")


def code(name: str) -> str:
    """Return a script without its comments."""
    text = script(name)
    for node in nodes(text, "comment"):
        text = text.replace(text_of(node), "")
    return text


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_sound(name: str) -> None:
    """A script must parse without an error and without anything missing."""
    assert [] == broken(script(name))


@pytest.mark.parametrize("text", ["if ($a) {", "$a = @{ b = 'c", "foreach ($a of $b) {}", "function f( { }"])
def test_unsound_script_is_caught(text: str) -> None:
    """The check must not pass a script that no PowerShell would take."""
    assert broken(text) != []


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_plain_text(name: str) -> None:
    """A script must be ASCII without a carriage return, a tab or a byte order mark, whatever edited it."""
    assert re.fullmatch(r"[\n -~]*\n", script(name))


@pytest.mark.parametrize("name", BOOTSTRAPS)
def test_bootstrap_has_one_place_for_the_nonce(name: str) -> None:
    """A bootstrap must have one place for the nonce, and with it one literal of 32 hex digits."""
    assert 1 == script(name).count("NONCE")
    assert [NONCE] == re.findall(r"[0-9A-Fa-f]{32,}", script(name).replace("NONCE", NONCE))


@pytest.mark.parametrize("name", BOOTSTRAPS)
def test_bootstrap_is_quiet_and_strict_from_its_first_line(name: str) -> None:
    """A bootstrap must silence progress and stop at errors before anything else can happen."""
    first = script(name).splitlines()[0]
    assert "$ProgressPreference='SilentlyContinue';$ErrorActionPreference='Stop'" == first


@pytest.mark.parametrize("powershell", [POWERSHELL, LONG_POWERSHELL], ids=["default", "long"])
@pytest.mark.parametrize("name", BOOTSTRAPS)
def test_command_means_the_same_to_every_shell(name: str, powershell: str) -> None:
    """The command line must have no character that cmd.exe or PowerShell reads in its own way, and fit into cmd.exe."""
    command = encode_command(powershell, script(name).replace("NONCE", NONCE))
    assert re.fullmatch(r"[A-Za-z0-9+/=:.\\~ -]+", command)
    assert len(command) < 8191


@pytest.mark.parametrize(("name", "gathers"), [("bootstrap_handle.ps1", False), ("bootstrap_input.ps1", True)])
def test_command_is_understood_by_a_stand_in(name: str, *, gathers: bool) -> None:
    """A stand-in must find the nonce, and which way in it is, in the command line alone."""
    assert (NONCE, gathers) == read_command(encode_command(POWERSHELL, script(name).replace("NONCE", NONCE)))


@pytest.mark.parametrize("name", ["agent.ps1", "bootstrap_handle.ps1"])
@pytest.mark.parametrize("word", ["$input", "[Console]::In", "OpenStandardInput()))", "Read-Host", "$Host.UI"])
def test_held_open_input_is_read_from_the_handle_alone(name: str, word: str) -> None:
    """Nothing may read the input in a way that can block for ever under sshd."""
    assert word.casefold() not in code(name).casefold()


def test_agent_allows_what_its_stand_in_allows() -> None:
    """The agent's list of cmdlets must be the stand-in's, name by name and module by module, and the event logs."""
    listed = words(script("agent.ps1"), "$Allowed")
    assert ALLOWED | {"Get-WinEvent": "Microsoft.PowerShell.Diagnostics"} == dict(
        zip(listed[::2], listed[1::2], strict=True)
    )


@pytest.mark.parametrize(("cmdlet", "module"), ALLOWED.items())
def test_allowed_cmdlet_is_documented(cmdlet: str, module: str) -> None:
    """Every cmdlet that may run must be one that Microsoft documents, in the module that it is imported from."""
    assert module == documented()[cmdlet]["module"]


def test_agent_refuses_what_leads_elsewhere_or_changes_how_errors_show() -> None:
    """The agent must refuse each common parameter, jobs, and what names another computer or other credentials."""
    elsewhere = {"ComputerName", "CimSession", "Credential", "Cluster"}
    assert COMMON_PARAMETERS | elsewhere | {"AsJob"} == set(words(script("agent.ps1"), "$Refused"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_calls_only_what_5_1_has(name: str) -> None:
    """A script must call only cmdlets and parameters of 5.1's own modules, by their full names, and its functions."""
    text = script(name)
    local = functions(text)
    called = [command for command in commands(text) if not command.operator and command.name not in local]
    unknown = [command.text for command in called if command.name not in KNOWN_TO_5_1]
    assert [] == unknown
    odd = [one.text for one in called if not {p.lstrip("-") for p in one.parameters} <= KNOWN_TO_5_1[one.name]]
    assert [] == odd


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("agent.ps1", {"$command"}),
        ("bootstrap_handle.ps1", {"([ScriptBlock]::Create($a))"}),
        ("bootstrap_input.ps1", {"([ScriptBlock]::Create($a))"}),
    ],
)
def test_only_the_agent_and_its_cmdlets_are_invoked(name: str, targets: set[str]) -> None:
    """A bootstrap may invoke nothing but the agent, and the agent nothing but the cmdlet that it has looked up."""
    invoked = [command for command in commands(script(name)) if command.operator]
    assert targets == {command.name for command in invoked}
    assert {"&"} == {command.operator for command in invoked}


@pytest.mark.parametrize(
    "word",
    [
        *("Invoke-Expression", "iex ", "[ScriptBlock]", "InvokeScript", "ExpandString", "NewScriptBlock", "Read-Host"),
        *(
            "Start-Job",
            "-AsJob",
            "-Job ",
            "Start-Process",
            "Write-Host",
            "Write-Output",
            "-ComputerName",
            "Invoke-Command",
            "Out-Default",
        ),
    ],
)
def test_agent_turns_no_text_into_code_or_output(word: str) -> None:
    """The agent must not run text, ask anybody, start a job, reach another computer, or write beside its frames."""
    assert word.casefold() not in code("agent.ps1").casefold()


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_asks_or_evaluates(name: str) -> None:
    """No script may evaluate an expression, ask a question, or start another PowerShell, as by -Command -."""
    names = {command.name.casefold() for command in commands(script(name))}
    assert set() == names & {"invoke-expression", "iex", "read-host", "powershell", "powershell.exe", "pwsh"}
    assert re.search(r"(?<!Get)-Command -", script(name)) is None


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_not_newer_than_5_1(name: str) -> None:
    """A script must use nothing that came after Windows PowerShell 5.1."""
    assert set() == newer_than_5_1(script(name))


@pytest.mark.parametrize(
    ("text", "tell_tale"),
    [
        ("$a = $b ? 1 : 2", "ternary"),
        ("$a = ($b -eq 1)?$c:$d", "ternary"),
        ("$a = $b ?? 1", "??"),
        ('"$($b ?? 1)"', "??"),
        ("$a ??= 1", "??="),
        ("${a}?.Length", "?."),
        ("$a?.Length", "?."),
        ("${a}?[0]", "?["),
        ("Get-VM && Get-Date", "&& or ||"),
        ("Get-VM -Name 'a' || Get-Date", "&& or ||"),
        ("ConvertFrom-Json -InputObject $a -AsHashtable", "-ashashtable"),
        ("$a | ConvertFrom-Json -Depth 5", "-depth"),
        ("$a | ConvertFrom-Json -NoEnumerate", "-noenumerate"),
        ("ConvertTo-Json -InputObject (ConvertFrom-Json $a -Depth 3)", "-depth"),
        ("ConvertTo-Json -EnumsAsStrings $a", "-enumsasstrings"),
        ("ConvertTo-Json -AsArray $a", "-asarray"),
        ("1..3 | ForEach-Object -Parallel { $_ }", "-parallel"),
        ("Invoke-WebRequest -Uri $a -SkipHttpErrorCheck", "-skiphttperrorcheck"),
        ("clean { 1 }", "clean {}"),
        ("function f { process { 1 } clean { 2 } }", "clean {}"),
        ("$a | Join-String -Separator ','", "join-string"),
        ("Get-Error", "get-error"),
        ("Test-Json $a", "test-json"),
        ("Remove-Alias -Name a", "remove-alias"),
        ("Get-Uptime", "get-uptime"),
        ("[System.Text.Json.JsonSerializer]::Serialize($a)", "[system.text.json"),
        ("[Text.Json.JsonDocument]::Parse($a)", "[text.json"),
        ("$PSStyle.OutputRendering = 'PlainText'", "$psstyle"),
        ("if ($IsWindows) { 1 }", "$iswindows"),
        ("[Environment]::ProcessId", "::processid"),
        ("[Math]::Clamp(1, 2, 3)", "::clamp"),
        ('"`u{1F600}"', "`u{"),
        ('"`e[0m"', "`e"),
    ],
)
def test_what_is_newer_than_5_1_is_caught(text: str, tell_tale: str) -> None:
    """The check must catch each tell-tale of a later PowerShell wherever it is planted."""
    planted = f"param($a)\n# A comment.\nfunction g($b) {{\n    {text}\n}}\n"
    assert tell_tale in newer_than_5_1(text)
    assert tell_tale in newer_than_5_1(planted)


@pytest.mark.parametrize(
    "text",
    [
        "using namespace System.Text",
        "$a | ? { $_.Name -eq 'b' }",
        "if (-not $?) { 1 }",
        "[string]::Join(',', $a)",
        "ConvertTo-Json -Compress -Depth 8 -InputObject $a",
        "'a ?? b && c' # $a ? 1 : 2, Get-Error",
        '"why? $a. `n"',
        "<# $a?.b || $c #> Get-Date",
        "cmd.exe /c 'a && b' 2>&1",
        "$clean = @{ clean = 1 }",
        "function f { begin { 1 } process { 2 } end { 3 } }",
    ],
)
def test_what_5_1_knows_is_not_taken_for_newer(text: str) -> None:
    """The check must leave alone what Windows PowerShell 5.1 understands."""
    assert set() == newer_than_5_1(text)


def test_agent_writes_json_as_5_1_can() -> None:
    """The agent must write its JSON in one call that 5.1 gets right, with the trouble about arrays removed first."""
    text = script("agent.ps1")
    written = [command.text for command in commands(text) if command.name == "ConvertTo-Json"]
    assert ["ConvertTo-Json -Compress -Depth 8 -InputObject $Content"] == written
    assert text.index("Remove-TypeData System.Array") < text.index("Write-Frame 'hello'")


def test_agent_ends_modules_loading_by_themselves_before_it_says_hello() -> None:
    """No module may be loaded but those that the agent imports, from before its first words on."""
    text = script("agent.ps1")
    assert text.index("$PSModuleAutoLoadingPreference = 'None'") < text.index("Write-Frame 'hello'")
