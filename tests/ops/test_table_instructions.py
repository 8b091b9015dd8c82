"""Layers behind tables, of signs and of look-ups under every set of instructions that this processor has."""

import os
import subprocess
import sys

import pytest
from llvmlite import binding

from hwsim.kernels import vector_instructions
from tests.conftest import CHECKOUT
from tests.kernels.test_vector_instructions import NEEDS

CASES = """
from hwsim.kernels.vector_tile import LANES, QUADS
from tests.ops import test_tables, test_vector_binary, test_vector_lookup

print(LANES, QUADS)
for weights in test_tables.WEIGHTS:
    for bits in (2, 3, 4):
        test_tables.test_codes_by_thresholds_are_those_of_exact_fractions(weights, bits, "levels")
    test_tables.test_levels_in_and_a_scale_out_multiply_as_the_levels_themselves(weights)
test_tables.test_layers_of_signs_are_those_of_exact_fractions()
for channels in (1, 7, 16, 40, 65) if LANES else ():
    for padding in ("same", "valid"):
        test_vector_binary.test_any_number_of_channels(channels, padding)
    test_vector_binary.test_any_number_of_filters(channels, (3, 3))
test_vector_lookup.test_every_pair_of_codes((4, 4), 32767, "fastest")
test_vector_lookup.test_tables_of_any_numbers(16, 16, 6, 32385, "fastest")
test_vector_lookup.test_tables_of_any_numbers(16, 256, 3, 2**22, "fastest")
test_vector_lookup.test_bit_serial_is_the_integer_product(4, True, 7, "int8", "fastest")
"""


@pytest.mark.skipif(bool(vector_instructions.config.DISABLE_JIT), reason="needs compiled kernels")
@pytest.mark.parametrize(("limit", "lanes"), [("portable", 0), ("avx2", 8), ("avx512", 16)])
def test_layers_of_tables_are_exact_with_other_instructions(limit, lanes):
    features = binding.get_host_cpu_features()
    if not all(features.get(name) for name in NEEDS[limit]):
        pytest.skip(f"this processor lacks {', '.join(NEEDS[limit])}")
    environment = os.environ | {"HWSIM_SIMD": limit, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-c", CASES]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == f"{lanes} False\n"
