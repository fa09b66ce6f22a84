"""What features are about: a carrier, an airport, a customer; its keys are declared once and shared by views."""

from typing import Literal

from pydantic import BaseModel, Field

KeyDtype = Literal["string", "int64", "timestamp"]


class Entity(BaseModel, frozen=True, extra="forbid"):
    """An entity as YAML declares it; where a view has `keys:`, its name may stand as `entity:`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="The entity's name, by which views call it.")
    keys: dict[str, KeyDtype] = Field(min_length=1, description="The columns that find its rows, with their dtypes.")
    description: str = Field(default="", description="One sentence that says what one of them is.")
    owner: str | None = Field(default=None, description="Who answers for it: an e-mail address or `team:name`.")
