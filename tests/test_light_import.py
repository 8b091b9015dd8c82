import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = ("numba", "pulp", "onnx", "torch", "pandas", "tflite", "scipy", "matplotlib")


def fresh(program: str) -> Any:
    """What `program` prints as JSON in a process that has imported nothing yet."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_import_brings_nothing_heavy():
    look = f"[name for name in {HEAVY} if name in sys.modules]"
    program = (
        f"import sys, json, hwsim; a = {look}; import hwsim.cli; print(json.dumps([a, {look}, hwsim.__version__]))"
    )
    import hwsim

    assert fresh(program) == [[], [], hwsim.__version__]


@pytest.mark.parametrize(
    "first",
    [
        "import hwsim.verify, hwsim.simulate, hwsim.engines",
        "import hwsim; hwsim.compile, hwsim.load, hwsim.verify, hwsim.simulate, hwsim.engines",
        "from hwsim import engines, simulate, verify; import hwsim",
    ],
)
def test_rooms_stay_callable_whichever_came_first(first: str):
    called = "[callable(room) for room in (hwsim.verify, hwsim.simulate, hwsim.engines)]"
    same = "hwsim.verify.verify is hwsim.verify.compare.verify"
    program = f"{first}; import json, hwsim.verify.compare; a = {called}; b = 'xnnpack' in hwsim.engines()"
    assert fresh(f"{program}; print(json.dumps([a, b, {same}]))") == [[True] * 3, True, True]


def test_unknown_name_is_an_attribute_error():
    import hwsim

    with pytest.raises(AttributeError, match=r"^module 'hwsim' has no attribute 'simulat'$"):
        _ = hwsim.simulat
