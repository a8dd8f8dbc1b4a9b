"""SECURITY.md: every promise names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_promise_has_its_tests():
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = page.split("| a stranger's file | test |")[1].split("\n\n")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")]
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    assert len(rows) >= 10
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        for test in named:
            assert re.search(rf"^def {test}\(", code, re.M), test
