"""What must not stand in a report: keys, passwords and whatever else may give access. Pure.

A report is sent to somebody. What has a known form (the configuration, this program's log lines) is shown by what may
be shown, in `report.py`; everything goes through the patterns here besides. A pattern cannot know each form that a
secret has, so it takes too much rather than too little: where a value has no quotes, the rest of its line.

Each line is cut before it is looked at, and each repetition has an end: a line of 80 KB once took 86 s.
"""

import re
from collections.abc import Iterator

from ecx_hyperv.plain import flat

REMOVED = "<removed>"
# No line of this program is longer, and each pattern is done with it in milliseconds.
LONGEST_LINE = 4000
# An element of XML, or a key, of which the end never comes takes so many lines with it at most.
_LONGEST_ELEMENT = 20

_WORDS = (
    r"(?:pass(?:word|wort|wd|phrase|code)?|pwd|secret|token|credential|community|chap|psk"
    r"|(?:api|access|account|private|shared|encryption|storage)[_.-]?key"
    r"|パスワード|パスフレーズ|暗証番号|暗証|認証キー|秘密)"
)
_NAME = rf"[\w.-]{{0,60}}{_WORDS}[\w.-]{{0,60}}"
_ELEMENT = rf"<[\w:.-]{{0,60}}{_WORDS}[\w:.-]{{0,60}}(?:\s[^<>]{{0,500}})?>"
_QUOTED = r"\"(?:[^\"\\]|\\.){0,2000}(?:\"|$)|'[^']{0,2000}(?:'|$)"
# The wide ones, U+FF1A and U+FF1D, are what a Japanese keyboard gives.
_SEPARATOR = "[\"'\\])]{0,2}\\s{0,20}(?:=>|:=|==|[=:\uff1a\uff1d])\\s{0,20}"
_REST = ".{1,4000}"

# What is taken out; the first group stays, so that a reader knows what was there.
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(\b(?:ssh-(?:rsa|ed25519|dss)|sk-ssh-\S{1,40}|ecdsa-sha2-\S{1,40})\s{1,5})[A-Za-z0-9+/=]{40,}",
        rf"({_ELEMENT})(?:<!\[CDATA\[.{{0,4000}}?(?:\]\]>|$)|[^<]{{0,4000}})",
        r"([a-z][a-z0-9+.-]{0,30}://)[^\s\"'<>]{1,500}@",
        rf"(\b(?:(?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]{{0,30}}(?:key|token))\"?\s{{0,5}}[:=]){_REST}",
        r"(\b(?:bearer|basic|negotiate|ntlm|digest)\s{1,5})\S{6,2000}",
        rf"(\b(?:ConvertTo-SecureString|PSCredential|NetworkCredential|SecureString)\b){_REST}",
        rf"(\b(?:sshpass|mysql\w{{0,10}}|smbclient|ipmitool|net\s{{1,3}}use|curl|wget|chpasswd|kinit)\s){_REST}",
        # An option, and its value behind a blank.
        rf"((?<!\S)(?:--?|/){_NAME}(?:\s{{1,20}}|{_SEPARATOR}))(?:{_QUOTED}|\(.{{0,4000}}|\S{{1,4000}})",
        r"((?<!\S)-[pPuU]\s{0,5})\S{1,500}:\S{1,500}",
        rf"((?<![\w.-]){_NAME}{_SEPARATOR})(?:{_QUOTED}|{_REST})",
        rf"(\b(?:password|passphrase|passwd|pwd|パスワード)(?:\s{{1,5}}(?:is|was)\s|\s{{0,5}}(?:は|が))){_REST}",
        r"(^\s{0,40}(?:set\s{1,5})?(?:password|passwd|passphrase|secret|pwd)\s{1,20})(?![=:<\uff1a\uff1d])\S.{0,4000}",
        # What gives access by itself: a hash of a password, a JSON web token, keys of clouds, anything long and random.
        r"()(?<!\w)\$(?:1|2[abxy]?|5|6|7|y|gy|argon2\w{0,3}|pbkdf2[\w-]{0,10})\$[^\s:]{8,500}",
        r"()\beyJ[\w-]{8,2000}(?:\.[\w-]{1,2000}){0,2}",
        r"()(?:\b(?:AKIA|ASIA)[A-Z0-9]{12,40}|\bgh[pousr]_\w{20,300}|\bxox[a-z]-[\w-]{10,300})",
        r"()[A-Za-z0-9+/]{64,}={0,2}",
    )
)
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,40}KEY")
# A line of a key, or of its head (Proc-Type: 4,ENCRYPTED).
_KEY_LINE = re.compile(r"[A-Za-z0-9+/=]{0,4000}|(?:Proc-Type|DEK-Info|Comment|Key|Version): .{0,200}")
_OPEN_ELEMENT = re.compile(rf"{_ELEMENT}\s{{0,40}}$", re.IGNORECASE)


def redact(text: str) -> str:
    """Return a text without keys, passwords and whatever else may give access; each line flat, and cut where long."""
    return "\n".join(_redacted(text.split("\n")))


def redact_line(line: str) -> str:
    """Return one line without what may give access."""
    shown = flat(line, LONGEST_LINE)
    for pattern in _PATTERNS:
        shown = pattern.sub(rf"\1{REMOVED}", shown)
    return shown


def _redacted(lines: list[str]) -> Iterator[str]:
    in_key, of_element = False, 0
    for line in lines:
        short = line[:LONGEST_LINE].strip()
        if in_key and _KEY_LINE.fullmatch(short):
            continue
        in_key = in_key and _KEY_ENDS.search(short) is not None
        if in_key:
            in_key = False
            continue
        if of_element:
            of_element = 0 if "</" in short else of_element - 1
            continue
        begun = _KEY_BEGINS.search(short)
        if begun is not None:
            # A key in one line, as JSON has it, ends in it; nothing behind its beginning is shown in any case.
            in_key = _KEY_ENDS.search(short) is None
            yield redact_line(short[: begun.start()]) + REMOVED
            continue
        if _OPEN_ELEMENT.search(short):
            of_element = _LONGEST_ELEMENT
            yield redact_line(line) + REMOVED
            continue
        yield redact_line(line)
