"""Model bundles at rest: one folder per bundle, addressed by the digest of everything in it.

    <root>/<model>/<bundle sha256>/manifest.json, model.txt, features.py, …

The manifest names the SHA-256 of every part, and the bundle's digest is taken over those: whoever holds the digest
can prove that every byte is the one that was trained and approved.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mlops_assets.digests import canonical_json, sha256_bytes, sha256_parts
from mlops_assets.errors import BundleError, examples
from mlops_assets.stores._atomic import checked_name, remove_folder, write_folder, writing

MANIFEST = "manifest.json"


class BundleNotFoundError(BundleError, LookupError):
    """No bundle of that digest is in the store."""


class BundleStore:
    """Keeps bundles under `root`. A bundle is there whole or not at all, and never changes."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def path(self, model: str, sha256: str) -> Path:
        """Give the folder of a bundle, whether or not it is there."""
        return self.root / checked_name("model", model) / checked_name("bundle digest", sha256)

    def list(self, model: str) -> tuple[str, ...]:
        """Give the digests of all bundles of `model`, sorted; empty for a model never saved."""
        folder = self.root / checked_name("model", model)
        if not folder.is_dir():
            return ()
        return tuple(sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".")))

    def save(self, model: str, parts: Mapping[str, bytes]) -> str:
        """Keep `parts` and give the bundle's digest; the same parts give the same digest and are kept once.

        A bundle found damaged under that digest is replaced, since the right bytes are at hand.

        Raises:
            BundleError: There are no parts, or a part is named like the manifest.
            StoreError: The disk refused.
        """
        if not parts or MANIFEST in parts:
            raise BundleError(
                f"A bundle of model {model!r} needs at least one part and none called {MANIFEST!r}, "
                f"which the store writes itself; got: {examples(sorted(parts)) or 'no parts'}.",
                model=model,
                parts=sorted(parts),
            )
        digests = {checked_name("bundle part", name): sha256_bytes(data) for name, data in parts.items()}
        sha256 = sha256_parts(digests)
        path = self.path(model, sha256)
        with writing(f"Bundle {sha256[:12]} of model {model!r}", path):
            if path.exists():
                try:
                    self.load(model, sha256)
                except BundleError:
                    _discard(path)
                else:
                    return sha256
            write_folder(path, {**parts, MANIFEST: canonical_json({"parts": digests, "sha256": sha256})})
        return sha256

    def load(self, model: str, sha256: str) -> dict[str, bytes]:
        """Give every part of a bundle by name, each checked against its digest.

        Raises:
            BundleNotFoundError: The store has no such bundle.
            BundleError: A part is missing, added or changed, or the manifest does not belong to `sha256`.
        """
        path = self.path(model, sha256)
        if not path.is_dir():
            raise BundleNotFoundError(
                f"Bundle {sha256} of model {model!r} is not in {self.root}. "
                f"Known: {examples(self.list(model)) or 'none'}. Train the model again, or restore the folder.",
                model=model,
                sha256=sha256,
            )
        digests = _manifest(path, model=model, sha256=sha256)
        found = {file.name for file in path.iterdir()} - {MANIFEST}
        if odd := sorted(found ^ digests.keys()):
            raise _damaged(model, sha256, path, f"missing or not in the manifest: {examples(odd)}", parts=odd)
        parts = {name: (path / name).read_bytes() for name in sorted(digests)}
        if changed := [name for name, data in parts.items() if sha256_bytes(data) != digests[name]]:
            raise _damaged(model, sha256, path, f"changed after saving: {examples(changed)}", parts=changed)
        return parts


def _manifest(path: Path, *, model: str, sha256: str) -> dict[str, str]:
    try:
        digests = dict(json.loads((path / MANIFEST).read_bytes())["parts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(model, sha256, path, f"{MANIFEST} cannot be read ({error})", parts=[MANIFEST]) from error
    if sha256_parts(digests) != sha256:
        raise _damaged(model, sha256, path, f"{MANIFEST} belongs to another bundle", parts=[MANIFEST])
    return digests


def _damaged(model: str, sha256: str, path: Path, what: str, *, parts: list[str]) -> BundleError:
    return BundleError(
        f"Bundle {sha256} of model {model!r} is not what its digest says: {what}. It must not be served. "
        f"Restore {path} from a backup, or save the same bundle again.",
        model=model,
        sha256=sha256,
        parts=parts,
    )


def _discard(path: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name[:12]}.", dir=path.parent))
    path.rename(aside)
    remove_folder(aside)
