"""What is in the package: its names, its version, its wheel, and that old Pythons can read it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import sso_agent

ROOT = Path(__file__).parents[1]


def test_every_name_has_a_home() -> None:
    assert sorted(sso_agent._HOMES) == sso_agent.__all__
    for name in sso_agent.__all__:
        assert getattr(sso_agent, name).__name__ == name
        assert name in dir(sso_agent)
    with pytest.raises(AttributeError):
        sso_agent.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_every_file_can_be_read_by_the_oldest_python() -> None:
    files = list((ROOT / "src").rglob("*.py"))
    assert len(files) > 10
    for file in files:
        ast.parse(file.read_text(), feature_version=(3, 9))


def test_the_version_is_that_of_the_agent() -> None:
    manifest = ROOT.parents[1] / "Cargo.toml"
    if not manifest.exists():
        pytest.skip("not in the source tree")
    found = re.search(r'^version = "(.*)"', manifest.read_text(), re.MULTILINE)
    assert found is not None
    assert sso_agent.__version__ == found[1]


def test_the_wheel_is_whole(tmp_path: Path) -> None:
    if find_spec("hatchling") is None:
        assert "SSO_TEST_ALL_PARTS" not in os.environ, "hatchling is missing"
        pytest.skip("hatchling is not installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("sso_agent-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        (metadata,) = [packed.read(name).decode() for name in names if name.endswith("/METADATA")]
        (mit,) = [packed.read(name).decode() for name in names if name.endswith("/LICENSE-MIT")]
    source = {str(file.relative_to(ROOT / "src")) for file in (ROOT / "src/sso_agent").glob("*.py")}
    assert source | {"sso_agent/py.typed"} <= names
    assert "Permission is hereby granted" in mit
    assert "License-Expression: MIT OR Apache-2.0" in metadata
    assert re.findall("^Requires-Dist: .*", metadata, re.MULTILINE) == [
        "Requires-Dist: databricks-sdk>=0.20; extra == 'databricks'"
    ]
    script = "import sso_agent; print(sso_agent.Agent.__module__, sso_agent.__version__)"
    told = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(wheel)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.split() == ["sso_agent._agent", sso_agent.__version__]


def test_the_credentials_for_sql_need_no_sdk() -> None:
    script = (
        "import importlib.util, sso_agent.databricks as ours\n"
        "assert importlib.util.find_spec('databricks') is None\n"
        "print(ours.SsoAgentCredentials().sql('h').auth_type())"
    )
    told = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={"PYTHONPATH": str(ROOT / "src")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout == "sso-agent\n"
