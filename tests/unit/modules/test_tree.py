"""A wanted tree against a real folder: honest plans, one look enough, and every death survived."""

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.drover.platform.plugins.module_utils import disk, put
from ansible_collections.drover.platform.plugins.module_utils.errors import HostError
from ansible_collections.drover.platform.plugins.module_utils.put import carry_out
from ansible_collections.drover.platform.plugins.module_utils.tree import (
    File,
    Folder,
    Link,
    Tree,
    plan,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

UID, GID = os.geteuid(), os.getegid()


def folder(path, **options):
    return Folder(str(path), **{"uid": UID, "gid": GID, **options})


def file(path, content=b"x\n", **options):
    return File(str(path), content, **{"uid": UID, "gid": GID, **options})


def apply(wanted):
    changes = plan(wanted)
    carry_out(wanted, changes)
    return [f"{change.action} {change.path}" for change in changes]


def picture(root):
    """Everything below a folder: path → (kind, mode, content or target)."""
    seen = {}
    for path in sorted(Path(root).rglob("*")):
        status = path.lstat()
        inside = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        mode = 0 if path.is_symlink() else stat.S_IMODE(status.st_mode)
        seen[str(path.relative_to(root))] = (stat.S_IFMT(status.st_mode), mode, inside)
    return seen


def release(root, identity=b"1"):
    """A stack as the platform puts it."""
    stack, name = root / "shop", identity.decode()
    return Tree(
        folders=(
            folder(stack, mode=0o750),
            folder(stack / "releases", mode=0o750),
            folder(stack / "releases" / name, mode=0o750, whole=True, exact=True),
            folder(stack / "releases" / name / "conf"),
            folder(stack / "secrets", mode=0o700),
            folder(root / "made/on/the/way", keep=True),
            folder(root / "made/on/the", keep=True),
            folder(root / "made/on", keep=True),
            folder(root / "made", keep=True),
        ),
        files=(
            file(stack / "releases" / name / "compose.yaml", b"services: {}\n", mode=0o640),
            file(stack / "releases" / name / "conf/app.ini", b"a = " + identity),
            file(stack / "secrets/db", b"s3cret" + identity, uid=None, gid=None, mode=0o600, secret=True),
            file(root / "made/on/the/way/note"),
        ),
        links=(Link(str(stack / "wanted"), f"releases/{name}"),),
    )


def test_a_second_look_finds_nothing_to_do(tmp_path):
    assert apply(release(tmp_path))
    before = picture(tmp_path)
    assert apply(release(tmp_path)) == []
    assert picture(tmp_path) == before
    assert (tmp_path / "shop/wanted/conf/app.ini").read_bytes() == b"a = 1"


def test_a_plan_touches_nothing(tmp_path):
    assert plan(release(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "action"),
    [
        (lambda stack: (stack / "releases/1/compose.yaml").write_text("other"), "write"),
        (lambda stack: (stack / "releases/1/compose.yaml").chmod(0o666), "give"),
        (lambda stack: (stack / "releases/1").chmod(0o777), "give"),
        (lambda stack: (stack / "releases/1/extra").write_text("unlisted"), "remove"),
        (lambda stack: (stack / "secrets/db").unlink(), "write"),
        (lambda stack: ((stack / "wanted").unlink(), (stack / "wanted").symlink_to("releases/0")), "link"),
        (lambda stack: (stack / "releases/1/conf/.app.ini.drover-new").write_text("half"), "clear"),
    ],
)
def test_one_thing_spoiled_is_one_thing_mended(tmp_path, spoil, action):
    apply(release(tmp_path))
    right = picture(tmp_path)
    spoil(tmp_path / "shop")
    assert [line.split()[0] for line in apply(release(tmp_path))] == [action]
    assert picture(tmp_path) == right


def test_a_mode_is_mended_in_place_so_that_a_mounted_file_stays_the_same(tmp_path):
    apply(Tree(files=(file(tmp_path / "a"),)))
    inode = (tmp_path / "a").stat().st_ino
    apply(Tree(files=(file(tmp_path / "a", mode=0o600),)))
    assert (tmp_path / "a").stat().st_ino == inode


def test_a_secret_without_an_owner_keeps_the_one_that_it_has(tmp_path):
    secret = {"uid": None, "gid": None, "mode": 0o600, "secret": True}
    apply(Tree(files=(file(tmp_path / "a", b"old", **secret),)))
    os.chown(tmp_path / "a", 999, 999)
    assert apply(Tree(files=(file(tmp_path / "a", b"old", **secret),))) == []
    apply(Tree(files=(file(tmp_path / "a", b"new", **secret),)))
    assert ((tmp_path / "a").stat().st_uid, (tmp_path / "a").read_bytes()) == (999, b"new")


def test_a_kept_folder_is_left_alone_and_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "kept").symlink_to("real")
    wanted = Tree(folders=(folder(tmp_path / "kept", keep=True),), files=(file(tmp_path / "kept/a"),))
    assert apply(wanted) == [f"write {tmp_path}/kept/a"]
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o700


def test_a_kept_folder_can_be_exact(tmp_path):
    (tmp_path / "kept").mkdir(mode=0o700)
    (tmp_path / "kept/stale").write_text("x")
    assert apply(Tree(folders=(folder(tmp_path / "kept", keep=True, exact=True),))) == [
        f"remove {tmp_path}/kept/stale"
    ]
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


def test_absent_goes_with_what_is_in_it_and_is_no_error_twice(tmp_path):
    (tmp_path / "old/deep").mkdir(parents=True)
    (tmp_path / "old/deep/file").write_text("x")
    wanted = Tree(absent=(f"{tmp_path}/old", f"{tmp_path}/never"))
    assert apply(wanted) == [f"remove {tmp_path}/old"]
    assert apply(wanted) == []


def test_a_link_is_replaced_by_a_file_and_not_written_through(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "a").symlink_to("victim")
    apply(Tree(files=(file(tmp_path / "a"),)))
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (tmp_path / "a").is_symlink()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Tree(files=(file("relative"),)), "absolute"),
        (Tree(files=(file("/srv/../etc/passwd"),)), "absolute"),
        (Tree(files=(file("/srv/.a.drover-new"),)), "absolute"),
        (Tree(files=(file("/srv/a"), file("/srv/a"))), "twice"),
        (Tree(files=(file("/srv/a"),), absent=("/srv/a",)), "both"),
        (Tree(files=(file("/srv/b/a"),), absent=("/srv/b",)), "both"),
        (Tree(absent=("/srv",)), "too near"),
        (Tree(files=(file("/srv/a"), file("/srv/a/b"))), "lies in"),
    ],
)
def test_what_no_disk_could_satisfy_is_refused(wanted, said):
    with pytest.raises(HostError, match=said):
        plan(wanted)


def test_a_missing_folder_is_named_except_in_check_mode(tmp_path):
    wanted = Tree(files=(file(tmp_path / "no/where"),))
    with pytest.raises(HostError, match="no is missing"):
        plan(wanted)
    assert plan(wanted, lenient=True)


@pytest.mark.parametrize("wanted", [file("a/b"), folder("a/b/c"), Link("a/b", "x")])
def test_a_folder_is_never_replaced_by_something_else(tmp_path, wanted):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_text("x")
    at_home = type(wanted)(**{**wanted.__dict__, "path": f"{tmp_path}/{wanted.path}"})
    kind = {File: "files", Folder: "folders", Link: "links"}[type(wanted)]
    with pytest.raises(HostError, match="is a"):
        plan(Tree(**{kind: (at_home,)}))


# --- death at any point


class Killed(BaseException):
    """Not an Exception: nothing may catch it and tidy up, as nothing can after SIGKILL."""


CHANGING = ("mkdir", "rmdir", "unlink", "rename", "symlink", "write", "fchmod", "fchown", "fsync")


class Deadly:
    """`os`, in which the n-th call that changes the disk, and every one after it, raises."""

    def __init__(self, fatal):
        self.left = fatal

    def __getattr__(self, name):
        real = getattr(os, name)
        return self.counted(real) if name in CHANGING or name == "open" else real

    def counted(self, real):
        def call(*arguments, **options):
            changes = real is not os.open or (len(arguments) > 1 and arguments[1] & os.O_CREAT)
            if changes:
                self.left -= 1
                if self.left < 0:
                    raise Killed
            return real(*arguments, **options)

        return call


def killed_after(count, wanted, monkeypatch):
    """Whether the run died before it was done."""
    deadly = Deadly(count)
    with monkeypatch.context() as patch:
        for module in (disk, put):
            patch.setattr(module, "os", deadly)
        try:
            apply(wanted)
        except Killed:
            return True
    return False


def deaths(wanted, monkeypatch, start):
    """Kill a run at every call in turn, each time from the state that `start` sets up."""
    count = 0
    while True:
        root = start()
        if not killed_after(count, wanted(root), monkeypatch):
            return
        yield root
        count += 1


def test_killed_anywhere_the_next_run_ends_the_same(tmp_path, monkeypatch):
    roots = iter(range(10_000))

    def start():
        root = tmp_path / str(next(roots))
        root.mkdir()
        apply(release(root, b"1"))
        (root / "shop/releases/2x").mkdir()
        return root

    right = start()
    apply(release(right, b"2"))
    count = 0
    for root in deaths(lambda root: release(root, b"2"), monkeypatch, start):
        wanted = str((root / "shop/wanted").readlink())
        assert (root / "shop" / wanted / "conf/app.ini").read_bytes() == b"a = " + wanted[-1:].encode()
        assert not (root / "shop/releases/2").exists() or picture(root / "shop/releases/2") == picture(
            right / "shop/releases/2"
        )
        apply(release(root, b"2"))
        assert picture(root) == picture(right)
        assert apply(release(root, b"2")) == []
        count += 1
    assert count > 20


def test_killed_and_then_wished_back_nothing_is_left_over(tmp_path, monkeypatch):
    roots = iter(range(10_000))

    def start():
        root = tmp_path / str(next(roots))
        root.mkdir()
        apply(release(root, b"1"))
        return root

    right = picture(start())
    for root in deaths(lambda root: release(root, b"2"), monkeypatch, start):
        apply(release(root, b"1"))
        seen = picture(root)
        complete = {path: seen.pop(path) for path in list(seen) if path.startswith("shop/releases/2")}
        assert seen == right and ".drover-new" not in " ".join(complete)


def test_on_a_fresh_host_killed_anywhere_the_next_run_ends_the_same(tmp_path, monkeypatch):
    roots = iter(range(10_000))

    def start():
        root = tmp_path / str(next(roots))
        root.mkdir()
        return root

    right = start()
    apply(release(right))
    for root in deaths(release, monkeypatch, start):
        apply(release(root))
        assert picture(root) == picture(right)


def test_no_space_leaves_things_as_they_were(tmp_path, monkeypatch):
    apply(release(tmp_path, b"1"))
    before, calls = picture(tmp_path), iter(range(100))
    real = disk.create

    def create(*arguments):
        if next(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(put, "create", create)
    with pytest.raises(OSError, match="space"):
        apply(release(tmp_path, b"2"))
    assert picture(tmp_path) == before


# --- any tree

NAMES = st.sampled_from(["a", "b", "c", "d"])
MODES = st.sampled_from([0o600, 0o640, 0o644, 0o700, 0o755])


@st.composite
def trees(draw):
    """A tree without contradictions, as a function of the folder in which it stands."""
    shape = draw(
        st.recursive(
            st.one_of(
                st.tuples(st.just("file"), st.binary(max_size=20), MODES),
                st.tuples(st.just("link"), st.sampled_from(["a", "../b", "/nowhere"])),
            ),
            lambda inner: st.tuples(
                st.just("folder"),
                st.dictionaries(NAMES, inner, max_size=3),
                st.sampled_from([0o700, 0o750, 0o755]),
                st.booleans(),
                st.booleans(),
            ),
            max_leaves=8,
        )
    )
    return lambda root: built(root, ("folder", {"top": shape}, 0o755, False, False))


def built(root, shape):
    parts = {"folders": [], "files": [], "links": []}

    def visit(path, node):
        if node[0] == "file":
            parts["files"].append(file(path, node[1], mode=node[2]))
        elif node[0] == "link":
            parts["links"].append(Link(str(path), node[1]))
        else:
            if path != root:
                parts["folders"].append(folder(path, mode=node[2], exact=node[3], whole=node[4]))
            for name, child in node[1].items():
                visit(path / name, child)

    visit(root, shape)
    return Tree(**{key: tuple(value) for key, value in parts.items()})


QUICK = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@QUICK
@given(wanted=trees())
def test_any_tree_twice_changes_nothing_the_second_time(tmp_path_factory, wanted):
    root = tmp_path_factory.mktemp("any")
    apply(wanted(root))
    before = picture(root)
    assert apply(wanted(root)) == []
    assert picture(root) == before


@QUICK
@given(wanted=trees(), fatal=st.integers(0, 40))
def test_any_tree_killed_anywhere_is_completed(tmp_path_factory, wanted, fatal):
    right, root = tmp_path_factory.mktemp("right"), tmp_path_factory.mktemp("killed")
    apply(wanted(right))
    with pytest.MonkeyPatch.context() as patch:
        killed_after(fatal, wanted(root), patch)
    apply(wanted(root))
    assert picture(root) == picture(right)
    assert apply(wanted(root)) == []
