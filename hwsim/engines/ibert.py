"""I-BERT: transformers in integers only."""

from hwsim.engines._profile import LAYERS, Engine, Rule, on_bytes, requantizing

_RULE = Rule("float64_half_even", "float32_product")

ENGINE = Engine(
    name="ibert",
    summary="I-BERT: softmax in integers only; layers, sums and products as HAWQ-V3",
    lineage=("ibert", "litert-reference"),
    rules={
        **on_bytes((*LAYERS, "mul"), _RULE),
        **on_bytes(("add",), Rule("each_float64_half_even")),
        **on_bytes(("mean",), Rule("centered_float64_half_even")),
        **requantizing(Rule("float64_half_even")),
        ("softmax", "int8>int8"): Rule("ibert"),
        ("softmax", "uint8>uint8"): Rule("ibert"),
    },
    source="Kim et al. (arXiv 2101.01321); kssteven418/I-BERT fairseq/quantization/utils, read, not run: it holds "
    "integers in floats, hwsim in 64 bits; exponentials go to 16 bits at the scale 1 / 32767; other operators as "
    "LiteRT's reference",
)
