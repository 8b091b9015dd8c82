"""Compare an operator with a data set of CMSIS-NN's unit tests, which states multipliers and shifts, not scales."""

from dataclasses import replace
from os import PathLike
from pathlib import Path

from hwsim.engines import Engine
from hwsim.importers.cmsis_nn import read_data_set
from hwsim.verify.check import Check
from hwsim.verify.compare import verify


def verify_data_set(folder: str | PathLike[str], *, engine: str | Engine = "cmsis-nn", op: str | None = None) -> Check:
    """Simulate the operator in a folder of C headers as `engine`, compare with the output it must have, and explain.

    Parameters
    ----------
    folder : as CMSIS-NN's Tests/UnitTest/TestCases/TestData has them: config_data.h and the arrays beside it
    engine : whose arithmetic to simulate
    op : hwsim's name of the operator, where neither the headers' names nor the folder's tell

    Raises
    ------
    InputError, ModelFormatError : there is no such data set, or it is malformed
    UnsupportedError : hwsim reads no such data set, or the engine does not run it
    """
    found = read_data_set(folder, op)
    check = verify(found.graph, list(found.inputs), engine=engine, against={"output": found.output})
    return replace(check, against=Path(folder).name)
