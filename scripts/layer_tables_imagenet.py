"""Writes the layer tables of public image networks to hwsim/targets/networks, from their published definitions."""

from pathlib import Path

from networks import hawq, inception, mobile, residual

FOLDER = Path(__file__).parent.parent / "hwsim" / "targets" / "networks"


def main() -> None:
    """Write every table and print its size."""
    for net in [*mobile.TABLES, *inception.TABLES, *residual.TABLES, *hawq.TABLES]:
        net.write(FOLDER)
        print(f"{net.name:32} {len(net.rows):4} layers {net.total('macs') / 1e6:9.1f} MMAC {net.total('params') / 1e6:7.2f} M")


if __name__ == "__main__":
    main()
