import re

import pytest

from hwsim.cost_models import read_layer_table
from hwsim.errors import InputError

OWN = """layer,op,in_h,in_w,in_c,out_h,out_w,out_c,kernel_h,kernel_w,stride,groups,macs,params
conv,Conv2D,8,8,3,4,4,16,3,3,2,1,6912,448
relu,ReLU,4,4,16,4,4,16,1,1,1,1,0,0
dw,DepthwiseConv2D,4,4,16,4,4,16,3,3,1,16,2304,160
sum,Add,4,4,16,4,4,16,1,1,1,1,0,0
"""
SCALE_SIM = """Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1, 224, 224, 7, 7, 3, 64, 2,

Conv2, 56, 56, 3, 3, 64, 192, 1,
"""


def table(folder, text):
    path = folder / "net.csv"
    path.write_text(text)
    return read_layer_table(path)


def test_own_table(tmp_path):
    network = table(tmp_path, OWN)
    conv, dw, add = network.works
    assert (conv.macs, conv.weights, conv.bias_bytes, conv.stride) == (6912, 432, 64, (2, 2))
    assert (dw.is_depthwise, dw.macs, dw.weights) == (True, 2304, 144)
    assert (add.op, add.inputs, add.other_elements) == ("add", 256, 256)
    assert (network.name, network.arena_exact, network.arena_bytes) == ("net", False, 768)


def test_macs_follow_from_the_sizes_where_they_are_not_given(tmp_path):
    text = "\n".join(line.rsplit(",", 2)[0] for line in OWN.splitlines())
    assert [work.macs for work in table(tmp_path, text).works] == [6912, 2304, 0]


def test_scale_sim_topology(tmp_path):
    """Its simulator counts ceil((H - R + s) / s) positions along each dimension."""
    first, second = table(tmp_path, SCALE_SIM).works
    assert (first.output_size, first.gemm) == ((110, 110, 64), (110 * 110, 147, 64))
    assert second.macs == 54 * 54 * 192 * 576


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Conv2D,8", "Conv9D,8", "net.csv line 2: unknown op 'Conv9D'; did you mean 'Conv2D'?"),
        ("conv,Conv2D,8", "conv,Conv2D,-8", "net.csv line 2: in_h is '-8'; expected a whole number from 1 to 1048576"),
        ("conv,Conv2D,8", "conv,Conv2D,1e30", "net.csv line 2: in_h is '1e30'; expected a whole number"),
        ("conv,Conv2D,8", "conv,Conv2D,x", "net.csv line 2: in_h is 'x'; expected a whole number"),
        ("in_h", "height", "net.csv line 2: column 'in_h' is missing; the table has layer, op, height"),
        (OWN, "", "net.csv: has no layers; expected a header and a line per layer"),
        (OWN, OWN.splitlines()[0], "net.csv: has no layers"),
    ],
)
def test_a_bad_table_names_line_and_value(tmp_path, old, new, message):
    with pytest.raises(InputError, match="^" + re.escape(message)):
        table(tmp_path, OWN.replace(old, new, 1))


def test_a_filter_larger_than_its_image_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^net.csv line 2: a 7x7 filter does not fit a 4x4 input$"):
        table(tmp_path, SCALE_SIM.replace("224, 224", "4, 4"))
