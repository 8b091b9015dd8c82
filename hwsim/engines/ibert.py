"""I-BERT: transformers in integers only."""

from hwsim.engines._profile import LAYERS, Engine, Rule, multiplying, on_bytes, requantizing

_RULE = Rule("float64_half_even", "float32_product")
_MOVED = Rule("float64_half_even")
_SUM = Rule("each_float64_half_even")
_CODES, _FINE = ("int8", "int16"), "int8>int16"

ENGINE = Engine(
    name="ibert",
    summary="I-BERT: GELU, softmax and layer norm in integers only; layers, sums and products as HAWQ-V3",
    lineage=("ibert", "litert-reference"),
    rules={
        **on_bytes((*LAYERS, "mul"), _RULE),
        **{(layer, _FINE): _RULE for layer in LAYERS},
        **multiplying(_RULE),
        ("batch_matmul", _FINE): _RULE,
        **on_bytes(("add",), _SUM),
        ("add", "int16"): _SUM,
        **{("add", f"{a},{b}>{out}"): _SUM for a in _CODES for b in _CODES for out in _CODES},
        **on_bytes(("mean",), Rule("centered_float64_half_even")),
        **requantizing(_MOVED),
        **{("quantize", dtypes): _MOVED for dtypes in (_FINE, "int16>int8", "int16>int16")},
    },
    source="Kim et al. (arXiv 2101.01321); kssteven418/I-BERT fairseq/quantization/utils, read, not run: it holds "
    "integers in floats, hwsim in 64 bits; exponentials go to 16 bits at the scale 1 / 32767; other operators as "
    "LiteRT's reference",
    fine=("gelu", "layer_norm", "softmax"),
)
