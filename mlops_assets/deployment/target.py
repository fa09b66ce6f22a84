"""What a deployment target needs and promises."""

from dataclasses import Field
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar

from mlops_assets.errors import DeploymentError
from mlops_assets.records import Endpoint


class EndpointGoneError(DeploymentError):
    """Nobody answers where the endpoint should be: no fault of the version, and worth another attempt."""


class Release(Protocol):
    """A dataclass that says which version should be live (`stores.releases.Release` is one)."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def model(self) -> str:
        """Give the model's name."""
        ...

    @property
    def version(self) -> int:
        """Give the version that should be live."""
        ...

    @property
    def bundle_sha256(self) -> str:
        """Give the digest of its bundle."""
        ...

    @property
    def previous_bundle_sha256(self) -> str | None:
        """Give the bundle to go back to."""
        ...

    @property
    def previous_version(self) -> int | None:
        """Give the version to go back to."""
        ...

    @property
    def generation(self) -> int:
        """Give the number of this change of what is live."""
        ...

    @property
    def at(self) -> datetime:
        """Give when it was released."""
        ...


R = TypeVar("R", bound=Release)
R_contra = TypeVar("R_contra", bound=Release, contravariant=True)


class Releases(Protocol[R]):
    """Where releases are kept; `put` refuses a generation that does not follow the current one."""

    def current(self, model: str) -> R | None:
        """Give the release that should be live, None if there never was one."""
        ...

    def put(self, release: R) -> None:
        """Make `release` the current one."""
        ...


class Target(Protocol[R_contra]):
    """A place where models answer requests."""

    def deploy(self, release: R_contra) -> Endpoint:
        """Bring `release` live and give the endpoint; deploying what is live already only proves that it is.

        Raises:
            DeploymentError: It did not come live; what answered before answers again where that was possible.
        """
        ...

    def rollback(self, model: str, *, at: datetime) -> Endpoint:
        """Bring the version before the current one live again.

        Raises:
            DeploymentError: There is none, or it did not come live.
        """
        ...
