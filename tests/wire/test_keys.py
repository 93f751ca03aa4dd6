"""Keys on disk: never overwritten, never readable by others, revoked for good."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from robot_rl.cli import main
from robot_rl.errors import WireError
from robot_rl.wire.key_files import Role
from robot_rl.wire.keys import ClientKeys, KeyFolder, key_folder


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_make_read_and_what_the_files_allow(folder: KeyFolder) -> None:
    old = os.umask(0)
    try:
        key = folder.make("arm-left", Role.ACTOR)
    finally:
        os.umask(old)
    assert mode(folder.path) == 0o700
    assert mode(folder.path / "arm-left.secret") == 0o600
    assert folder.read("arm-left") == key
    assert folder.pair("arm-left").key == key
    assert len(folder.pair("arm-left").secret) == 40


def test_a_name_is_never_used_twice(folder: KeyFolder) -> None:
    folder.make("a", Role.ACTOR)
    before = {path: path.read_bytes() for path in folder.path.iterdir()}
    with pytest.raises(WireError, match=r"key 'a' exists .* valid: another name"):
        folder.make("a", Role.SERVER)
    assert before == {path: path.read_bytes() for path in folder.path.iterdir()}
    folder.revoke("a")
    with pytest.raises(WireError, match="exists"):
        folder.make("a", Role.ACTOR)
    (folder.path / "b.secret").write_text("somebody's")
    with pytest.raises(WireError, match="exists"):
        folder.make("b", Role.ACTOR)
    assert (folder.path / "b.secret").read_text() == "somebody's"


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a b", ".hidden", "x" * 65, "ü"])
def test_names_that_cannot_be_one(folder: KeyFolder, name: str) -> None:
    with pytest.raises(WireError, match="key name"):
        folder.make(name, Role.ACTOR)
    assert not list(folder.path.glob("*")) if folder.path.exists() else True


def test_revoked_is_for_good_and_kept(folder: KeyFolder) -> None:
    public = folder.make("a", Role.ACTOR).public
    revoked = folder.revoke("a")
    assert revoked.revoked
    assert folder.read("a") == revoked
    assert revoked.public == public
    with pytest.raises(WireError, match="is revoked"):
        folder.pair("a")
    with pytest.raises(WireError, match="revoked already"):
        folder.revoke("a")
    with pytest.raises(WireError, match=r"no key 'b' .* valid: a"):
        folder.revoke("b")


def test_secrets_that_others_can_read_are_refused(folder: KeyFolder) -> None:
    folder.make("a", Role.ACTOR)
    secret = folder.path / "a.secret"
    secret.chmod(0o640)
    with pytest.raises(WireError, match=r"a\.secret must be a file .* mode 0600.* 0640"):
        folder.pair("a")
    secret.chmod(0o600)
    folder.pair("a")
    folder.path.chmod(0o750)
    with pytest.raises(WireError, match=r"mode 0700.* 0750"):
        folder.pair("a")
    with pytest.raises(WireError, match="mode 0700"):
        folder.keys()
    with pytest.raises(WireError, match="mode 0700"):
        folder.make("b", Role.ACTOR)


def test_a_link_in_place_of_a_secret_is_refused(folder: KeyFolder, tmp_path: Path) -> None:
    folder.make("a", Role.ACTOR)
    secret = folder.path / "a.secret"
    secret.rename(tmp_path / "elsewhere")
    secret.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WireError, match="must be a file"):
        folder.pair("a")


def test_the_secret_of_another_key_is_refused(folder: KeyFolder) -> None:
    folder.make("a", Role.ACTOR)
    folder.make("b", Role.ACTOR)
    text = (folder.path / "b.secret").read_text()
    (folder.path / "a.secret").write_text(text)
    with pytest.raises(WireError, match="does not belong to the public key"):
        folder.pair("a")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no key file"),
        ("[" * 5000, "no key file"),
        ('{"format": "robot-rl key 1"}', "name"),
        (
            '{"format":"x","name":"a","role":"actor","public":"' + "0" * 40 + '","created":""}',
            "'x'",
        ),
        ("#" * 70_000, "more than 65536 bytes"),
    ],
)
def test_damaged_files_say_which(folder: KeyFolder, text: str, why: str) -> None:
    folder.make("b", Role.ACTOR)
    (folder.path / "a.key").write_text(text)
    with pytest.raises(WireError, match=why) as caught:
        folder.read("a")
    assert "a.key" in str(caught.value)


@pytest.mark.parametrize("field", ["name", "role", "public", "created", "format"])
def test_altered_fields_are_refused(folder: KeyFolder, field: str) -> None:
    folder.make("a", Role.ACTOR)
    path = folder.path / "a.key"
    content = json.loads(path.read_text())
    for value in (None, 7, "no such thing", "x" * 5000, "#" * 40):
        if field == "created" and isinstance(value, str):
            continue
        path.write_text(json.dumps(content | {field: value}))
        with pytest.raises(WireError, match=r"a\.key"):
            folder.read("a")


def test_own_key_and_the_servers(folder: KeyFolder) -> None:
    with pytest.raises(WireError, match="the key folder must be there"):
        folder.client(Role.ACTOR)
    folder.make("arm", Role.ACTOR)
    with pytest.raises(WireError, match="one server key"):
        folder.client(Role.ACTOR)
    with pytest.raises(WireError, match=r"no viewer key; valid: robot-rl keys make NAME"):
        folder.client(Role.VIEWER)
    server = folder.make("learner", Role.SERVER)
    keys = folder.client(Role.ACTOR)
    assert (keys.own.key.name, keys.server) == ("arm", server)
    folder.make("arm2", Role.ACTOR)
    with pytest.raises(WireError, match=r"several keys of role actor: arm, arm2.*wire.key=NAME"):
        folder.client(Role.ACTOR)
    assert folder.client(Role.ACTOR, "arm2").own.key.name == "arm2"
    with pytest.raises(WireError, match="has role server; valid here: actor"):
        folder.client(Role.ACTOR, "learner")
    (folder.path / "arm2.secret").unlink()
    assert folder.client(Role.ACTOR).own.key.name == "arm", "a public file alone is not own"
    folder.make("learner2", Role.SERVER)
    with pytest.raises(WireError, match="learner, learner2"):
        folder.client(Role.ACTOR)
    folder.revoke("learner")
    assert folder.client(Role.ACTOR).server.name == "learner2"


def test_nothing_prints_a_secret(folder: KeyFolder) -> None:
    folder.make("s", Role.SERVER)
    folder.make("a", Role.ACTOR)
    keys: ClientKeys = folder.client(Role.ACTOR)
    secret = keys.own.secret.decode()
    assert secret not in repr(keys) + repr(keys.own) + str(keys) + repr(folder)


def test_the_command(
    folder: KeyFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBOT_RL_KEYS", str(folder.path))
    assert main(["keys", "make", "arm", "--role", "actor"]) == 0
    assert main(["keys", "make", "eye", "--role", "viewer", "--json"]) == 0
    printed = capsys.readouterr().out
    secrets = [json.loads(path.read_text())["secret"] for path in folder.path.glob("*.secret")]
    assert len(secrets) == 2
    assert main(["keys", "revoke", "arm"]) == 0
    printed += capsys.readouterr().out
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert "revoked 20" in listed.split("arm", 1)[1].splitlines()[0]
    assert main(["keys", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["keys"]
    assert [(row["name"], row["role"], bool(row["revoked"])) for row in rows] == [
        ("arm", "actor", True),
        ("eye", "viewer", False),
    ]
    assert not any(secret in printed + listed + json.dumps(rows) for secret in secrets)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["make", "a"], "--role server|actor|operator|viewer"),
        (["make", "--role", "actor"], "a name"),
        (["make", "a/b", "--role", "actor"], "key name 'a/b'"),
        (["revoke", "nobody"], "the key folder must be there"),
        (["list"], "the key folder must be there"),
        (["list", "x"], "takes no name"),
        (["revoke", "x", "--role", "actor"], "no meaning"),
    ],
)
def test_refused_commands_say_what_is_valid(
    folder: KeyFolder, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", *words, "--keys", str(folder.path)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert why in lines[0]


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ROBOT_RL_KEYS", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_folder("default") == tmp_path / ".config/robot-rl/keys"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "x"))
    assert key_folder(None) == tmp_path / "x/robot-rl/keys"
    monkeypatch.setenv("ROBOT_RL_KEYS", "/k")
    assert key_folder(None) == Path("/k")
    assert key_folder("~/mine") == tmp_path / "mine"
