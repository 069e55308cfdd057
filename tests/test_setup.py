"""The environment: detectron2's Python layer as a wheel, and what makes it importable."""

import importlib.util
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.models.compat import MissingOperators

ROOT = Path(__file__).parent.parent


@pytest.fixture
def installer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("installer", ROOT / "envs" / "install_detectron2.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A source release in miniature."""
    source = tmp_path / "pb1-detectron2-0.6"
    (source / "detectron2" / "model_zoo").mkdir(parents=True)
    (source / "detectron2" / "__init__.py").write_text("")
    (source / "detectron2" / "model_zoo" / "base.yaml").write_text("MODEL:\n")
    (source / "LICENSE").write_text("Apache")
    (source / "setup.py").write_text("raise SystemExit")
    path = tmp_path / "pb1-detectron2-0.6.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(source, source.name)
    return path


def test_wheel_holds_the_package_its_data_and_its_name(
    installer: ModuleType, archive: Path, tmp_path: Path
) -> None:
    installer.build_wheel(archive, tmp_path)
    with zipfile.ZipFile(tmp_path / "detectron2-0.6-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
        assert b"Name: detectron2\nVersion: 0.6\n" in wheel.read("detectron2-0.6.dist-info/METADATA")
    assert {"detectron2/__init__.py", "detectron2/model_zoo/base.yaml"} < names
    assert not any("setup.py" in name for name in names)


def test_altered_source_release_is_refused(installer: ModuleType, archive: Path) -> None:
    with pytest.raises(installer.InstallError, match=r"its SHA-256 is .* expected 5d2e9e51"):
        installer.install(archive)


def test_missing_operator_is_a_clear_error_only_when_used() -> None:
    operators = MissingOperators("detectron2._C")
    assert not hasattr(operators, "__file__")
    with pytest.raises(UserError, match="deform_conv_forward"):
        operators.deform_conv_forward()


@pytest.mark.parametrize("compiled", [True, False])
def test_compiled_operators_are_left_alone(tmp_path: Path, compiled: bool) -> None:
    package = tmp_path / "detectron2"
    package.mkdir()
    (package / "__init__.py").write_text("")
    if compiled:
        (package / "_C.py").write_text("")
    code = "import workflow_scripts.models; from detectron2 import _C; print(type(_C).__name__)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == ("module" if compiled else "MissingOperators")


def test_detectron2_is_importable_after_models() -> None:
    import detectron2.modeling

    assert "build_resnet_fpn_backbone" in detectron2.modeling.BACKBONE_REGISTRY
