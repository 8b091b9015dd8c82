"""The command line with weights and activations behind tables."""

import json

import numpy as np

from hwsim.graph import Levels
from hwsim.quantizers.companding import Companding
from tests.ops.test_tables import layer, lcq
from tests.test_cli import command  # noqa: F401


def test_estimate_shows_formats_side_by_side(command, tmp_path):  # noqa: F811
    table = "layer,op,in_h,in_w,in_c,out_h,out_w,out_c,kernel_h,kernel_w,stride,groups\n"
    path = tmp_path / "net.csv"
    path.write_text(table + "".join(f"c{i},Conv2D,8,8,16,8,8,16,3,3,1,1\n" for i in range(3)))
    words = ["estimate", str(path), "--target", "lut-npu,coral-edgetpu", "--weights"]
    found = json.loads(command(*words, "8,ternary", "--json").out)["estimates"]
    assert [(one["target"], one["network"], one["flash_bytes"]) for one in found] == [
        ("lut-npu", "net, weights 8", 3 * 2304), ("lut-npu", "net, weights ternary", 2 * 2304 + 576 + 3),
        ("coral-edgetpu", "net, weights 8", 3 * 2304), ("coral-edgetpu", "net, weights ternary", 3 * 2304),
    ]  # fmt: skip
    assert [row["datapath"] for row in found[1]["layers"]] == ["multiply", "bit_serial", "multiply"]
    shown = command(*words, "8,ternary").out
    assert "weights" in shown and "ternary" in shown
    failed = command(*words, "terney")
    assert failed.status == 2


def test_layers_between_tables_run_or_say_the_remedy(command, tmp_path):  # noqa: F811
    """A layer of levels runs; one whose levels are no integers is refused."""
    layer("lcq", lcq(3, 1.0), lcq(3, 1.0)).save(tmp_path / "g.hwsim")
    assert command("run", str(tmp_path / "g.hwsim"), "--engine", "dyadic", "--samples", "2").status == 0
    levels = Levels.of(Companding.fit(np.arange(9.0), 3, signed=False).levels())
    layer("lcq", levels, lcq(3, 1.0)).save(tmp_path / "f.hwsim")
    failed = command("run", str(tmp_path / "f.hwsim"), "--engine", "dyadic")
    assert failed.status == 2
    assert "re-quantize them to an outer bit-width of 8" in failed.err
