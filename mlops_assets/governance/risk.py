"""How much can go wrong with a model, which decides how much evidence it needs and who must agree."""

from typing import Literal

RiskTier = Literal["minimal", "limited", "high"]
"""`minimal`: a wrong score costs little. `limited`: it costs money or work. `high`: it touches a person's rights,
health or access to something that matters; somebody has to agree to every version before it goes live."""
