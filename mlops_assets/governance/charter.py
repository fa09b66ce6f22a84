"""What only people can write about a model."""

from pydantic import BaseModel, Field


class Charter(BaseModel, frozen=True, extra="forbid"):
    """The human texts of a model card; which of them must be there is the risk tier's to say."""

    purpose: str = Field(default="", description="What the model is for.")
    users: str = Field(default="", description="Who uses its scores, and to decide what.")
    affected: str = Field(default="", description="Whom a wrong score hurts, and how.")
    out_of_scope: str = Field(default="", description="What it must not be used for.")
    limits: str = Field(default="", description="Where it is known to be weak.")
    rationale: str = Field(default="", description="Why this target, these features and this objective.")
    risks: str = Field(default="", description="What can go wrong, what guards against it, what remains.")
    oversight: str = Field(default="", description="Who watches it, and how they overrule or stop it.")
