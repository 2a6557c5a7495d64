"""Packs a folder, the same bytes for the same files: sorted names, one time, no owner.

usage: archive.py FOLDER ARCHIVE SECONDS   (a .zip, or else a .tar.gz)
"""

import gzip
import sys
import tarfile
import time
import zipfile
from pathlib import Path

PROGRAMS = ("sso", "sso-agent", "sso-databricks")

# A zip knows no time before 1980.
EARLIEST = 315532800


def mode(root: Path, name: Path) -> int:
    """Programs lie at the top; all else is to be read."""
    program = len(name.parts) == 2 and name.stem in PROGRAMS
    return 0o755 if program or (root / name).is_dir() else 0o644


def tar(names: list[Path], root: Path, archive: Path, seconds: int) -> None:
    with (
        open(archive, "wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, 0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as out,
    ):
        for name in names:
            entry = tarfile.TarInfo(name.as_posix())
            entry.mode, entry.mtime = mode(root, name), seconds
            if (root / name).is_dir():
                entry.type = tarfile.DIRTYPE
                out.addfile(entry)
                continue
            entry.size = (root / name).stat().st_size
            with open(root / name, "rb") as file:
                out.addfile(entry, file)


def zipped(names: list[Path], root: Path, archive: Path, seconds: int) -> None:
    with zipfile.ZipFile(archive, "w") as out:
        for name in names:
            if (root / name).is_dir():
                continue
            entry = zipfile.ZipInfo(name.as_posix(), time.gmtime(max(seconds, EARLIEST))[:6])
            entry.create_system = 3  # Unix, which the mode is for
            entry.external_attr = (0o100000 | mode(root, name)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, (root / name).read_bytes(), compresslevel=9)


def main(folder: str, archive: str, seconds: str) -> None:
    top = Path(folder)
    names = sorted(path.relative_to(top.parent) for path in [top, *top.rglob("*")])
    pack = zipped if archive.endswith(".zip") else tar
    pack(names, top.parent, Path(archive), int(seconds))


main(*sys.argv[1:])
