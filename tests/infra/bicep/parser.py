"""Reads Bicep files.

Written for these checks because no Python package reads all of it: checkov's pycep knows an old
language, the newer pycep and tree-sitter-bicep stumble over other parts (and the latter binds
`a ? b : c.d` as `(a ? b : c).d`). Whether a file is valid is for those two and the real compiler
to say; this one is to know what a valid file means.
https://learn.microsoft.com/azure/azure-resource-manager/bicep/file
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from tests.infra.bicep import syntax as s
from tests.infra.bicep.syntax import BicepError
from tests.infra.bicep.tokens import Token, tokens

# From weak to strong.
_OPERATORS = (
    ("??",),
    ("||",),
    ("&&",),
    ("==", "!=", "=~", "!~"),
    ("<", "<=", ">", ">="),
    ("+", "-"),
    ("*", "/", "%"),
)
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def read(path: Path) -> s.File:
    """The file, parsed; BicepError with file and line if it cannot be."""
    return _parse(path, path.read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=200)
def _parse(path: Path, text: str) -> s.File:
    try:
        return s.File(path, tuple(_Parser(tokens(text)).statements()))
    except BicepError as error:
        raise BicepError(f"{path.name}: {error}") from error


def expression(text: str) -> s.Expr:
    """One expression, for tests."""
    parser = _Parser(tokens(text))
    found = parser.expression()
    parser.end_of_statement()
    return found


class _Parser:
    def __init__(self, found: tuple[Token, ...]) -> None:
        self._tokens = found
        self._at = 0

    # --- tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _is(self, text: str) -> bool:
        return self._token.text == text and self._token.kind in ("symbol", "name")

    def _take(self, text: str) -> bool:
        if self._is(text):
            self._at += 1
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self._error(repr(text))

    def _error(self, wanted: str) -> BicepError:
        shown = {"newline": "the end of the line", "end": "the end", "string": "a string"}
        found = shown.get(self._token.kind) or repr(self._token.text)
        return BicepError(f"line {self._token.line}: {wanted} expected, not {found}")

    def _newlines(self) -> None:
        while self._token.kind == "newline":
            self._at += 1

    def _follows(self, text: str) -> bool:
        """Take `text` from this line or the next."""
        before = self._at
        self._newlines()
        if self._take(text):
            return True
        self._at = before
        return False

    def _word(self) -> str:
        if self._token.kind != "name":
            raise self._error("a name")
        self._at += 1
        return self._tokens[self._at - 1].text

    def _text(self) -> str:
        """A string without interpolation."""
        found = self._primary()
        if not isinstance(found, s.Literal) or not isinstance(found.value, str):
            raise self._error("a plain string")
        return found.value

    def end_of_statement(self) -> None:
        if self._token.kind not in ("newline", "end"):
            raise self._error("the end of the line")
        self._newlines()

    # --- statements

    def statements(self) -> list[s.Statement]:
        found: list[s.Statement] = []
        self._newlines()
        while self._token.kind != "end":
            statement = self._statement()
            if statement is not None:
                found.append(statement)
            self.end_of_statement()
        return found

    def _statement(self) -> s.Statement | None:
        decorators = self._decorators()
        line = self._token.line
        word = self._word()
        readers: dict[str, Callable[[], s.Statement | None]] = {
            "param": lambda: self._parameter(decorators, line),
            "var": lambda: self._variable(decorators, line),
            "output": lambda: self._output(decorators, line),
            "resource": lambda: self._resource(line),
            "module": lambda: self._module(line),
            "func": lambda: self._function(line),
            "type": self._type_statement,
            "import": self._import,
            "targetScope": lambda: self._header(word),
            "metadata": lambda: self._metadata(word),
            "extension": lambda: self._extension(word),
        }
        if word not in readers:
            raise BicepError(f"line {line}: {word!r} begins no statement")
        return readers[word]()

    def _decorators(self) -> tuple[s.Call, ...]:
        found: list[s.Call] = []
        while self._take("@"):
            call = self._postfix()
            if not isinstance(call, s.Call):
                raise self._error("a decorator")
            found.append(call)
            self._newlines()
        return tuple(found)

    def _parameter(self, decorators: tuple[s.Call, ...], line: int) -> s.Parameter:
        name = self._word()
        kind = self._type()
        default = self.expression() if self._take("=") else None
        return s.Parameter(name, kind, default, decorators, line)

    def _variable(self, decorators: tuple[s.Call, ...], line: int) -> s.Variable:
        name = self._word()
        if not self._is("="):
            self._type()
        self._need("=")
        return s.Variable(name, self.expression(), decorators, line)

    def _output(self, decorators: tuple[s.Call, ...], line: int) -> s.Output:
        name = self._word()
        kind = self._type()
        self._need("=")
        return s.Output(name, kind, self.expression(), decorators, line)

    def _resource(self, line: int) -> s.Resource:
        symbol = self._word()
        kind, _, version = self._text().partition("@")
        existing = self._take("existing")
        self._need("=")
        return s.Resource(symbol, kind, version, existing, self._declared(), line)

    def _module(self, line: int) -> s.Module:
        symbol = self._word()
        path = self._text()
        self._need("=")
        return s.Module(symbol, path, self._declared(), line)

    def _function(self, line: int) -> s.Function:
        name = self._word()
        self._need("(")
        parameters: list[str] = []
        self._newlines()
        while not self._take(")"):
            parameters.append(self._word())
            self._type()
            self._take(",")
            self._newlines()
        self._type()
        self._need("=>")
        self._newlines()
        return s.Function(name, tuple(parameters), self.expression(), line)

    def _type_statement(self) -> None:
        self._word()
        self._need("=")
        self._type()

    def _type(self) -> str:
        """A type as text: what a value may be is the compiler's concern."""
        depth = 0
        found = ""
        while True:
            token = self._token
            if depth == 0 and (
                token.kind in ("newline", "end") or token.text in ("=", "=>", ",", ")")
            ):
                before = self._at
                self._newlines()
                if token.kind == "newline" and self._is("|"):
                    continue
                self._at = before
                return found
            if token.kind == "end":
                raise self._error("the end of a type")
            if token.kind == "symbol":
                depth += {"{": 1, "[": 1, "(": 1, "}": -1, "]": -1, ")": -1}.get(token.text, 0)
            found += f"'{token.parts[0]}'" if token.kind == "string" else token.text
            self._at += 1

    def _import(self) -> s.Import:
        names: list[tuple[str, str]] = []
        if self._take("*"):
            self._need("as")
            names.append(("*", self._word()))
        else:
            self._need("{")
            self._newlines()
            while not self._take("}"):
                name = self._word()
                names.append((name, self._word() if self._take("as") else name))
                self._take(",")
                self._newlines()
        self._need("from")
        return s.Import(self._text(), tuple(names))

    def _header(self, word: str) -> s.Header:
        self._need("=")
        return s.Header(word, self.expression())

    def _metadata(self, word: str) -> s.Header:
        self._word()
        return self._header(word)

    def _extension(self, word: str) -> s.Header:
        value = self._primary()
        if self._take("with"):
            self._object()
        if self._take("as"):
            self._word()
        return s.Header(word, value)

    def _declared(self) -> s.Expr:
        """What follows `=` in a resource or a module: an object, perhaps `if`, perhaps in a loop."""
        if self._is("["):
            return self._loop(self._declared)
        if self._take("if"):
            return s.If(self._in_parentheses(), self._object())
        return self._object()

    # --- expressions

    def expression(self) -> s.Expr:
        condition = self._binary(0)
        if not self._follows("?"):
            return condition
        self._newlines()
        yes = self.expression()
        self._newlines()
        self._need(":")
        self._newlines()
        return s.Ternary(condition, yes, self.expression())

    def _binary(self, level: int) -> s.Expr:
        if level == len(_OPERATORS):
            return self._unary()
        left = self._binary(level + 1)
        while self._token.kind == "symbol" and self._token.text in _OPERATORS[level]:
            operator = self._token.text
            self._at += 1
            self._newlines()
            left = s.Binary(operator, left, self._binary(level + 1))
        return left

    def _unary(self) -> s.Expr:
        for operator in ("!", "-"):
            if self._take(operator):
                return s.Unary(operator, self._unary())
        return self._postfix()

    def _postfix(self) -> s.Expr:
        found = self._primary()
        while True:
            if self._take("."):
                name = self._word()
                found = self._call(name, found) if self._is("(") else s.Member(found, name)
            elif self._take(".?"):
                found = s.Member(found, self._word(), safe=True)
            elif self._take("::"):
                found = s.Member(found, self._word())
            elif self._take("["):
                safe = self._take("?")
                found = s.Index(found, self.expression(), safe)
                self._need("]")
            elif self._is("!") and self._tokens[self._at + 1].text != "=":
                self._at += 1
            else:
                return found

    def _primary(self) -> s.Expr:
        token = self._token
        if token.kind == "string":
            self._at += 1
            return _string(token)
        if token.kind == "number":
            self._at += 1
            return s.Literal(int(token.text))
        if token.kind == "name":
            return self._named()
        if self._is("{"):
            return self._object()
        if self._is("["):
            return self._array()
        if self._is("("):
            return self._lambda() if self._is_lambda() else self._in_parentheses()
        raise self._error("a value")

    def _named(self) -> s.Expr:
        name = self._word()
        if self._is("("):
            return self._call(name, None)
        if self._take("=>"):
            self._newlines()
            return s.Lambda((name,), self.expression())
        return s.Literal(_CONSTANTS[name]) if name in _CONSTANTS else s.Name(name)

    def _call(self, name: str, target: s.Expr | None) -> s.Call:
        self._need("(")
        arguments: list[s.Expr] = []
        self._newlines()
        while not self._take(")"):
            arguments.append(self.expression())
            self._newlines()
            if not self._take(",") and not self._is(")"):
                raise self._error("',' or ')'")
            self._newlines()
        return s.Call(name, tuple(arguments), target)

    def _in_parentheses(self) -> s.Expr:
        self._need("(")
        self._newlines()
        found = self.expression()
        self._newlines()
        self._need(")")
        return found

    def _is_lambda(self) -> bool:
        at = self._at
        while self._tokens[at].text != ")" and self._tokens[at].kind != "end":
            at += 1
        return self._tokens[at + 1 : at + 2] != () and self._tokens[at + 1].text == "=>"

    def _lambda(self) -> s.Lambda:
        self._need("(")
        names: list[str] = []
        while not self._take(")"):
            names.append(self._word())
            self._take(",")
        self._need("=>")
        self._newlines()
        return s.Lambda(tuple(names), self.expression())

    def _array(self) -> s.Expr:
        before = self._at
        self._need("[")
        self._newlines()
        if self._is("for"):
            self._at = before
            return self._loop(self.expression)
        items: list[s.Expr] = []
        while not self._take("]"):
            items.append(s.Spread(self.expression()) if self._take("...") else self.expression())
            self._separator("]")
        return s.Array(tuple(items))

    def _loop(self, body: Callable[[], s.Expr]) -> s.For:
        self._need("[")
        self._newlines()
        self._need("for")
        index = None
        if self._take("("):
            item = self._word()
            self._need(",")
            index = self._word()
            self._need(")")
        else:
            item = self._word()
        self._need("in")
        source = self.expression()
        self._need(":")
        self._newlines()
        found = s.For(item, index, source, body())
        self._newlines()
        self._need("]")
        return found

    def _object(self) -> s.Object:
        self._need("{")
        self._newlines()
        entries: list[s.Property | s.Spread] = []
        resources: list[s.Resource] = []
        while not self._take("}"):
            line = self._token.line
            decorators = self._decorators()
            if self._take("..."):
                entries.append(s.Spread(self.expression()))
            elif decorators or (self._is("resource") and self._tokens[self._at + 1].text != ":"):
                self._need("resource")
                resources.append(self._resource(line))
            else:
                key = self._key()
                self._need(":")
                self._newlines()
                entries.append(s.Property(key, self.expression(), line))
            self._separator("}")
        return s.Object(tuple(entries), tuple(resources))

    def _key(self) -> s.Expr:
        if self._token.kind == "string":
            return self._primary()
        return s.Literal(self._word())

    def _separator(self, closing: str) -> None:
        comma = self._take(",")
        if not comma and self._token.kind != "newline" and not self._is(closing):
            raise self._error(f"a new line, ',' or {closing!r}")
        self._newlines()


def _string(token: Token) -> s.Expr:
    parts: list[str | s.Expr] = []
    for part in token.parts:
        if isinstance(part, str):
            parts += [part] if part else []
            continue
        inner = _Parser(part)
        inner._newlines()
        parts.append(inner.expression())
        inner.end_of_statement()
    if all(isinstance(part, str) for part in parts):
        return s.Literal("".join(str(part) for part in parts))
    return s.Interpolated(tuple(parts))
