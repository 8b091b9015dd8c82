"""Numbers with units that people read: 12.3 ms, 4.56 mJ, 73.7 KiB."""

_SI = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))


def si(value: float | None, unit: str) -> str:
    """`value` in three digits with the fitting prefix; a dash for None."""
    if value is None:
        return "-"
    if value == 0:
        return f"0 {unit}"
    factor, prefix = next((pair for pair in _SI if abs(value) >= pair[0]), _SI[-1])
    return f"{value / factor:.3g} {prefix}{unit}" if abs(value) < 1000 else f"{value:.0f} {unit}"


def si_band(value: float | None, band: tuple[float, float] | None, unit: str) -> str:
    """`value`, and where nine of ten measurements would lie."""
    if value is None or band is None:
        return si(value, unit)
    return f"{si(value, unit)} ({si(band[0], unit)} to {si(band[1], unit)})"


def kib(size_bytes: float) -> str:
    """Bytes as KiB or MiB."""
    if size_bytes < 1024:
        return f"{size_bytes:.0f} B"
    return f"{size_bytes / 1024:.1f} KiB" if size_bytes < 1 << 20 else f"{size_bytes / (1 << 20):.2f} MiB"


def percent(share: float) -> str:
    """A share of 1 in percent."""
    return f"{100 * share:.1f} %"
