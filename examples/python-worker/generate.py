"""Makes the Python classes of the contract out of the .proto files.

usage: python generate.py [FOLDER]    the default folder is `gen`, beside this file
"""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PROTO = HERE.parent.parent / "proto"


def generate(folder: Path) -> int:
    """Writes the modules below `folder`; returns protoc's exit status."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    folder.mkdir(parents=True, exist_ok=True)
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO}",
            f"--proto_path={files('grpc_tools') / '_proto'}",
            f"--python_out={folder}",
            f"--pyi_out={folder}",
            *sources,
        ]
    )
    # Real packages: without these files an installed `discord` would hide ours.
    for package in ("discord", "discord/v1", "gateway", "gateway/v1"):
        (folder / package / "__init__.py").touch()
    return status


if __name__ == "__main__":
    sys.exit(generate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "gen"))
