"""Names the places where a program is not of its language: `syntax.py powershell < program`."""

import importlib
import sys

from tree_sitter import Language, Node, Parser

GRAMMARS = {
    "csharp": ("tree_sitter_c_sharp", "language"),
    "go": ("tree_sitter_go", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "powershell": ("tree_sitter_powershell", "language"),
}


def faults(node: Node) -> list[str]:
    """The lines that the grammar has no reading for, or where it misses something."""
    own = [f"line {node.start_point.row + 1}"] if node.is_error or node.is_missing else []
    return own + [fault for child in node.children for fault in faults(child)]


module, function = GRAMMARS[sys.argv[1]]
language = Language(getattr(importlib.import_module(module), function)())
for fault in faults(Parser(language).parse(sys.stdin.buffer.read()).root_node):
    print(fault)
