"""What the repository says about itself stays true."""

import json
import re
from pathlib import Path

import pytest
import yaml

from testhost import images

ROOT = Path(__file__).resolve().parents[2]
TASKS = [
    file
    for where in ("roles/*/tasks", "playbooks", "molecule/shared")
    for file in ROOT.glob(f"{where}/*.yml")
]


def test_every_collection_used_is_required():
    """Galaxy users get what requirements.yml lists; a module of another collection would be missing there."""
    requirements = yaml.safe_load((ROOT / "requirements.yml").read_text())
    required = {each["name"] for each in requirements["collections"]}
    used = {
        ".".join(name.split(".")[:2])
        for path in TASKS
        for name in re.findall(r"^\s*-?\s*([a-z_]+\.[a-z_]+\.[a-z_0-9]+):", path.read_text(), re.M)
    }
    assert used - {"ansible.builtin", "drover.platform"} == required


def test_every_scenario_runs_in_ci():
    listed = re.search(r"^SCENARIOS \?= (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert listed
    left_out = yaml.safe_load((ROOT / "molecule" / "not-in-ci.yml").read_text())
    assert all(left_out.values()), "each with its reason"
    every = {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}
    assert set(listed[1].split()) == every - set(left_out)


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_every_role_says_what_it_takes(role: str):
    spec = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text())
    options = spec["argument_specs"]["main"]["options"]
    assert {name for name, option in options.items() if not option.get("required")} == set(defaults)


def test_collection_and_changelog_agree_on_the_version():
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M)


def mutations():
    return yaml.safe_load((ROOT / "tests" / "mutations" / "mutations.yml").read_text())


@pytest.mark.parametrize("each", mutations(), ids=lambda each: f"{each['promise']}-{Path(each['file']).stem}")
def test_every_mutation_still_finds_its_line(each: dict[str, str]):
    assert (ROOT / each["file"]).read_text().count(each["take"]) == 1
    test = each["test"]
    if not test.startswith("--"):
        file, function = test.partition("[")[0].split("::")
        assert f"def {function}(" in (ROOT / "molecule" / each["scenario"] / "tests" / file).read_text()


def test_every_mutation_was_seen_red():
    """A line that changed has to be tried again: `tests/mutations/run --open`."""
    evidence = json.loads((ROOT / "docs" / "evidence" / "mutations.json").read_text())
    keys = ("promise", "scenario", "test", "file", "take")
    red = {tuple(each[key] for key in keys) for each in evidence["mutations"] if each["result"] == "red"}
    assert {tuple(each[key] for key in keys) for each in mutations()} <= red


def test_what_python_leaves_beside_its_files_makes_no_new_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(images, "CHECKOUT", tmp_path)
    image = images.Image("drover/one", "context")
    for name in ("program.py", "__pycache__/program.pyc"):
        (tmp_path / "context" / name).parent.mkdir(parents=True, exist_ok=True)
        before = images.content_of(image, "base")
        (tmp_path / "context" / name).write_text("x")
        assert (images.content_of(image, "base") == before) == ("__pycache__" in name)
