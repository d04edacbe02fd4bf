"""Put trained weights into `pretrained/` as float16 and list them in manifest.json.

    python -m pretrained.release generator runs/00000-.../generator.safetensors
    python train_encoder.py --generator pretrained/generator.safetensors
    python -m pretrained.release encoder runs/00001-.../encoder.safetensors
    python -m pretrained.release attributes runs/00002-.../attributes.safetensors
    python -m pretrained.release regions runs/00003-.../regions.safetensors

The encoder is trained on the released generator, whose SHA-256 it carries.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

FOLDER = Path(__file__).parent


@click.command()
@click.argument("kind", type=click.Choice(["generator", "encoder", "attributes", "regions"]))
@click.argument("weights", type=click.Path(path_type=Path, exists=True))
def main(kind: str, weights: Path) -> None:
    """Store WEIGHTS as the default model's generator, encoder, or one of its readers."""
    from engine.files import file_sha256
    from stylegan.checkpoint import read_weights, save_weights

    metadata, state = read_weights(weights, kind)
    half = {
        name: value.half() if value.is_floating_point() else value for name, value in state.items()
    }
    config = json.loads(metadata.pop("config"))
    facts = {k: v for k, v in metadata.items() if k not in ("kind", "format_version")}
    target = FOLDER / f"{kind}.safetensors"
    save_weights(target, kind, config, half, **facts, parent_sha256=file_sha256(weights))
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in sorted(FOLDER.glob("*.safetensors"))
    }
    manifest = {"format_version": 1, "files": files}
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    click.echo(f"{target}: {target.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
