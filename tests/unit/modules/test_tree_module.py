"""From a module's options to the disk, and what a person sees of it."""

import os

import pytest
from ansible_collections.drover.platform.plugins.module_utils.arguments import arguments, tree_of
from ansible_collections.drover.platform.plugins.module_utils.errors import HostError
from ansible_collections.drover.platform.plugins.modules import tree
from ansible_collections.drover.platform.plugins.modules.tree import (
    bring_tree,
    result,
    searched,
    shown,
)

CANARY = "canary-5f1c-line1\ncanary-5f1c-line2"


@pytest.fixture(autouse=True)
def lock(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(tree, "_LOCK", str(tmp_path_factory.mktemp("run") / "lock"))


def options(**given):
    """As Ansible hands them to the module."""
    spec = arguments()
    filled = {
        key: [dict(item) if isinstance(item, dict) else item for item in given.get(key, [])] for key in spec
    }
    for key, items in filled.items():
        for item in items if "options" in spec[key] else []:
            for name, option in spec[key]["options"].items():
                usual = str(os.geteuid()) if name == "owner" and key != "secrets" else option.get("default")
                usual = str(os.getegid()) if name == "group" else usual
                item[name] = item.get(name, usual)
    return filled


def test_secrets_are_put_and_never_shown(tmp_path):
    wanted = options(secrets=[{"path": f"{tmp_path}/s", "content": CANARY}])
    changes = bring_tree(wanted, dry=False)
    assert (tmp_path / "s").read_text() == CANARY
    (tmp_path / "s").write_text("canary-old")
    changes += bring_tree(wanted, dry=True)
    assert "canary" not in str([result(changes, diff=True), shown(wanted)])
    assert len(changes) == 2


@pytest.mark.parametrize(("before", "after"), [(0o600, 0o644), (0o644, 0o600)])
def test_what_only_its_owner_may_read_is_never_shown(tmp_path, before, after):
    (tmp_path / "f").write_text("canary" if before == 0o600 else "public")
    (tmp_path / "f").chmod(before)
    content = "canary" if after == 0o600 else "public"
    wanted = options(files=[{"path": f"{tmp_path}/f", "content": content, "mode": f"{after:04o}"}])
    text = str(result(bring_tree(wanted, dry=True), diff=True))
    assert "canary" not in text
    assert "public" in text
    assert f"mode={before:04o}" in text
    assert f"mode={after:04o}" in text


def test_a_diff_shows_before_and_after(tmp_path):
    (tmp_path / "f").write_text("old\n")
    (tmp_path / "f").chmod(0o644)
    (entry,) = result(
        bring_tree(options(files=[{"path": f"{tmp_path}/f", "content": "new\n"}]), dry=True), True
    )["diff"]
    assert (entry["before"], entry["after"]) == ("old\n", "new\n")


def test_bytes_are_named_and_not_printed(tmp_path):
    wanted = options(files=[{"path": f"{tmp_path}/f", "content": "AAEC", "encoding": "base64"}])
    assert "3 bytes, sha256" in str(result(bring_tree(wanted, dry=False), diff=True))
    assert (tmp_path / "f").read_bytes() == b"\0\1\2"


def test_a_dry_run_writes_nothing_and_foretells_the_real_one(tmp_path):
    wanted = options(
        folders=[{"path": f"{tmp_path}/a", "whole": True}],
        files=[{"path": f"{tmp_path}/a/f", "content": "x", "validate": ["cat", "%s"]}],
        links=[{"path": f"{tmp_path}/l", "to": "a"}],
    )
    foretold = bring_tree(wanted, dry=True)
    assert list(tmp_path.iterdir()) == []
    assert [change.path for change in bring_tree(wanted, dry=False)] == [change.path for change in foretold]
    assert bring_tree(wanted, dry=True) == []


def test_every_complaint_is_told_and_nothing_changes(tmp_path):
    refuse = ["sh", "-c", 'echo "line 1 of $0 is wrong" >&2; exit 1', "%s"]
    wanted = options(
        folders=[{"path": f"{tmp_path}/new"}],
        files=[
            {"path": f"{tmp_path}/new/a.conf", "content": "x", "validate": refuse},
            {"path": f"{tmp_path}/b.conf", "content": "x", "validate": refuse},
            {"path": f"{tmp_path}/c.conf", "content": "x"},
        ],
        secrets=[{"path": f"{tmp_path}/s", "content": CANARY}],
    )
    with pytest.raises(HostError) as told:
        bring_tree(wanted, dry=False)
    assert f"line 1 of {tmp_path}/new/a.conf is wrong" in str(told.value)
    assert f"line 1 of {tmp_path}/b.conf is wrong" in str(told.value)
    assert list(tmp_path.iterdir()) == []


def judged(tmp_path, word):
    new = f"{tmp_path}/id"
    judge = ["sh", "-c", 'cat "$0/a" "$0/in/b"; grep -q yes "$0/a"', "%s"]
    return options(
        folders=[{"path": new, "whole": True, "validate": judge}, {"path": f"{new}/in", "whole": True}],
        files=[{"path": f"{new}/a", "content": word}, {"path": f"{new}/in/b", "content": " and b"}],
        secrets=[{"path": f"{tmp_path}/secret", "content": CANARY}],
    )


@pytest.mark.parametrize("dry", [True, False])
def test_a_missing_folder_is_judged_as_a_whole_before_any_secret_lands(tmp_path, dry):
    with pytest.raises(HostError, match="/id: sh refuses it: no and b"):
        bring_tree(judged(tmp_path, "no"), dry)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_was_judged(tmp_path):
    bring_tree(judged(tmp_path, "yes"), dry=False)
    assert bring_tree(judged(tmp_path, "yes"), dry=True) == []


def test_a_checker_reads_a_private_file_of_the_real_name(tmp_path):
    seen = tmp_path / "seen"
    look = ["sh", "-c", f'basename "$0" >{seen}; stat -c %a "$0" "$(dirname "$0")" >>{seen}', "%s"]
    bring_tree(options(files=[{"path": f"{tmp_path}/a.conf", "content": "x", "validate": look}]), dry=False)
    assert seen.read_text().split() == ["a.conf", "600", "700"]


def test_a_missing_checker_is_an_error_except_on_a_fresh_host(tmp_path):
    wanted = options(files=[{"path": f"{tmp_path}/f", "content": "x", "validate": ["no-such-checker", "%s"]}])
    assert bring_tree(wanted, dry=True)
    with pytest.raises(HostError, match="not installed"):
        bring_tree(wanted, dry=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "420"}, "octal"),
        ({"mode": "rwx"}, "octal"),
        ({"owner": "nobody-of-that-name"}, "does not exist"),
        ({"group": "nobody-of-that-name"}, "does not exist"),
        ({"content": None}, "no content"),
        ({"content": "%", "encoding": "base64"}, "not base64"),
        ({"validate": ["cat"]}, "names no %s"),
    ],
)
def test_wrong_options_name_the_path(given, said):
    with pytest.raises(HostError, match=f"/srv/x/f.*{said}"):
        tree_of(options(files=[{"path": "/srv/x/f", "content": "", **given}]), lenient=False)


def test_an_owner_that_a_package_would_bring_is_a_change_in_check_mode(tmp_path):
    (tmp_path / "f").write_text("x")
    wanted = options(files=[{"path": f"{tmp_path}/f", "content": "x", "owner": "not-there-yet"}])
    assert "not there yet" in str(result(bring_tree(wanted, dry=True), diff=True))


def test_harmless_words_are_not_blotted_out():
    secrets = [{"path": "/srv/a", "content": text} for text in ("root", "web", CANARY)]
    assert searched(options(secrets=secrets)) == {CANARY}


def test_contents_stay_out_of_the_journal():
    spec = arguments()
    assert spec["secrets"]["no_log"]
    assert spec["files"]["no_log"]


def test_src_belongs_to_the_controller():
    with pytest.raises(HostError, match="src"):
        tree_of(options(src=["files"]), lenient=False)
