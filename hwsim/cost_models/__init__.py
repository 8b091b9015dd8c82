"""What work costs on a machine: cycles, seconds, joules, bytes. One kind of machine, one file."""

from hwsim.cost_models import systolic
from hwsim.cost_models.estimate import Estimate, LayerEstimate, estimate
from hwsim.cost_models.layer_table import read_layer_table
from hwsim.cost_models.work import Network, Work, network_of

__all__ = ["Estimate", "LayerEstimate", "Network", "Work", "estimate", "network_of", "read_layer_table", "systolic"]
