"""Clients that other people's generators make of the OpenAPI document: they compile, and they send.

Each program sends a mail with null for `cc`, reads the id, checks the mail, is refused another one
and reads the problem, and asks for the first mail. They are written as a user of the client would.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control
from tests.long.clients.conftest import NODE_MODULES, PYTHON, Tools, outcome

PROGRAMS = Path(__file__).parent / "programs"
STRICT = {"strict": True, "skipLibCheck": False, "lib": ["es2022", "dom", "dom.iterable"]}


def check(control: Control, output: str, subject: str) -> None:
    """What the program saw, and what left."""
    found = outcome(output)
    (mail,) = control.deliveries(1)
    assert mail["subject"] == subject
    assert mail["key"] == found["id"]
    assert found == {
        "id": found["id"],
        "status": "sent",
        "checked": 2,
        "code": "invalid_mail",
        "field": "to",
        "subject": subject,
    }


def compile_typescript(tools: Tools, folder: Path, options: dict[str, object]) -> None:
    """With the strictest checks."""
    settings = {"compilerOptions": {**STRICT, **options}, "include": ["."]}
    (folder / "tsconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "node_modules").symlink_to(NODE_MODULES)
    tools.node("typescript/bin/tsc", "-p", ".", folder=folder)


def test_openapi_typescript_and_openapi_fetch(
    control: Control, signed_in_account: SignedIn, tools: Tools, document: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "fetch"
    folder.mkdir()
    tools.node(
        "openapi-typescript/bin/cli.js", document, "-o", folder / "postroom.d.ts", folder=folder
    )
    shutil.copy(PROGRAMS / "openapi_fetch.ts", folder / "send.ts")
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")

    compile_typescript(
        tools,
        folder,
        {"module": "nodenext", "target": "es2022", "exactOptionalPropertyTypes": True},
    )

    check(control, tools.run(["node", "send.js"], folder), "From openapi-fetch")


def test_openapi_generator_for_typescript(
    control: Control, signed_in_account: SignedIn, tools: Tools, document: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "typescript"
    folder.mkdir()
    tools.openapi_generator("typescript-fetch", document, folder / "generated")
    shutil.copy(PROGRAMS / "typescript_fetch.ts", folder / "send.ts")

    compile_typescript(tools, folder, {"module": "commonjs", "target": "es2020"})

    check(control, tools.run(["node", "send.js"], folder), "From typescript-fetch")


def test_openapi_python_client(
    control: Control, signed_in_account: SignedIn, tools: Tools, document: Path, tmp_path: Path
) -> None:
    tools.run(
        [
            *(PYTHON / "openapi-python-client", "generate", "--path", document),
            *("--meta", "none", "--output-path", tmp_path / "postroom_client"),
        ],
        tmp_path,
    )
    program = shutil.copy(PROGRAMS / "openapi_python_client.py", tmp_path)
    # The generator's own client.py has arguments that mypy refuses.
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\n[mypy-postroom_client.client]\nignore_errors = True\n", encoding="utf-8"
    )

    tools.run([PYTHON / "mypy", "-p", "postroom_client"], tmp_path)
    tools.run([PYTHON / "mypy", "--strict", "--follow-imports=silent", program], tmp_path)

    output = tools.run([PYTHON / "python", program], tmp_path)
    check(control, output, "From openapi-python-client")


def test_openapi_generator_for_python(
    control: Control, signed_in_account: SignedIn, tools: Tools, document: Path, tmp_path: Path
) -> None:
    tools.openapi_generator(
        "python", document, tmp_path / "python", "--package-name", "postroom_pydantic"
    )
    program = shutil.copy(PROGRAMS / "openapi_generator_python.py", tmp_path / "python")

    tools.run([PYTHON / "mypy", program], tmp_path / "python")

    output = tools.run([PYTHON / "python", program], tmp_path / "python")
    check(control, output, "From openapi-generator for Python")


def test_openapi_generator_for_java(
    control: Control, signed_in_account: SignedIn, tools: Tools, document: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "java"
    tools.openapi_generator(
        "java",
        document,
        folder,
        *("--library", "native"),
        "--additional-properties=openApiNullable=false,useJakartaEe=true",
    )
    shutil.copy(PROGRAMS / "SendMail.java", folder / "src" / "main" / "java")
    sources = [*folder.glob("src/main/java/**/*.java"), *written_annotations(folder)]
    classes = folder / "classes"

    tools.run(["javac", "-nowarn", "-cp", tools.jar, "-d", classes, *sources], folder)

    output = tools.run(["java", "-cp", f"{classes}:{tools.jar}", "SendMail"], folder)
    check(control, output, "From openapi-generator for Java")


def written_annotations(folder: Path) -> list[Path]:
    """The three of jakarta.annotation that the generated code names, and that do nothing."""
    package = folder / "jakarta" / "annotation"
    package.mkdir(parents=True)
    members = {
        "Nonnull": "",
        "Nullable": "",
        "Generated": 'String[] value(); String date() default ""; String comments() default "";',
    }
    for name, body in members.items():
        (package / f"{name}.java").write_text(
            f"package jakarta.annotation;\npublic @interface {name} {{ {body} }}\n",
            encoding="utf-8",
        )
    return [package / f"{name}.java" for name in members]
