"""The structure in numbers: lines, long files and functions, and where code asks for a family.

    python benchmarks/structure.py            # this checkout
    python benchmarks/structure.py OTHER      # another one, for comparison

A line outside a family's package asks for one where it imports it, tests for one of its classes, or
compares a name of a family, a task or a kind of parts. Docstrings and comments do not count.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

LONG_FILE = 250
# The packages of the families, and what lists them.
# A converter of published weights is of their family.
OWN = re.compile(
    r"msflow_jax/(symmetric|coupling|diffusers|synergy)/|msflow_jax/(families|commands/convert_\w+)\.py"
)
ASKED = re.compile(
    r"\b(SymmetricFlow|LatentFlow|CouplingFlow|LatentCode)\b"
    r"|msflow_jax\.(symmetric|coupling|diffusers)\b"
    r"|\.family\s*[=!]="
    r"|[\"'](symmetric|coupling|diffusers)[\"']"
    r"|\.coupling\b"
    r"|\btask\s*[=!]=\s*[\"']segment"
    r"|isinstance\(\w+, (parts\.)?(Parts|Mask)\)"
)


def files(root: Path, *folders: str) -> list[Path]:
    """Python files of these folders, sorted."""
    return sorted(path for folder in folders for path in (root / folder).rglob("*.py"))


def code_lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines of a module without comments and docstrings."""
    lines = text.splitlines()
    kept = [""] * (len(lines) + 1)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        (first, start), (last, end) = token.start, token.end
        if token.type == tokenize.COMMENT or first != last or first > len(lines):
            continue
        kept[first] = kept[first].ljust(start)[:start] + lines[first - 1][start:end]
    docs = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first_one = node.body[0] if node.body else None
            if isinstance(first_one, ast.Expr) and isinstance(first_one.value, ast.Constant):
                docs |= set(range(first_one.lineno, (first_one.end_lineno or 0) + 1))
    yield from ((n, line) for n, line in enumerate(kept) if line.strip() and n not in docs)


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """Lines and name of every function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield (node.end_lineno or 0) - node.lineno + 1, f"{path.name}:{node.name}"


def asking(root: Path) -> list[str]:
    """Lines outside the families that ask for one."""
    found = []
    for path in files(root, "msflow_jax"):
        name = path.relative_to(root).as_posix()
        if not OWN.match(name):
            lines = code_lines(path.read_text(encoding="utf-8"))
            found += [f"{name}:{n}: {line.strip()}" for n, line in lines if ASKED.search(line)]
    return found


def seconds(root: Path, module: str) -> float:
    """Time to import a module in a process of its own, the least of three."""
    script = (
        f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root)
        for _ in range(3)
    ]
    return min(float(run.stdout or "nan") for run in runs)


def main() -> None:
    """Prints the table."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parents[1])
    root = flags.parse_args().root.resolve()
    library = files(root, "msflow_jax")
    for title, folders in (
        ("library", ("msflow_jax",)),
        ("forwards, tools and configurations", ("experiments", "tools", "configs")),
        ("tests", ("tests",)),
        ("benchmarks", ("benchmarks",)),
    ):
        count = sum(
            len(path.read_text(encoding="utf-8").splitlines()) for path in files(root, *folders)
        )
        print(f"{title}: {count:,} lines of Python")
    long = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in library}
    long = {p: n for p, n in long.items() if n > LONG_FILE}
    print(f"files above {LONG_FILE} lines: {len(long)} {sorted(p.name for p in long)}")
    lengths = sorted(f for p in library for f in functions(p))
    print(f"longest function: {lengths[-1]}; above 50 lines: {sum(n > 50 for n, _ in lengths)}")
    loose = [p.name for p in (root / "msflow_jax").glob("*.py") if p.name != "__init__.py"]
    print(f"modules at the top: {len(loose)} {sorted(loose)}")
    found = asking(root)
    print(f"lines outside families that ask for one: {len(found)}")
    print("".join(f"  {line}\n" for line in found), end="")
    print(f"import of msflow_jax.symmetric: {seconds(root, 'msflow_jax.symmetric'):.2f} s")


if __name__ == "__main__":
    main()
