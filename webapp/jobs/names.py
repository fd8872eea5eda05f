"""Texts of people, fit to show: a file's own name, and an alternative text."""

import re
import unicodedata
from urllib.parse import unquote, urlsplit

UNSEEN = ("Cc", "Cf", "Cs")  # Unicode's categories of control, format and surrogate characters.
JOINERS = "\u200c\u200d"  # They join or separate letters: scripts and emoji need them.
NAME_LENGTH = 255  # Characters of a file name, as most file systems have it.
ALT_LENGTH = 500  # Characters; screen readers read an alternative text in one go.
JOB_NAME_LENGTH = 100  # Characters.
UNNAMED = "unnamed"
# The same for browsers, and the files that operating systems add to folders; macOS adds `._` files.
UNSEEN_PATTERN = f"(?![{JOINERS}])[" + "".join(rf"\p{{{kind}}}" for kind in UNSEEN) + "]"
SYSTEM_FILES_PATTERN = r"\._.*|\.DS_Store|Thumbs\.db|desktop\.ini"
READ_LENGTH = 4096  # Characters at the end of a name that are read: the longest path of Linux.


def is_kept(character: str) -> bool:
    """Return whether a name may contain a character: visible ones and joiners."""
    return character in JOINERS or unicodedata.category(character) not in UNSEEN


def clean_alt(text: str) -> str:
    """Clean an alternative text: one line, without invisible characters."""
    shown = "".join(filter(is_kept, " ".join(text.split())))
    return " ".join(shown.split()).strip(JOINERS)


def clean_job_name(name: str) -> str:
    """Clean the name of a job: one line, bounded; empty if nothing is left."""
    one_line = " ".join(name[:READ_LENGTH].split())
    shown = "".join(filter(is_kept, one_line)).strip()
    if len(shown) > JOB_NAME_LENGTH:
        shown = shown[: JOB_NAME_LENGTH - 1].rstrip() + "…"
    return shown if shown.strip(JOINERS) else ""


def clean_name(name: str) -> str:
    """Clean a file's own name: no folders, no control characters, bounded length.

    Marks that reverse the reading direction are removed too: with them `gpj.exe` reads as
    `exe.jpg`.
    """
    base = re.split(r"[/\\]", name[-READ_LENGTH:])[-1]
    shown = "".join(filter(is_kept, base)).strip()
    if len(shown) > NAME_LENGTH:
        stem, dot, suffix = shown.rpartition(".")
        ending = dot + suffix if stem and len(suffix) <= 5 else ""
        shown = shown[: NAME_LENGTH - len(ending) - 1] + "…" + ending
    return shown if shown.strip(JOINERS) else UNNAMED


def name_in_url(url: str) -> str:
    """Return the name of the file in a URL, or else of the host."""
    parts = urlsplit(url)
    name = clean_name(unquote(parts.path))
    return clean_name(parts.hostname or "") if name == UNNAMED else name
