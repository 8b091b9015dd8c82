"""Compare a simulation with the real engine or with recorded tensors, and explain the first difference."""

from hwsim._rooms import callable_room
from hwsim.verify.check import Check, Difference
from hwsim.verify.compare import verify
from hwsim.verify.data_set import verify_data_set
from hwsim.verify.explain import explain_accumulators
from hwsim.verify.layer import layer_graph
from hwsim.verify.layer_check import verify_layer

__all__ = ["Check", "Difference", "explain_accumulators", "layer_graph", "verify", "verify_data_set", "verify_layer"]

callable_room(__name__, verify)
