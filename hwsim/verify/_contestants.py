"""Who takes part in a benchmark: what one measurement of hwsim or of a real engine does, and the race between them.

The timer is around the call alone, which for everybody copies the inputs in, computes, and copies the outputs out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.verify._reference_child import TfliteMicro, stage

Array = NDArray[Any]
Request = Mapping[str, Any]
Caller = Callable[[list[Array]], list[Array]]
"""One call: inputs in input order to outputs in output order."""

RESOLVERS = {
    "litert-reference": "BUILTIN_REF",
    "litert-optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "xnnpack": "AUTO",
}
BLOCK_S = 0.01
LEAST_BLOCKS, SLOW_BLOCKS = 5, 2
SLOW = 4.0
"""A call that takes this many times the seconds asked for is repeated less, and no engine is asked for one."""


@dataclass(slots=True)
class Contestant:
    """Who is timed: one measurement makes `calls` one after another.

    Parameters
    ----------
    calls : the inputs of each call
    samples : in all calls of a measurement together
    how : how they are handed in: 'whole batch' in one call (for LiteRT by resizing its inputs), or one by one
    times_s : measured so far, per sample
    """

    caller: Caller
    calls: list[list[Array]]
    samples: int
    how: str
    times_s: list[float] = field(default_factory=list)

    def measure(self) -> float:
        """Seconds per sample of one measurement."""
        start = perf_counter()
        for arrays in self.calls:
            self.caller(arrays)
        return (perf_counter() - start) / self.samples

    def outputs(self) -> list[Array]:
        """Each output's values, all samples in a row."""
        results = [self.caller(arrays) for arrays in self.calls]
        if len(results) == 1:
            return [value.ravel() for value in results[0]]
        return [np.concatenate([value.ravel() for value in values]) for values in zip(*results, strict=True)]

    def summary(self) -> dict[str, Any]:
        """Median, fastest and slowest measurement, in milliseconds per sample."""
        times = np.array(self.times_s) * 1e3
        return {
            "median_ms": float(np.median(times)),
            "fastest_ms": float(times.min()),
            "slowest_ms": float(times.max()),
            "measurements": len(times),
            "how": self.how,
        }


class LiteRt:
    """LiteRT with one of its three sets of kernels, its inputs resized to `shapes` where given."""

    def __init__(self, resolver: str, model: bytes, threads: int, shapes: Sequence[Sequence[int]] = ()) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        kind = OpResolverType[resolver]
        self.engine = Interpreter(model_content=model, num_threads=threads, experimental_op_resolver_type=kind)
        self.inputs = [details["index"] for details in self.engine.get_input_details()]
        self.outputs = [details["index"] for details in self.engine.get_output_details()]
        for index, shape in zip(self.inputs, shapes, strict=False):
            self.engine.resize_tensor_input(index, [*shape])
        self.engine.allocate_tensors()

    def __call__(self, arrays: list[Array]) -> list[Array]:
        """One call."""
        for index, value in zip(self.inputs, arrays, strict=True):
            self.engine.set_tensor(index, value)
        self.engine.invoke()
        return [self.engine.get_tensor(index) for index in self.outputs]


class Micro:
    """TensorFlow Lite for Microcontrollers, which runs the batch that the file declares."""

    def __init__(self, model: bytes, request: Request) -> None:
        self.outputs = request["outputs"]
        self.session = TfliteMicro(model, {"keep": False, "outputs": self.outputs, "elements": request["elements"]})

    def __call__(self, arrays: list[Array]) -> list[Array]:
        """One call."""
        self.session.run(arrays)
        return [self.session.read(index) for index in self.outputs]


def real_engine(name: str, model: bytes, request: Request, whole: list[Array]) -> Contestant:
    """A real engine, on the whole batch where it takes it and is not too slow, else on single samples.

    Parameters
    ----------
    name : 'tflite-micro' or a key of `RESOLVERS`
    request : batch, threads, seconds, and what `Micro` needs
    whole : inputs of the whole batch, each (batch * declared batch, ...), or a scalar
    """
    batch, seconds, resolver = request["batch"], request["seconds"], RESOLVERS.get(name)
    singles = one_by_one(whole, batch)
    with stage("load the model"):
        caller: Caller = LiteRt(resolver, model, request["threads"]) if resolver else Micro(model, request)
    one = Contestant(caller, singles[:1], 1, "whole batch")
    with stage("run it"):
        one.measure()
    if batch == 1:
        return one
    each = one.measure()
    if resolver and each * batch <= SLOW * seconds:
        try:
            resized = LiteRt(resolver, model, request["threads"], [array.shape for array in whole])
            if same(resized(whole), caller(singles[0]), caller(singles[-1]), batch):
                return Contestant(resized, [whole], batch, "whole batch")
        except (RuntimeError, ValueError):
            pass  # the file fixes its batch somewhere, say by a RESHAPE to a constant shape
    count = max(1, min(batch, int(seconds / each)))
    return replace(one, calls=singles[:count], samples=count, how=f"{count} one by one")


def one_by_one(whole: list[Array], batch: int) -> list[list[Array]]:
    """The samples of `whole`, each at the batch that the file declares."""
    rows = [len(array) // batch if array.ndim else 0 for array in whole]
    return [
        [array[n * count : (n + 1) * count] if count else array for array, count in zip(whole, rows, strict=True)]
        for n in range(batch)
    ]


def same(whole: list[Array], first: list[Array], last: list[Array], batch: int) -> bool:
    """Whether a batch's outputs begin and end as those of its first and last sample by themselves."""
    for value, begin, end in zip(whole, first, last, strict=True):
        if not begin.ndim or value.shape != (batch * len(begin), *begin.shape[1:]):
            return False
        if not (np.array_equal(value[: len(begin)], begin) and np.array_equal(value[-len(end) :], end)):
            return False
    return True


def race(contestants: Mapping[str, Contestant], seconds: float, say: Callable[[str], object]) -> None:
    """Time everybody for about `seconds` each, in blocks of calls that are spread evenly and in random order.

    In blocks, so that the first call after somebody else's, with cold caches and that one's threads still spinning, is
    one of many. `say` hears who is next.
    """
    generator = np.random.default_rng(0)
    plan: list[tuple[float, str, int]] = []
    for name, contestant in contestants.items():
        say(name)
        once = contestant.measure() * contestant.samples
        if once < seconds:
            once = min(once, contestant.measure() * contestant.samples)
        calls = max(1, int(min(BLOCK_S, seconds / LEAST_BLOCKS) / once))
        blocks = max(LEAST_BLOCKS if once <= SLOW * seconds else SLOW_BLOCKS, ceil(seconds / (calls * once)))
        plan += [((turn + generator.random()) / blocks, name, calls) for turn in range(blocks)]
    for _, name, calls in sorted(plan):
        say(name)
        contestant = contestants[name]
        contestant.times_s += [contestant.measure() for _ in range(calls)]
