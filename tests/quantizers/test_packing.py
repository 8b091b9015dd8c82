import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.quantizers.packing import pack, packed_bytes, unpack


def naive_stream(codes, bits):
    """One large integer, low code first, as bytes."""
    whole = 0
    for place, code in enumerate(codes):
        whole |= (int(code) & ((1 << bits) - 1)) << (place * bits)
    return whole.to_bytes(-(-len(codes) * bits // 8), "little")


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize("signed", [False, True])
def test_stream_is_one_large_integer(bits, signed):
    low = -(1 << (bits - 1)) if signed else 0
    codes = np.random.default_rng(bits).integers(low, low + (1 << bits), 37)
    codes[:2] = low, low + (1 << bits) - 1
    stream = pack(codes, bits, signed=signed)
    assert stream.tobytes() == naive_stream(codes, bits)
    assert stream.size == packed_bytes(37, bits)
    np.testing.assert_array_equal(unpack(stream, 37, bits, signed=signed), codes)


def test_first_of_two_four_bit_codes_is_the_low_half():
    assert pack(np.array([0x3, 0xA]), 4, signed=False).tolist() == [0xA3]


def test_nothing_packs_to_nothing():
    assert pack(np.empty(0, int), 3, signed=True).size == 0
    assert unpack(np.empty(0, np.uint8), 0, 3, signed=True).size == 0


def test_codes_beyond_the_bits_are_refused():
    with pytest.raises(InputError, match=r"^code 8 at 2; must be in \[0, 7\] for 3 bits$"):
        pack(np.array([0, 7, 8]), 3, signed=False)
    with pytest.raises(InputError, match=r"^code 4 at 1; must be in \[-4, 3\] for 3 bits$"):
        pack(np.array([-1, 4]), 3, signed=True)
    with pytest.raises(InputError, match=r"^bits is 0; expected 1 to 16$"):
        pack(np.array([0]), 0, signed=False)
    with pytest.raises(InputError, match=r"^5 codes of 3 bits take 2 bytes; got 3$"):
        unpack(np.zeros(3, np.uint8), 5, 3, signed=False)


def test_long_streams_are_unpacked_in_blocks():
    codes = np.random.default_rng(0).integers(-4, 4, 200_001)
    found = unpack(pack(codes, 3, signed=True), codes.size, 3, signed=True, dtype=np.int8)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, codes)
