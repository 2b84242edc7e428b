# GPL-3.0-or-later
"""Reads one YAML file as Compose does (YAML 1.2 scalars, merge keys), with limits and line numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from ..problem import Path, Problem
from ..words import strange, unwritable, visible

MOST_BYTES = 1 << 20
MOST_NODES = 50_000
DEEPEST = 60

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = re.compile(r"(~|null|Null|NULL|)\Z")
_TRUTH = re.compile(r"(true|True|TRUE|false|False|FALSE)\Z")
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0(o[0-7]+|x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+)\Z")
_TAGS = {
    "tag:yaml.org,2002:" + name
    for name in ("str", "int", "float", "bool", "null", "seq", "map", "timestamp", "merge", "value")
}


@dataclass
class Document:
    """A file's data, the line each path starts on, and what is wrong with it."""

    file: str
    data: object = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def say(self, path: Path, found: str, fix: str, line: int | None = None) -> None:
        """Adds a problem at the path's line."""
        self.problems.append(Problem(path, found, fix, self.file, line or self.line(path)))

    def line(self, path: Path) -> int:
        """The line of the path or of its closest parent."""
        return next(
            (self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), 1
        )


def read(file: str, content: bytes) -> Document:
    """The document of one file; never raises."""
    document = Document(file)
    if len(content) > MOST_BYTES:
        document.say((), f"it has {len(content)} bytes", f"write a file of at most {MOST_BYTES} bytes")
        return document
    try:
        _understand(content.decode(), document)
    except UnicodeDecodeError as error:
        document.say((), f"byte {error.start} is not UTF-8", "save the file as UTF-8")
    except yaml.reader.ReaderError as error:
        document.say((), f"it holds U+{int(error.character):04X}", "remove the character")
    except yaml.MarkedYAMLError as error:
        document.say((), f"it is not YAML: {_said(error)}", "mend this line", _mark(error))
    return document


def _understand(text: str, document: Document) -> None:
    """Fills the document in, if the text is of a harmless size when written out."""
    if _nesting(text) > DEEPEST:
        document.say((), f"it is nested more than {DEEPEST} deep", "write it flatter")
        return
    node = yaml.compose(text, Loader=_LOADER)
    if node is not None and _within_limits(node, document):
        document.data = _data(node, (), document)


def _nesting(text: str) -> int:
    """How deep the text is nested. Counted on its events, because composing deep ones overflows C's stack."""
    depth = deepest = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        deepest = max(depth, deepest)
        if deepest > DEEPEST:
            break
    return deepest


def _said(error: yaml.MarkedYAMLError) -> str:
    return re.sub(r"(alias|anchor) '[^']*'", r"\1", visible(str(error.problem)))


def _mark(error: yaml.MarkedYAMLError) -> int | None:
    return error.problem_mark.line + 1 if error.problem_mark else None


def _within_limits(node: yaml.Node, document: Document) -> bool:
    """Whether the node stays small when its aliases are written out; counted without writing them out."""
    size, depth = _extent(node, {}, 0)
    if depth > DEEPEST:
        document.say((), f"it is nested more than {DEEPEST} deep, or holds itself", "write it flatter")
    elif size > MOST_NODES:
        document.say((), f"its aliases grow to more than {MOST_NODES} values", "remove the nested aliases")
    return depth <= DEEPEST and size <= MOST_NODES


def _extent(node: yaml.Node, known: dict[int, tuple[int, int]], level: int) -> tuple[int, int]:
    if level > DEEPEST:
        return 1, DEEPEST + 1
    if id(node) not in known:
        inner = [_extent(child, known, level + 1) for child in _children(node)]
        known[id(node)] = 1 + sum(size for size, _ in inner), 1 + max((deep for _, deep in inner), default=0)
    return known[id(node)]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from (key, value)
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _data(node: yaml.Node, path: Path, document: Document) -> object:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if node.tag not in _TAGS:
        # Not quoted, like an alias below: a password that begins with ! or * reads as one.
        document.say(path, "found a tag: a word that begins with !", "remove it, or put the value in quotes")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_data(item, (*path, index), document) for index, item in enumerate(node.value)]
    text = str(node.value)
    if not text.isascii() and unwritable(text):
        document.say(path, f"it holds {unwritable(text)}", "remove the character")
        return None
    return text if getattr(node, "style", None) else _plain(text)


def _mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, object]:
    own: dict[str, object] = {}
    merged: dict[str, object] = {}
    for key, value in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            merged = {**_merged(value, path, document), **merged}
        else:
            _entry(own, key, value, path, document)
    return {**merged, **own}


def _entry(own: dict[str, object], key: yaml.Node, value: yaml.Node, path: Path, document: Document) -> None:
    name = key.value if isinstance(key, yaml.ScalarNode) else ""
    inner = (*path, visible(name))
    document.lines[inner] = key.start_mark.line + 1
    odd = strange(name) if isinstance(key, yaml.ScalarNode) else "a list or mapping"
    if odd:
        document.say(inner, f"as a key, it holds {odd}", "write the key in plain ASCII")
    elif name in own:
        document.say(inner, "the key is there twice", "remove one of them")
    else:
        own[name] = _data(value, inner, document)


def _merged(node: yaml.Node, path: Path, document: Document) -> dict[str, object]:
    """What `<<:` brings: a mapping, or a list of them of which the first wins."""
    sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
    found: dict[str, object] = {}
    for source in sources:
        data = _data(source, path, document)
        if isinstance(data, dict):
            found = {**data, **found}
        else:
            document.say((*path, "<<"), "it merges something that is no mapping", "merge a mapping")
    return found


def _plain(text: str) -> object:
    """A scalar without quotes by YAML 1.2's rules: `no` is text, and so is 22:22."""
    if _NULL.match(text):
        return None
    if _TRUTH.match(text):
        return text.lower() == "true"
    if _INTEGER.match(text):
        return int(text, 10)
    return int(text, 0) if _BASED.match(text) else float(text) if _FLOAT.match(text) else text
