"""Writes the layer tables of public image networks to hwsim/targets/networks, from their published definitions."""

from pathlib import Path

from networks import hawq, inception, mobile, residual

FOLDER = Path(__file__).parent.parent / "hwsim" / "targets" / "networks"


def main() -> None:
    """Write every table and print its size."""
    for net in [*mobile.TABLES, *inception.TABLES, *residual.TABLES, *hawq.TABLES]:
        net.write(FOLDER)
        macs, params = (net.total(column) / 1e6 for column in ("macs", "params"))
        print(f"{net.name:32} {len(net.rows):4} layers {macs:9.1f} MMAC {params:7.2f} M parameters")


if __name__ == "__main__":
    main()
