"""Text in CSV tables that a spreadsheet would take for a formula, such as a file called =1+1.png.

A text that begins with = + - @, their full-width forms, a tab or a line break, or with apostrophes before
one of these, gets one apostrophe more in front, and `text_of` takes it off again. Numbers stay numbers.
"""

import re
from typing import Any

_FIRST = "=+\\-@\uff1d\uff0b\uff0d\uff20\\t\\r\\n"
FORMULA = f"^('*[{_FIRST}])"  # RE2 and Python read it alike
_FORMULA, _MARKED = re.compile(FORMULA), re.compile(f"^''*[{_FIRST}]")


def cell_of(text: Any) -> Any:
    """A value as a CSV table holds it: text that would be a formula is marked.

    Example:
        >>> cell_of("=1+1.png"), cell_of("a.png"), cell_of(-1.5)
        ("'=1+1.png", 'a.png', -1.5)
    """
    return _FORMULA.sub(r"'\1", text) if isinstance(text, str) else text


def text_of(cell: str) -> str:
    """What `cell_of` was given.

    Example:
        >>> text_of("'=1+1.png"), text_of("'quoted'")
        ('=1+1.png', "'quoted'")
    """
    return cell[1:] if _MARKED.match(cell) else cell
