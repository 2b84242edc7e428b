"""The controller's side: folders of a role become a list of files."""

from ansible_collections.drover.platform.plugins.action.tree import folders_above, merged, mirrored


def test_a_folder_mirrors_the_host(tmp_path):
    for name in ("etc/a.conf.j2", "etc/b", "etc/__pycache__/c.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert [path for _, path in mirrored(tmp_path, "/")] == ["/etc/a.conf", "/etc/b"]
    assert [path for _, path in mirrored(tmp_path / "etc", "/opt/x")] == ["/opt/x/a.conf", "/opt/x/b"]


def test_folders_on_the_way_are_kept_as_they_are():
    assert folders_above(["/etc/x/a"]) == [{"path": "/etc", "keep": True}, {"path": "/etc/x", "keep": True}]


def test_the_task_wins_over_the_folder():
    found = [{"path": "/a", "mode": "0644", "content": "x"}, {"path": "/b", "keep": True}]
    given = [{"path": "/a", "mode": "0600"}, {"path": "/b", "mode": "0700"}, {"path": "/c"}]
    assert merged(given, found) == [
        {"path": "/a", "mode": "0600", "content": "x"},
        {"path": "/b", "mode": "0700"},
        {"path": "/c"},
    ]
