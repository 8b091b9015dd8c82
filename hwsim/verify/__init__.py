"""Compare a simulation with the real engine or with recorded tensors, and explain the first difference."""

from hwsim._rooms import callable_room
from hwsim.verify.check import Check, Difference
from hwsim.verify.compare import verify
from hwsim.verify.explain import explain_accumulators

__all__ = ["Check", "Difference", "explain_accumulators", "verify"]

callable_room(__name__, verify)
