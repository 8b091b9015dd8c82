"""int4 weights: packed in files, int8 codes of a format of 4 bits inside."""

from dataclasses import replace

import numpy as np
import pytest

from hwsim.errors import GraphError
from hwsim.graph.file import read
from hwsim.importers import load_bytes
from hwsim.importers.tflite_writer import to_tflite
from tests.build import single, tensor


def layer(codes):
    weights = tensor("w", (1, len(codes)), "int8", 0.1, data=np.array([codes]))
    weights = replace(weights, format=replace(weights.format, bits=4))
    options = {"activation": "none", "keep_num_dims": False, "weights_format": "default"}
    return single("fully_connected", [tensor("x", (1, len(codes))), weights, None], tensor("y", (1, 1)), **options)


@pytest.mark.parametrize("codes", [[-8, 7, -1], [3, -4]])
def test_codes_are_two_in_a_byte_and_read_back(codes):
    written = to_tflite(layer(codes))
    weights = load_bytes(written, "m.tflite").tensor("w")
    assert (weights.dtype, weights.affine.bits, weights.data.tolist()) == ("int8", 4, [codes])
    pairs = zip(codes[::2], [*codes[1::2], 0], strict=False)
    packed = bytes((low & 15) | (high & 15) << 4 for low, high in pairs)
    assert packed in written


def test_codes_that_do_not_fit_are_refused():
    with pytest.raises(GraphError, match=r"^tensor 'w': code 8 at 0; must be in \[-8, 7\] for 4 bits$"):
        to_tflite(layer([8, 0]))


def test_own_file_keeps_the_bits(tmp_path):
    layer([1, 2, 3]).save(tmp_path / "one.hwsim")
    weights = read((tmp_path / "one.hwsim").read_bytes()).tensor("w")
    assert (weights.affine.bits, weights.data.tolist()) == (4, [[1, 2, 3]])
