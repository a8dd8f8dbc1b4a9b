"""How the code is cut: the size of files and functions, and conventions that stay in their two rooms."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "eqvae").rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 350, 60
KNOWING = ("symmetry", "domains")  # the rooms that know columns of motions and names of irreps
MOTIONS = {  # what motions (..., 4) and latents are called
    *("g", "g1", "g2", "pose", "poses", "true_pose", "motion", "motions", "mode", "bins", "truth"),
    *("turn", "moved", "expected", "actual", "relative", "relative_motion", "z", "loc"),
}


def place(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@cache
def nodes(source: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(source)))


def functions(file: Path) -> Iterator[ast.FunctionDef]:
    for node in nodes(file.read_text()):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def is_fixed(index: ast.expr) -> bool:
    """Whether an index is written out: 1, -1, 2: or :2, but not : or None or a name."""
    if isinstance(index, ast.Slice):
        ends = [end for end in (index.lower, index.upper) if end is not None]
        return bool(ends) and all(is_fixed(end) for end in ends)
    if isinstance(index, ast.UnaryOp):
        return is_fixed(index.operand)
    return isinstance(index, ast.Constant) and type(index.value) is int


def columns(source: str) -> list[str]:
    """Where motions or latents are cut by column number, such as g[:, 1], z[:, :2] or q.mode[..., 2:]."""
    found = []
    for node in nodes(source):
        if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Tuple):
            continue
        whose = node.value.func if isinstance(node.value, ast.Call) else node.value
        name = whose.attr if isinstance(whose, ast.Attribute) else getattr(whose, "id", None)
        if name in MOTIONS and is_fixed(node.slice.elts[-1]):
            found.append(ast.unparse(node))
    return found


def names(source: str) -> list[str]:
    """Where irreps are told by their names, or images moved without their domain."""
    found = []
    for node in nodes(source):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"psi\d*_?", node.value):
                found.append(node.value)
        elif isinstance(node, ast.Compare):
            sides = [getattr(side, "value", None) for side in (node.left, *node.comparators)]
            found += [side for side in sides if side in ("position", "sign")]
        elif "act_on_image" in (getattr(node, "id", None), getattr(node, "attr", None)):
            found.append("act_on_image")
        elif isinstance(node, ast.alias) and node.name == "act_on_image":
            found.append("act_on_image")
    return found


def others() -> list[Path]:
    return [file for file in FILES if file.relative_to(ROOT / "eqvae").parts[0] not in KNOWING]


def test_files_are_short():
    lengths = {place(file): len(file.read_text().splitlines()) for file in FILES}
    long = {name: n for name, n in lengths.items() if n > LONGEST_FILE}
    assert not long


def test_functions_are_short():
    long = {}
    for file in FILES:
        for node in functions(file):
            name, length = f"{place(file)}:{node.name}", node.end_lineno - node.lineno + 1
            if length > LONGEST_FUNCTION:
                long[name] = length
    assert not long


def test_columns_of_motions_stay_where_they_are_known():
    found = {place(file): columns(file.read_text()) for file in others()}
    assert not {name: cuts for name, cuts in found.items() if cuts}


def test_names_of_irreps_stay_where_they_are_known():
    found = {place(file): names(file.read_text()) for file in others()}
    assert not {name: used for name, used in found.items() if used}


@pytest.mark.parametrize(
    "source",
    ["g[:, 1]", "q.pose.mode[..., 2:]", "pose[seen, 0]", "z[:, :2]", "relative_motion(a, b)[:, 1]"],
)
def test_a_column_would_be_noticed(source):
    """A control."""
    assert columns(source) == [source]


@pytest.mark.parametrize("source", ["g[:, None]", "angle_of(g)[:, None]", "z[:, parts.content]"])
def test_other_indices_are_free(source):
    assert columns(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "blocks['psi1']",
        "block.name == 'position'",
        "name.startswith('psi')",
        "act_on_image(g, x)",
        "from eqvae.domains.square import act_on_image",
    ],
)
def test_a_name_would_be_noticed(source):
    """A control."""
    assert names(source)


def test_docstrings_are_free():
    assert not names('"""The angle is that of psi1, the position that of act_on_image."""')
