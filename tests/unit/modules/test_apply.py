"""The agent's command line and its answer."""

import json

from ansible_collections.drover.platform.plugins.modules.apply import answer, command, warnings

SHOP = {"stack": "shop", "release": "1f2e"}


def params(manifests, touched=(), whole=False, who="", reason="", force=False):
    asked = {"who": who, "reason": reason, "force": force}
    return {"manifests": manifests, "touched": touched, "all": whole, **asked}


def test_no_stack_at_all_is_told_too():
    words = command("drover", params([], whole=True, who="anna"), check=False)
    assert words == ["drover", "apply", "--json", "--manifests=-", "--all", "--who=anna"]


def test_only_the_stacks_of_this_task_are_applied():
    words = command("drover", params([SHOP, {"stack": "old", "state": "absent"}]), check=False)
    assert words == ["drover", "apply", "--json", "--manifests=-", "--stack=shop", "--stack=old"]


def test_why_and_by_force_reach_the_agent():
    words = command("drover", params([SHOP], reason="it cannot wait", force=True), check=False)
    assert words[-3:] == ["--reason=it cannot wait", "--force", "--stack=shop"]


def test_check_mode_says_which_secrets_would_be_new():
    words = command("drover", params([SHOP], touched=["/srv/stacks/shop/secrets/web/key"]), check=True)
    assert words[-2:] == ["--check", "--touched=/srv/stacks/shop/secrets/web/key"]


def test_what_is_no_answer_is_an_error():
    assert answer(0, json.dumps({"changed": True, "stacks": {}}), "") == {"changed": True, "stacks": {}}
    assert "no such command" in answer(127, "", "no such command\n")["errors"][0]
    assert "137" in answer(137, "", "")["errors"][0]


def test_unlisted_stacks_are_warned_of_with_what_to_write():
    (text,) = warnings({"unlisted": ["blog"]})
    assert text.startswith("blog runs here and is not in the inventory: write {name: blog, state: absent}")
    assert warnings({"errors": []}) == []
