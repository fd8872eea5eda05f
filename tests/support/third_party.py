"""Write the tables of THIRD_PARTY.md: what the Docker image ships.

    make third-party

It reads the packages that are installed here, in the versions of `requirements.txt`, and the
libraries that their wheels contain. Run it on Linux for x86-64: wheels differ by platform.
"""

import json
import re
from collections.abc import Iterator
from email.message import Message
from importlib.metadata import Distribution, distribution

from webapp.config import ROOT

PAGE = ROOT / "THIRD_PARTY.md"

# By the beginning of a library's file name. From Pillow's SBOM, the LICENSES_bundled.txt of
# pillow-heif, and the licence files of the libraries.
LIBRARIES = {
    "libXau": "MIT",
    "libavif": "BSD-2-Clause",
    "libbrotli": "MIT",
    "libde265": "LGPL-3.0-or-later",
    "libfreetype": "FTL",
    "libharfbuzz": "MIT",
    "libheif": "LGPL-3.0-or-later",
    "libjpeg": "IJG AND BSD-3-Clause",
    "liblcms2": "MIT",
    "liblzma": "0BSD",
    "libopenjp2": "BSD-2-Clause",
    "libpng16": "libpng-2.0",
    "libsharpyuv": "BSD-3-Clause",
    "libtiff": "libtiff",
    "libvips": "LGPL-2.1-or-later, with libraries of up to LGPL-3.0-or-later inside",
    "libwebp": "BSD-3-Clause",
    "libx265": "GPL-2.0-or-later",
    "libxcb": "MIT",
    "libzstd": "BSD-3-Clause",
}
# Where the metadata name no licence: by what the licence file says.
LICENCE_TEXTS = {
    "Permission is hereby granted, free of charge": "MIT",
    "This software is provided 'as-is'": "Zlib",
}

HEADING = "## Python packages"


def main() -> None:
    """Replace the tables of the page."""
    text = PAGE.read_text().partition(HEADING)[0]
    PAGE.write_text(text + tables())


def locked(lock: str = "requirements.txt") -> dict[str, str]:
    """Return the version of each package in a lock, by default that of the image."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / lock).read_text(), re.MULTILINE))


def tables() -> str:
    """Return the tables. Raises KeyError for a library that `LIBRARIES` lacks."""
    packages = [distribution(name) for name in locked()]
    return "\n".join([*_packages(packages), "", *_libraries(packages), "", *_vendored(), ""])


def _packages(packages: list[Distribution]) -> Iterator[str]:
    yield from (HEADING, "", "| package | version | licence |", "|---|---|---|")
    for package in packages:
        yield f"| {package.name} | {package.version} | {_licence(package)} |"


def _licence(package: Distribution) -> str:
    """Return what the metadata say, or else what the text of the licence is."""
    metadata = package.metadata
    assert isinstance(metadata, Message)
    named = metadata.get("License-Expression") or metadata.get("License") or ""
    if named and "\n" not in named:
        return str(named)
    classifiers = metadata.get_all("Classifier", [])
    for classifier in classifiers:
        if classifier.startswith("License :: "):
            return str(classifier.rsplit(" :: ")[-1])
    for file in package.files or []:
        if "LICENSE" in file.name:
            text = " ".join(file.read_text().split())
            return next(name for begin, name in LICENCE_TEXTS.items() if begin in text)
    raise LookupError(f"{package.name} names no licence")


def _libraries(packages: list[Distribution]) -> Iterator[str]:
    yield from ("## Libraries inside these packages", "")
    yield from ("| package | library | licence |", "|---|---|---|")
    for package in packages:
        for file in sorted(package.files or []):
            if file.parts[0].endswith(".libs"):
                yield f"| {package.name} | {_short(file.name)} | {_library_licence(file.name)} |"


def _short(name: str) -> str:
    """Return a library's name without its checksum: `libtiff.so.6.3.0`."""
    return re.sub(r"-[0-9a-f]{8}(?=\.so)", "", name)


def _library_licence(name: str) -> str:
    prefix = next((prefix for prefix in LIBRARIES if name.startswith(prefix)), name)
    return LIBRARIES[prefix]


def _vendored() -> Iterator[str]:
    yield from ("## Files in static/vendor", "", "| file | version | licence |", "|---|---|---|")
    for entry in json.loads((ROOT / "static/vendor/vendor.json").read_text()):
        yield f"| {entry['file']} | {entry['version']} | {entry['licence']} |"


if __name__ == "__main__":
    main()
