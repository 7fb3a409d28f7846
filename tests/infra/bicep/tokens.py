"""Cuts Bicep text into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.infra.bicep.syntax import BicepError

_BLANK = re.compile(r"(?:[ \t]+|//[^\n]*|/\*.*?\*/|#disable-next-line[^\n]*)+", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[0-9]+")
_SYMBOL = re.compile(r"\.\.\.|\?\?|\.\?|::|=>|==|!=|=~|!~|<=|>=|&&|\|\||[-+*/%<>=!?:.,|@(){}\[\]]")
_ESCAPES = {"\\": "\\", "'": "'", "n": "\n", "r": "\r", "t": "\t", "$": "$"}


@dataclass(frozen=True)
class Token:
    """kind: name, number, string, symbol, newline or end."""

    kind: str
    text: str
    line: int
    parts: tuple[str | tuple[Token, ...], ...] = ()
    """Of a string: texts, and the tokens of what is interpolated."""


def tokens(text: str) -> tuple[Token, ...]:
    lexer = _Lexer(text.replace("\r\n", "\n"))
    return lexer.until(None)


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1

    def until(self, closing: str | None) -> tuple[Token, ...]:
        """Up to the end of the text, or to the brace that closes an interpolation."""
        found: list[Token] = []
        depth = 0
        while True:
            self._skip()
            if self.at >= len(self.text):
                if closing:
                    raise BicepError(f"line {self.line}: a string that does not end")
                return (*found, Token("newline", "\n", self.line), Token("end", "", self.line))
            if closing and depth == 0 and self.text[self.at] == closing:
                self.at += 1
                return (*found, Token("end", "", self.line))
            token = self._next()
            depth += {"{": 1, "}": -1}.get(token.text, 0) if token.kind == "symbol" else 0
            found.append(token)

    def _skip(self) -> None:
        if found := _BLANK.match(self.text, self.at):
            self._move(found.end())

    def _move(self, end: int) -> None:
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def _next(self) -> Token:
        line = self.line
        if self.text[self.at] == "\n":
            self._move(self.at + 1)
            return Token("newline", "\n", line)
        if self.text.startswith("'''", self.at):
            return self._multi_line()
        if self.text[self.at] == "'":
            return self._string()
        for kind, pattern in (("name", _NAME), ("number", _NUMBER), ("symbol", _SYMBOL)):
            if found := pattern.match(self.text, self.at):
                self._move(found.end())
                return Token(kind, found[0], line)
        raise BicepError(f"line {line}: {self.text[self.at]!r} is not understood")

    def _multi_line(self) -> Token:
        line = self.line
        end = self.text.find("'''", self.at + 3)
        if end < 0:
            raise BicepError(f"line {line}: a string that does not end")
        while self.text.startswith("'", end + 3):
            end += 1
        text = self.text[self.at + 3 : end].removeprefix("\n")
        self._move(end + 3)
        return Token("string", "", line, (text,))

    def _string(self) -> Token:
        line = self.line
        parts: list[str | tuple[Token, ...]] = []
        text = ""
        self.at += 1
        while True:
            char = self.text[self.at : self.at + 1]
            if char in ("", "\n"):
                raise BicepError(f"line {line}: a string that does not end")
            self.at += 1
            if char == "'":
                return Token("string", "", line, (*parts, text))
            if char == "\\":
                text += self._escape(line)
            elif char == "$" and self.text.startswith("{", self.at):
                self.at += 1
                parts += [text, self.until("}")]
                text = ""
            else:
                text += char

    def _escape(self, line: int) -> str:
        char = self.text[self.at : self.at + 1]
        if found := re.match(r"u\{([0-9a-fA-F]+)\}", self.text[self.at :]):
            self.at += found.end()
            return chr(int(found[1], 16))
        if char not in _ESCAPES:
            raise BicepError(f"line {line}: \\{char} is no escape")
        self.at += 1
        return _ESCAPES[char]
