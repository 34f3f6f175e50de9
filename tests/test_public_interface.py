"""What `import gossipfl` offers."""

import subprocess
import sys

import gossipfl


def test_every_public_name_is_there() -> None:
    assert all(getattr(gossipfl, name) is not None for name in gossipfl.__all__)
    assert sorted(gossipfl._HOMES) == sorted(gossipfl.__all__) == sorted(dir(gossipfl))


def test_importing_the_package_imports_no_framework() -> None:
    code = "import gossipfl, sys; sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'grpc')))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
