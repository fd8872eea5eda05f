"""Count the code as a house: lines, rooms, floors, arrows, circles, and the largest of each kind.

    python -m bench.house            this checkout
    python -m bench.house FOLDER     another one, such as an older worktree

A room is a module or a package in another package; an arrow is an import between two rooms of one
package. The floors are the longest chain of arrows, a circle counted as one room. Code is what is
no blank line, comment or docstring.
"""

import ast
import sys
import tokenize
from collections.abc import Iterator
from graphlib import TopologicalSorter
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMENTS = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
Arrows = dict[str, set[str]]  # The rooms that each room imports.


def main() -> None:
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    print(f"{'':24} {'files':>6} {'lines':>7} {'code':>7}")
    for name in ("webapp", "tests", "bench"):
        files = sorted((root / name).rglob("*.py"))
        code = sum(map(count_code, files))
        print(f"{name:24} {len(files):6} {sum(map(count_lines, files)):7} {code:7}")
    scripts = sorted((root / "static/js").glob("*.js"))
    lines = [line.strip() for file in scripts for line in file.read_text().splitlines()]
    code = sum(bool(line) and not line.startswith(("//", "/*", "*")) for line in lines)
    print(f"{'static/js':24} {len(scripts):6} {len(lines):7} {code:7}")
    sql = sorted((root / "webapp").rglob("*.sql"))
    print(f"{'SQL files':24} {len(sql):6} {sum(map(count_lines, sql)):7}")

    print(f"\n{'package':24} {'rooms':>6} {'floors':>7} {'arrows':>7} {'circles':>8}")
    for package in [root / "webapp", *packages(root / "webapp")]:
        arrows = arrows_of(package, root)
        circles, floors = count_circles(arrows), count_floors(arrows)
        name = ".".join(package.relative_to(root).parts)
        total = sum(map(len, arrows.values()))
        print(f"{name:24} {len(arrows):6} {floors:7} {total:7} {circles:8}")

    files = sorted((root / "webapp").rglob("*.py"))
    print("\nlargest modules, by lines of code")
    for code, file in sorted(((count_code(file), file) for file in files), reverse=True)[:5]:
        print(f"{code:6}  {file.relative_to(root)}")
    print("largest classes, by methods")
    found = [(methods, name, file) for file in files for name, methods in classes(file)]
    for methods, name, file in sorted(found, reverse=True)[:5]:
        print(f"{methods:6}  {file.relative_to(root)}:{name}")


def packages(folder: Path) -> list[Path]:
    return sorted(file.parent for file in folder.rglob("__init__.py") if file.parent != folder)


def count_lines(file: Path) -> int:
    return len(file.read_text().splitlines())


def count_code(file: Path) -> int:
    """Return how many lines have a token that is no comment and no docstring."""
    with file.open("rb") as source:
        tokens = list(tokenize.tokenize(source.readline))
    lines = {
        line
        for token in tokens
        if token.type not in COMMENTS
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines - set(docstring_lines(ast.parse(file.read_text()))))


def docstring_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            yield from range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)


def classes(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ClassDef):
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            yield node.name, len(methods)


def arrows_of(package: Path, root: Path) -> Arrows:
    """Return the imports between the rooms of a package; `__init__` is no room."""
    prefix = ".".join(package.relative_to(root).parts)
    rooms: dict[str, list[Path]] = {}
    for file in package.glob("*.py"):
        if file.stem != "__init__":
            rooms[file.stem] = [file]
    for folder in package.iterdir():
        if (folder / "__init__.py").exists():
            rooms[folder.name] = list(folder.rglob("*.py"))
    return {
        room: {
            parts[len(prefix.split("."))]
            for file in files
            for name in imports(file, root)
            if name.startswith(f"{prefix}.")
            and (parts := name.split("."))[len(prefix.split("."))] in rooms
        }
        - {room}
        for room, files in rooms.items()
    }


def imports(file: Path, root: Path) -> Iterator[str]:
    """Name what a module imports, wherever it does."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import module` names a module by both.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reachable(arrows: Arrows, room: str) -> set[str]:
    seen: set[str] = set()
    todo = [room]
    while todo:
        for other in arrows[todo.pop()] - seen:
            seen.add(other)
            todo.append(other)
    return seen


def count_circles(arrows: Arrows) -> int:
    """Return how many pairs of rooms need each other, directly or by others."""
    reach = {room: reachable(arrows, room) for room in arrows}
    return sum(b in reach[a] and a in reach[b] for a, b in combinations(arrows, 2))


def count_floors(arrows: Arrows) -> int:
    """Return the length of the longest chain of arrows, with each circle as one room."""
    reach = {room: reachable(arrows, room) for room in arrows}
    same = {
        room: min([room, *(other for other in reach[room] if room in reach[other])])
        for room in arrows
    }
    merged: Arrows = {same[room]: set() for room in arrows}
    for room, others in arrows.items():
        merged[same[room]] |= {same[other] for other in others} - {same[room]}
    floors: dict[str, int] = {}
    for room in TopologicalSorter(merged).static_order():
        floors[room] = 1 + max((floors[other] for other in merged[room]), default=0)
    return max(floors.values(), default=0)


if __name__ == "__main__":
    main()
