"""The agent's command line and its answer."""

import json

from ansible_collections.drover.platform.plugins.modules.apply import COMMAND, answer, command

SHOP = {"stack": "shop", "release": "1f2e"}


def test_only_the_stacks_of_this_task_are_applied():
    assert command([SHOP, {"stack": "old", "state": "absent"}], [], check=False) == [
        *(COMMAND, "apply", "--json", "--manifests", "-"),
        *("--stack", "shop", "--stack", "old"),
    ]


def test_check_mode_says_which_secrets_would_be_new():
    words = command([SHOP], ["/srv/stacks/shop/secrets/web/key"], check=True)
    assert words[-3:] == ["--check", "--touched", "/srv/stacks/shop/secrets/web/key"]


def test_what_is_no_answer_is_an_error():
    assert answer(0, json.dumps({"changed": True, "stacks": {}}), "") == {"changed": True, "stacks": {}}
    assert answer(127, "", "no such command\n")["errors"] == ["no such command"]
    assert answer(137, "", "")["errors"] == ["exit status 137"]
