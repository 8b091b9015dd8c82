"""What work costs on a machine: cycles, seconds, joules, bytes."""

from hwsim.cost_models import systolic

__all__ = ["systolic"]
