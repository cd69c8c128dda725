import getpass

from uvl_plugin.core.account import account


def test_the_account_is_named(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    assert account() == "ada"


def test_without_one_it_is_empty(monkeypatch):
    def nobody():
        raise OSError("no entry for this user")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert account() == ""
