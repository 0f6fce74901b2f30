"""The XML of a clp.conf: any encoding that ECX writes, no entities, and back again without a byte lost.

The standard library's parser refuses EUC-JP and GB2312, so the text is decoded first. Its tree is enough for so small
a format, but it expands entities: a document type, where alone they could be declared, is refused beforehand.
"""

import codecs
import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET
from xml.parsers import expat

from ecx_hyperv.errors import LocalError

_DECLARATION = re.compile(rb"""\A(<\?xml\b[^>]*?\bencoding\s*=\s*["'])([A-Za-z0-9._-]+)(["'][^>]*\?>)""")
# EUC-JP as machines write it has characters that the strict codec does not know: circled digits, for one.
_ALSO = {"euc_jp": ("euc_jis_2004",), "gb2312": ("gbk", "gb18030"), "shift_jis": ("cp932",)}
# ECX nests less than ten; what is deeper would end in Python's own limit.
_DEEPEST = 100
_EMPTY_OR_COMMENT = re.compile(r"(<!--.*?-->|<\?.*?\?>)| />", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Document:
    """A file's tree, with what surrounds it: the codec, and the text before and after the root."""

    file: str
    declared: str
    codec: str
    mark: bytes
    before: str
    root: ET.Element
    after: str
    line_end: str


def decode(content: bytes, file: str) -> Document:
    """Read XML in the encoding that it declares; raises LocalError with file and line."""
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    content = content.removeprefix(codecs.BOM_UTF8)
    found = _DECLARATION.match(content)
    declared = found[2].decode("ascii") if found else "UTF-8"
    codec, text = _decode(content, declared, file)
    line_end = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    head = text[: text.find("?>") + 2] if text.startswith("<?xml") else ""
    body = text[len(head) :]
    start, end = _bounds(body, head.count("\n"), file)
    builder = ET.TreeBuilder(insert_comments=True, insert_pis=True)
    try:
        # _bounds has refused every document type, and with it every entity.
        root = ET.fromstring(body[start:end], parser=ET.XMLParser(target=builder))  # noqa: S314
    except ET.ParseError as error:
        # This parser knows namespaces, and refuses a prefix that is not bound.
        line = error.position[0] + (head + body[:start]).count("\n")
        raise _refused(file, f"line {line}: {str(error).partition(':')[0]}") from None
    return Document(file, declared, codec, mark, head + body[:start], root, body[end:], line_end)


def encode(document: Document) -> bytes:
    """Return the bytes of a document; raises LocalError for a character that its encoding does not have."""
    tree = ET.tostring(document.root, encoding="unicode")
    # ECX writes <comment/>, without the blank.
    tree = _EMPTY_OR_COMMENT.sub(lambda match: match[1] or "/>", tree)
    text = f"{document.before}{tree}{document.after}".replace("\n", document.line_end)
    try:
        return document.mark + text.encode(document.codec)
    except UnicodeEncodeError as error:
        character = text[error.start]
        raise LocalError(
            f"{document.file} is in {document.declared}, which has no {character!r}",
            seen=" ".join(text[max(0, error.start - 20) : error.end + 20].split()),
            remedy='give the VM an ECX resource of a plain name: resource = "exec-web1" in its [[vm]]',
        ) from None


def _decode(content: bytes, declared: str, file: str) -> tuple[str, str]:
    try:
        first = codecs.lookup(declared).name
    except LookupError:
        raise _refused(file, f"it declares the encoding {declared}, which nobody knows") from None
    problem = ""
    for codec in (first, *_ALSO.get(first, ())):
        try:
            return codec, content.decode(codec)
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            problem = problem or f"line {line} is not {declared}: {content[error.start : error.start + 4]!r}"
        except (LookupError, UnicodeError):
            break
    raise _refused(file, problem or f"{declared} is no encoding of text")


def _bounds(body: str, lines: int, file: str) -> tuple[int, int]:
    """Return where the root element begins and ends; raises LocalError for what is not well-formed."""
    parser = expat.ParserCreate("UTF-8")
    content = body.encode()
    starts: list[int] = []
    ends: list[int] = []
    depth = [0]

    def start(_tag: str, _attributes: dict[str, str]) -> None:
        starts[:] = starts or [parser.CurrentByteIndex]
        depth[0] += 1
        if depth[0] > _DEEPEST:
            raise _refused(
                file, f"line {parser.CurrentLineNumber + lines}: more than {_DEEPEST} elements in one another"
            )

    def end(_tag: str) -> None:
        ends[:] = [parser.CurrentByteIndex]
        depth[0] -= 1

    def doctype(*_parts: object) -> None:
        raise _refused(file, f"line {parser.CurrentLineNumber + lines} declares a document type; ECX writes none")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(content, True)  # noqa: FBT003 - expat takes it by position only
    except expat.ExpatError as error:
        raise _refused(file, f"line {error.lineno + lines}: {expat.errors.messages[error.code]}") from None
    # At an end tag its event stands before it, at <root/> behind it.
    closing = content.index(b">", ends[0]) + 1 if content.startswith(b"</", ends[0]) else ends[0]
    return len(content[: starts[0]].decode()), len(content[:closing].decode())


def _refused(file: str, seen: str) -> LocalError:
    return LocalError(f"{file} cannot be read as a clp.conf", seen=seen, remedy="name a clp.conf as ECX wrote it")
