"""Run by the tools' Python: says for each file on standard input which parser reads it.

{"main.bicep": {"pycep": null, "tree-sitter": "line 3"}, …}: null where the parser is content.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def by_pycep(texts: dict[str, str]) -> dict[str, str | None]:
    from pycep import BicepParser  # type: ignore[import-not-found]

    parser = BicepParser()
    found: dict[str, str | None] = {}
    for name, text in texts.items():
        try:
            parser.parse(text=text)
            found[name] = None
        except Exception as error:  # noqa: BLE001 - lark raises many kinds
            found[name] = str(error).partition("\n")[0]
    return found


def by_tree_sitter(texts: dict[str, str]) -> dict[str, str | None]:
    import tree_sitter  # type: ignore[import-not-found]
    import tree_sitter_bicep  # type: ignore[import-not-found]

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))
    found: dict[str, str | None] = {}
    for name, text in texts.items():
        nodes = [parser.parse(text.encode()).root_node]
        wrong = None
        while nodes and nodes[0].has_error:
            node = nodes.pop(0)
            if node.is_error or node.is_missing:
                wrong = f"line {node.start_point[0] + 1}"
                break
            nodes = [child for child in node.children if child.has_error]
        found[name] = wrong
    return found


def main() -> None:
    texts = {name: Path(name).read_text(encoding="utf-8") for name in json.load(sys.stdin)}
    pycep, tree_sitter = by_pycep(texts), by_tree_sitter(texts)
    answer = {name: {"pycep": pycep[name], "tree-sitter": tree_sitter[name]} for name in texts}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
