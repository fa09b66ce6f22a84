"""The shop (`_shop.py`), fresh for every test of the command line."""

from mlops_assets_tests._shop import grown, new_shop, no_settings, shop, shop_project

__all__ = ["grown", "new_shop", "no_settings", "shop", "shop_project"]
