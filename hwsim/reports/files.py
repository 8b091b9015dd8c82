"""Writing results: to a temporary name first, so that interrupted work leaves no half-written file."""

from pathlib import Path

from hwsim.errors import InputError


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as a whole or not at all; folders are made.

    Raises
    ------
    InputError : where the file cannot be written
    """
    temporary = path.parent / f".{path.name}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        temporary.unlink(missing_ok=True)
