# GPL-3.0-or-later
"""Secret files: who owns them, which user of an image reads them, how their values stay out of texts."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import tarfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from drover.docker import SCRATCH
from drover.release import Service
from drover.run import DroverError, Runner

HIDDEN = "***"
_ONE_AT_A_TIME = threading.Lock()


# Owners


def give(folder: Path, uid: int, now: float | None = None) -> None:
    """Let `uid` own a service's secret folder and the files in it.

    A time in the future (a clock that was set back) becomes now: a container could never be started after it.
    """
    for path in _inside(folder):
        stat = path.lstat()
        if stat.st_uid != uid:
            os.chown(path, uid, -1, follow_symlinks=False)
        if stat.st_mtime > (now or time.time()):
            os.utime(path, follow_symlinks=False)


def _inside(folder: Path) -> list[Path]:
    """The files before the folder: nobody gains a way to a file that is not yet theirs."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [*sorted(folder.iterdir()), folder]


def settle_time(path: Path, now: float | None = None) -> None:
    """The same for the file with a service's secret environment."""
    with suppress(FileNotFoundError):
        if path.lstat().st_mtime > (now or time.time()):
            os.utime(path, follow_symlinks=False)


# Retired ones


def missing(folder: Path, services: Mapping[str, Service]) -> Path | None:
    """The first file that a service reads and that is not here: Compose starts containers without it."""
    for name, service in services.items():
        files = [folder / name / file for file in sorted(service.secrets)]
        for path in [*files, folder / f"{name}.env"] if service.secret_env else files:
            if not path.is_file():
                return path
    return None


def prune(folder: Path, services: Mapping[str, Service], old: Callable[[Path], bool]) -> None:
    """Remove what no service lists and is old; links are removed, never followed."""
    import shutil  # only here: it costs every other run more than its share

    files = {f"{name}.env" for name, service in services.items() if service.secret_env}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        whole = path.is_dir() and not path.is_symlink()
        service = services.get(path.name)
        if whole and service and service.secrets:
            for each in path.iterdir():
                listed = each.name in service.secrets or (each.is_dir() and not each.is_symlink())
                if not listed and old(each):
                    each.unlink(missing_ok=True)
        elif whole and old(path):
            shutil.rmtree(path)
        elif not whole and path.name not in files and old(path):
            path.unlink(missing_ok=True)


# Users of images


def image_uid(run: Runner, image: str, user: str) -> int:
    """The numeric user of an image's process. A name is looked up in the image, in which nothing is run."""
    name = user.partition(":")[0]
    if name in ("", "root"):
        return 0
    if name.isdigit():
        return int(name)
    with _ONE_AT_A_TIME:  # each removes what an earlier one left
        text = _passwd(run, image)
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[0] == name and fields[2].isdigit():
            return int(fields[2])
    raise DroverError(
        f"image {image} runs as {name!r}, which its /etc/passwd does not have; write the uid of the secret"
    )


def _passwd(run: Runner, image: str) -> str:
    """/etc/passwd out of a container that is made for it and never started; one that was left goes first."""
    never = ["--filter", "status=created", "--filter", f"label={SCRATCH}"]
    left = run(["docker", "ps", "--all", "--quiet", *never]).out.split()
    if left:
        run(["docker", "rm", *left])
    made = run(
        ["docker", "create", "--label", SCRATCH, "--network", "none", "--pull", "never", image, "nothing"]
    )
    if made.code:
        raise DroverError(f"image {image}: {made.words}")
    try:
        copied = run(["docker", "cp", "--follow-link", f"{made.out.strip()}:/etc/passwd", "-"])
    finally:
        run(["docker", "rm", "--force", "--volumes", made.out.strip()])
    if copied.code and "Could not find the file" not in copied.err:
        raise DroverError(f"image {image}: {copied.words}")
    with suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(copied.out.encode())) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member)
            if content:
                return content.read().decode(errors="replace")
    return ""


# Redaction


def redactor(folders: Iterable[Path]) -> Callable[[str], str]:
    """A function that hides every current secret of these `secrets` folders, in the usual encodings."""
    forms = {form for folder in folders for value in _values(folder) for form in _forms(value)}
    if not forms:
        return lambda text: text
    pattern = re.compile("|".join(_matcher(form) for form in sorted(forms, key=len, reverse=True)))
    return lambda text: pattern.sub(HIDDEN, text)


def _matcher(form: str) -> str:
    """A very short secret is hidden only where it stands alone: else it would eat every message."""
    return re.escape(form) if len(form) > 3 else rf"(?<!\w){re.escape(form)}(?!\w)"


def _values(folder: Path) -> Iterable[str]:
    for path in sorted(folder.glob("*.env")):
        for line in _read(path).splitlines():
            value = line.partition("=")[2]
            yield from {value, value.strip("'\""), _unquoted(value)}
    for path in sorted(folder.glob("*/*")):
        text = _read(path)
        yield from (text, text.strip(), *text.splitlines())


def _unquoted(value: str) -> str:
    """Undo the escapes of a Compose env_file."""
    return re.sub(r"\\(.)|\$(\$)", r"\1\2", value.strip("'\""))


def _forms(value: str) -> Iterable[str]:
    if not value.strip():
        return
    encoded = base64.b64encode(value.encode()).decode()
    yield from {value, json.dumps(value)[1:-1], urllib.parse.quote(value, safe=""), repr(value)[1:-1]}
    if len(value) > 3:
        yield encoded.rstrip("=")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace") if path.is_file() else ""
    except OSError:
        return ""
