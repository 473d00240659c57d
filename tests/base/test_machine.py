import re
import socket

import numpy as np

from lib.base import machine


def test_a_firewall_that_drops_packets_holds_up_a_download_for_seconds():
    # Without a limit each address of a server takes more than two minutes.
    assert 5 <= socket.getdefaulttimeout() <= 30


def test_versions_that_this_project_is_not_made_for_are_one_note(
    tmp_path, monkeypatch, capsys
):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# for numbers\nnumpy<1\npandas>=1\nmissing>=1\n")
    monkeypatch.setattr(machine, "REQUIREMENTS", requirements)

    machine.set_up()

    (note,) = re.findall("Note: .*", capsys.readouterr().out)
    assert f"not made for numpy {np.__version__}, but <1. " in note
    assert "Runtime ▸ Change runtime type ▸ Runtime version: Latest" in note


def test_what_goes_to_stderr_is_in_a_new_file_but_for_what_is_to_be_shown(
    tmp_path, capfd
):
    path = tmp_path / "log"
    path.write_text("of an earlier run")

    with machine.stderr_to(path) as shown:
        print("to the file", file=open(2, "w", closefd=False), flush=True)
        print("as before", file=shown)

    assert path.read_text() == "to the file\n"
    assert capfd.readouterr().err == "as before\n"
